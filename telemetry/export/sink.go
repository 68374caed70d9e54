package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"emberwing/telemetry/store"
)

// Sink is where one format goes.
type Sink interface {
	// Send hands over the encoded state of an event; name is that of the event, fit for a
	// file. It may be called again with the same state.
	Send(ctx context.Context, name string, body []byte) error
	// Close releases what the sink holds.
	Close() error
}

// Target is a format and where it goes, as "cot=udp://239.2.3.1:6969",
// "cap=https://host/path" or "geojson=file:///folder".
type Target struct {
	Format Format
	URL    *url.URL
}

// String names the target without the password it may hold.
func (t Target) String() string { return string(t.Format) + "=" + t.URL.Redacted() }

// ParseTarget is the inverse of String, except for passwords.
func ParseTarget(text string) (Target, error) {
	const want = "want format=url, such as cot=udp://239.2.3.1:6969, cap=https://host/path or geojson=file:///folder"
	name, address, ok := strings.Cut(text, "=")
	u, err := url.Parse(address)
	if !ok || err != nil {
		return Target{}, fmt.Errorf("export target: %s", want)
	}
	t := Target{Format(name), u}
	if !slices.Contains(Formats(), t.Format) {
		return Target{}, fmt.Errorf("export target: got format %q, want one of %v", name, Formats())
	}
	switch {
	case u.Scheme == "file" && u.Path != "", (u.Scheme == "http" || u.Scheme == "https") && u.Host != "",
		u.Scheme == "udp" && u.Port() != "":
		return t, nil
	}
	return Target{}, fmt.Errorf("export target: %s", want)
}

// Open makes the sink of a target.
func (t Target) Open() (Sink, error) {
	switch t.URL.Scheme {
	case "file":
		if err := os.MkdirAll(t.URL.Path, 0o755); err != nil {
			return nil, fmt.Errorf("export to %s: %w", t, err)
		}
		return folder{t.URL.Path, t.Format.Extension()}, nil
	case "udp":
		conn, err := net.Dial("udp", t.URL.Host)
		if err != nil {
			return nil, fmt.Errorf("export to %s: %w", t, err)
		}
		return datagrams{conn}, nil
	}
	return &poster{url: t.URL.String(), contentType: t.Format.ContentType(),
		client: &http.Client{Timeout: sendTimeout, CheckRedirect: onlyPosts}}, nil
}

const (
	sendTimeout  = 10 * time.Second
	maxRedirects = 10
)

// onlyPosts follows the redirects that keep a POST as it is (307 and 308). The others would
// make a GET of it, and the answer to that says nothing of the event.
func onlyPosts(next *http.Request, via []*http.Request) error {
	if next.Method != http.MethodPost || len(via) >= maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// folder holds one file for each event, replaced in one step.
type folder struct{ path, extension string }

// Send implements Sink.
func (f folder) Send(_ context.Context, name string, body []byte) error {
	tmp, err := os.CreateTemp(f.path, ".event-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // does nothing after the rename
	_, err = tmp.Write(body)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(f.path, name+f.extension))
}

// Close implements Sink.
func (folder) Close() error { return nil }

// datagrams sends one packet for each state. Nothing tells whether it arrived.
type datagrams struct{ conn net.Conn }

// Send implements Sink.
func (d datagrams) Send(_ context.Context, _ string, body []byte) error {
	_, err := d.conn.Write(body)
	return err
}

// Close implements Sink.
func (d datagrams) Close() error { return d.conn.Close() }

// poster posts each state and wants an answer that begins with 2.
type poster struct {
	url, contentType string
	client           *http.Client
}

// Send implements Sink.
func (p *poster) Send(ctx context.Context, _ string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", p.contentType)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return &RefusedError{resp.StatusCode}
	}
	return nil
}

// Close implements Sink.
func (p *poster) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

// RefusedError is an answer that is no success.
type RefusedError struct{ Status int }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the receiver answered %d %s", e.Status, http.StatusText(e.Status))
}

// permanent reports whether sending the same again is of no use, because the receiver does not
// like the message. What is about the receiver (a wrong token or path, a proxy, too much at a
// time) may be mended, and then the events that waited go on.
func permanent(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && slices.Contains([]int{http.StatusBadRequest, http.StatusNotAcceptable,
		http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity}, refused.Status)
}

// FileName is what Send is given for an event.
func FileName(e *store.Event) string { return uid(e) }
