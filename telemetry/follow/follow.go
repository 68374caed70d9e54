// Package follow reads the feed of a ground station over HTTP, from any position on,
// without losing or repeating a row: it resumes with the cursor of the last one it has handed
// on, over any number of connections.
package follow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Errors of a follower.
var (
	ErrLost    = errors.New("feed lost")       // no connection for longer than LostAfter
	ErrRefused = errors.New("station refused") // it will not get better by trying again
)

// Item is one row of the feed.
type Item struct {
	Cursor string // resumes after this row
	Entry  store.Entry
	JSON   []byte // the row as it came; valid during the call
}

// Handler is told what happens. Its methods are called from the goroutine of Run.
type Handler interface {
	// Row takes a row; an error ends Run.
	Row(Item) error
	// Up says that the feed is connected. reset means that the cursor belonged to another
	// store, so that everything comes from the beginning.
	Up(station string, reset bool)
	// Down says why it is not, until Up.
	Down(error)
}

// Options of a Follower. Zero means the default, where there is one.
type Options struct {
	Station   string        // http://host:port
	Token     string        // that the station asks for beyond loopback
	Since     string        // cursor; "" is the beginning, "now" the end
	LostAfter time.Duration // Run gives up after this long without a connection; 0 never
	Client    *http.Client  // http.DefaultClient
}

// Follower follows a feed. Make one with New.
type Follower struct {
	opts   Options
	base   *url.URL
	cursor string
}

// silence is after how long without a sign of life a connection counts as dead; a station
// sends one every two seconds.
const silence = 10 * time.Second

// New checks the options.
func New(opts Options) (*Follower, error) {
	u, err := url.Parse(opts.Station)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("follow feed: want the address of the station as http://host:port")
	}
	if opts.Client == nil {
		opts.Client = http.DefaultClient
	}
	return &Follower{opts: opts, base: u, cursor: opts.Since}, nil
}

// Run follows until ctx ends, and returns nil then.
func (f *Follower) Run(ctx context.Context, h Handler) error {
	lastUp := time.Now()
	for failures := 0; ; failures++ {
		up, err := f.connection(ctx, h)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrRefused), errors.Is(err, errHandler):
			return err
		case up:
			lastUp, failures = time.Now(), 0
		}
		if f.opts.LostAfter > 0 && time.Since(lastUp) > f.opts.LostAfter {
			return fmt.Errorf("%w for %v: %w", ErrLost, f.opts.LostAfter, err)
		}
		h.Down(err)
		if !f.pause(ctx, failures, lastUp) {
			return nil
		}
	}
}

