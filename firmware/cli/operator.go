package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// sight is what a reader of the live page has been sent.
type sight struct {
	mu       sync.Mutex
	captured map[step]time.Time // of what is not seen yet, with a monotonic reading
	expected map[string]bool    // events
	seen     map[string]bool    // events
	page     latency.Histogram  // capture to the page, of the newest step each time
}

// step is one alert of one event.
type step struct {
	event    string
	revision int
}

func newSight() sight {
	return sight{captured: make(map[step]time.Time), expected: make(map[string]bool), seen: make(map[string]bool)}
}

// expect notes when an alert that will come to the page was captured.
func (s *sight) expect(a *wire.Alert, captured time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[a.Event] = true
	s.captured[step{a.Event, a.Revision}] = captured
}

// see notes that the page was sent an event. A page is sent the newest step only, so steps
// that were overtaken are not measured, and neither are later changes of the same step.
func (s *sight) see(at step, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[at.event] = true
	if captured, ok := s.captured[at]; ok {
		s.page.Record(now.Sub(captured))
		delete(s.captured, at)
	}
}

func (s *sight) shown() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// wait waits until the page was sent all events that were expected, at most for limit.
func (s *sight) wait(limit time.Duration) {
	all := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.seen) >= len(s.expected)
	}
	for end := time.Now().Add(limit); !all() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *sight) latency() *latency.Histogram { return &s.page }

// readPage reads the live page as a browser does, until ctx ends.
func (s *summary) readPage(ctx context.Context, url, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read page: got %s", resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.readLine(lines.Text())
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("read page: the stream ended: %w", lines.Err())
}

// readLine takes in one line of the stream.
func (s *summary) readLine(line string) {
	data, ok := strings.CutPrefix(line, "data: ")
	if !ok {
		return
	}
	now := time.Now()
	var put struct {
		Kind  string
		Value struct {
			Event    string
			Revision int
			Boot     string
		}
	}
	if json.Unmarshal([]byte(data), &put) == nil && put.Kind == "event" && put.Value.Boot == s.boot {
		s.visible.see(step{put.Value.Event, put.Value.Revision}, now)
	}
}
