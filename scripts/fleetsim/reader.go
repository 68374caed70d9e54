package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// reader follows the feed of the station as a program of an operator does, and checks that
// every alert comes once and in order.
type reader struct {
	url string

	mu     sync.Mutex
	got    map[string]int // alerts by name, times seen
	row    int64
	jumps  int // rows that did not follow the one before
	ingest latency.Histogram
	whole  latency.Histogram
	warm   bool
	err    error
}

// entry is what is read of a row of the feed.
type entry struct {
	Row   int64     `json:"row"`
	Kind  string    `json:"kind"`
	At    wire.Time `json:"at"`
	Alert *struct {
		Drone    string    `json:"drone"`
		Boot     string    `json:"boot"`
		Seq      uint64    `json:"seq"`
		Captured wire.Time `json:"captured"`
	} `json:"alert"`
}

func newReader(url string) *reader { return &reader{url: url, got: make(map[string]int)} }

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	err := eachEvent(ctx, r.url+"/api/v1/feed?since=now", func(kind string, data []byte) error {
		if kind != "entry" {
			return nil
		}
		now := time.Now()
		var e entry
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		r.note(&e, now)
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil {
		r.err = err
	}
}

func (r *reader) note(e *entry, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.row > 0 && e.Row != r.row+1 {
		r.jumps++
	}
	r.row = e.Row
	if e.Alert == nil {
		return
	}
	r.got[alertName(e.Alert.Drone, e.Alert.Boot, e.Alert.Seq)]++
	if r.warm {
		r.ingest.Record(now.Sub(e.At.Time))
		r.whole.Record(now.Sub(e.Alert.Captured.Time))
	}
}

// setWarm begins the measurement.
func (r *reader) setWarm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warm = true
}

// compare returns how many alerts are missing and how many came more than once.
func (r *reader) compare(raised map[string]bool) (missing, repeated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range raised {
		switch n := r.got[name]; {
		case n == 0:
			missing++
		case n > 1:
			repeated++
		}
	}
	return missing, repeated
}

// pageReader follows the stream of the live page as a browser does.
type pageReader struct {
	mu     sync.Mutex
	warm   bool
	ingest latency.Histogram
	puts   int
}

func (p *pageReader) run(ctx context.Context, url string) {
	_ = eachEvent(ctx, url+"/events", func(kind string, data []byte) error {
		now := time.Now()
		var put struct {
			Kind  string `json:"kind"`
			Value struct {
				Last struct {
					Received wire.Time `json:"received"`
				} `json:"last"`
			} `json:"value"`
		}
		if kind != "put" || json.Unmarshal(data, &put) != nil || put.Kind != "event" {
			return nil
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.puts++
		if p.warm && !put.Value.Last.Received.IsZero() {
			p.ingest.Record(now.Sub(put.Value.Last.Received.Time))
		}
		return nil
	})
}

func (p *pageReader) setWarm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warm = true
}

// eachEvent calls f for every server-sent event until the stream or ctx ends.
func eachEvent(ctx context.Context, url string, f func(kind string, data []byte) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: got %s", url, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var kind string
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "event":
			kind = string(value)
		case "data":
			if err := f(kind, value); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// counters of a station.
type counters struct {
	Bulk, BulkReplayed, Stored, Replayed, Commits uint64
	Connected                                     bool
}

// station asks the station for its counters.
func station(url string) (s struct {
	Key   string   `json:"key"`
	Stats counters `json:"stats"`
}, err error) {
	resp, err := http.Get(url + "/api/v1/station")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}
