package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"emberwing/telemetry/store"
)

// operator watches the feed of the station as a page does: it comes back after every
// interruption and goes on after the last entry it has seen.
type operator struct {
	url    string
	cursor string
	shown  *tally
	resets int // times the station said that its store is another one
}

// watch reads until ctx ends.
func (o *operator) watch(ctx context.Context) {
	for ctx.Err() == nil {
		_ = o.read(ctx) // the station may be down: that is the point
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// read is one connection.
func (o *operator) read(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/api/v1/feed", nil)
	if err != nil {
		return err
	}
	if o.cursor != "" {
		r.Header.Set("Last-Event-ID", o.cursor)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	fields := map[string]string{}
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			fields[name] = value
			continue
		}
		o.take(fields)
		clear(fields)
	}
	return lines.Err()
}

// take looks at one event of the stream.
func (o *operator) take(fields map[string]string) {
	switch fields["event"] {
	case "hello":
		if strings.Contains(fields["data"], `"reset":true`) && o.cursor != "" {
			o.resets++
		}
	case "entry":
		var e store.Entry
		if err := json.Unmarshal([]byte(fields["data"]), &e); err != nil {
			o.shown.add("not readable: " + err.Error())
			return
		}
		if e.Alert != nil {
			o.shown.add(key(e.Alert.Event, e.Alert.Revision))
		}
	}
	if fields["id"] != "" {
		o.cursor = fields["id"]
	}
}

// key names one alert.
func key(event string, revision int) string { return fmt.Sprintf("%s/%d", event, revision) }