// pause waits before the next attempt, longer after more failures, and not beyond the time
// at which the feed counts as lost.
func (f *Follower) pause(ctx context.Context, failures int, lastUp time.Time) bool {
	wait := rand.N(min(250*time.Millisecond<<min(failures, 10), 10*time.Second))
	if f.opts.LostAfter > 0 {
		wait = min(wait, max(0, time.Until(lastUp.Add(f.opts.LostAfter)))+time.Millisecond)
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

var errHandler = errors.New("feed not taken")

// connection is one request from start to end; up tells whether it brought anything.
func (f *Follower) connection(ctx context.Context, h Handler) (up bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	q := url.Values{}
	if f.cursor != "" {
		q.Set("since", f.cursor)
	}
	resp, err := f.do(ctx, http.MethodGet, "api/v1/feed?"+q.Encode(), nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	event := sse{}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return up, fmt.Errorf("feed ended: %w", err)
		}
		alive.Reset(silence)
		if !event.line(bytes.TrimRight(line, "\r\n")) {
			continue
		}
		up = true
		if err := f.handle(&event, h); err != nil {
			return up, err
		}
		event = sse{}
	}
}

// sse is a server-sent event under construction.
type sse struct {
	id, kind string
	data     []byte
}

// line takes in a line and reports whether the event is complete.
func (e *sse) line(line []byte) bool {
	if len(line) == 0 {
		return e.kind != ""
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		e.id = string(value)
	case "event":
		e.kind = string(value)
	case "data":
		e.data = value
	}
	return false
}

func (f *Follower) handle(e *sse, h Handler) error {
	switch e.kind {
	case "hello":
		var hello struct {
			Station string `json:"station"`
			Epoch   string `json:"epoch"`
			Last    int64  `json:"last"`
			Reset   bool   `json:"reset"`
		}
		if err := json.Unmarshal(e.data, &hello); err != nil {
			return fmt.Errorf("read feed: %w", err)
		}
		if f.cursor == "now" { // else a break before the first row would skip rows
			f.cursor = fmt.Sprintf("%s-%d", hello.Epoch, hello.Last)
		}
		h.Up(hello.Station, hello.Reset)
	case "entry":
		i := Item{Cursor: e.id, JSON: e.data}
		if err := json.Unmarshal(e.data, &i.Entry); err != nil {
			return fmt.Errorf("read feed: row %s: %w", e.id, err)
		}
		if err := h.Row(i); err != nil {
			return fmt.Errorf("%w: %w", errHandler, err)
		}
		f.cursor = e.id
	}
	return nil
}

// do sends a request and turns an answer that is no success into an error.
func (f *Follower) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	u := strings.TrimSuffix(f.base.String(), "/") + "/" + path
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if f.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+f.opts.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.opts.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	err = fmt.Errorf("station answered %s: %s", resp.Status, reason(text))
	if c := resp.StatusCode; c/100 == 4 && c != http.StatusTooManyRequests && c != http.StatusRequestTimeout {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil, err
}

// reason is the text of an error that the station sent.
func reason(body []byte) string {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) == nil && e.Error != "" {
		return e.Error
	}
	return strings.TrimSpace(string(body))
}

// Acknowledge sends a verdict over an event.
func (f *Follower) Acknowledge(ctx context.Context, event int64, verdict wire.Verdict, operator, note string) error {
	body, err := json.Marshal(map[string]any{"verdict": verdict, "operator": operator, "note": note})
	if err != nil {
		return err
	}
	resp, err := f.do(ctx, http.MethodPost, fmt.Sprintf("api/v1/events/%d/acknowledge", event), body)
	if err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return resp.Body.Close()
}

// Order sends a command for a drone and returns its number.
func (f *Follower) Order(ctx context.Context, fleet, drone string, verb wire.Verb, args any,
	operator string) (id int64, err error) {
	body, err := json.Marshal(map[string]any{"fleet": fleet, "drone": drone, "verb": verb, "args": args,
		"operator": operator})
	if err != nil {
		return 0, err
	}
	resp, err := f.do(ctx, http.MethodPost, "api/v1/commands", body)
	if err != nil {
		return 0, fmt.Errorf("command: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		ID int64 `json:"id"`
	}
	return answer.ID, json.NewDecoder(resp.Body).Decode(&answer)
}

// OrderState returns what has become of a command.
func (f *Follower) OrderState(ctx context.Context, id int64) (o store.Order, err error) {
	if err := f.get(ctx, fmt.Sprintf("api/v1/commands/%d", id), &o); err != nil {
		return o, fmt.Errorf("command: %w", err)
	}
	return o, nil
}

// Snapshot returns the events that an operator has to know of, all that are open and the
// newest of the others, and the cursor to go on from.
func (f *Follower) Snapshot(ctx context.Context) (cursor string, events []store.Event, err error) {
	var now struct {
		Epoch string `json:"epoch"`
		Last  int64  `json:"last"`
	}
	if err := f.get(ctx, "api/v1/station", &now); err != nil {
		return "", nil, err
	}
	for _, query := range []string{"unacknowledged=1&limit=2000", "limit=200"} {
		var page struct {
			Events []store.Event `json:"events"`
		}
		if err := f.get(ctx, "api/v1/events?"+query, &page); err != nil {
			return "", nil, err
		}
		events = append(events, page.Events...)
	}
	return fmt.Sprintf("%s-%d", now.Epoch, now.Last), events, nil
}

func (f *Follower) get(ctx context.Context, path string, into any) error {
	resp, err := f.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// From makes Run begin at a cursor. It must not be called while Run runs.
func (f *Follower) From(cursor string) { f.cursor = cursor }
