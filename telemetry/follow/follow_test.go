package follow_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"emberwing/telemetry/follow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// feed is a station that breaks every connection after a few rows.
type feed struct {
	t    *testing.T
	mu   sync.Mutex
	last int
	each int      // rows of one connection
	seen []string // cursors that were asked for
	code int      // answer instead, 0 for none
}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since := r.URL.Query().Get("since")
	f.seen = append(f.seen, since)
	if f.code != 0 {
		w.WriteHeader(f.code)
		fmt.Fprint(w, `{"error":"because"}`)
		return
	}
	from := 0
	switch {
	case since == "now":
		from = f.last
	case since != "":
		if _, err := fmt.Sscanf(since, "e-%d", &from); err != nil {
			f.t.Errorf("got cursor %q", since)
		}
	}
	fmt.Fprintf(w, "retry: 1000\nevent: hello\ndata: {\"epoch\":\"e\",\"last\":%d,\"station\":\"hill\"}\n\n", f.last)
	for row := from + 1; row <= min(f.last, from+f.each); row++ {
		fmt.Fprintf(w, "id: e-%d\nevent: entry\ndata: {\"row\":%d,\"kind\":\"alert\"}\n\n", row, row)
	}
	fmt.Fprint(w, "id: e-99\nevent: entry\ndata: {\"row\":99") // a row cut short is not a row
}

// taker notes rows, and ends the run after so many.
type taker struct {
	rows []int64
	stop int
	end  context.CancelFunc
	ups  int
}

func (k *taker) Row(i follow.Item) error {
	k.rows = append(k.rows, i.Entry.Row)
	if len(k.rows) == k.stop {
		k.end()
	}
	return nil
}
func (k *taker) Up(string, bool) { k.ups++ }
func (k *taker) Down(error)      {}

func start(t *testing.T, f *feed, o follow.Options) (*follow.Follower, func()) {
	t.Helper()
	server := httptest.NewServer(f)
	o.Station, o.Client = server.URL, server.Client()
	follower, err := follow.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return follower, server.Close
}

func TestBrokenConnectionsLoseAndRepeatNothing(t *testing.T) {
	f := &feed{t: t, last: 20, each: 3}
	follower, stop := start(t, f, follow.Options{Since: "e-4"})
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	k := &taker{stop: 16, end: cancel}
	if err := follower.Run(ctx, k); err != nil {
		t.Fatal(err)
	}
	var want []int64
	for row := int64(5); row <= 20; row++ {
		want = append(want, row)
	}
	if !slices.Equal(k.rows, want) || k.ups < 6 {
		t.Errorf("got %v over %d connections, want %v", k.rows, k.ups, want)
	}
}

// The end of the feed is where it was at first, also when the first connection brings no row.
func TestSinceNow(t *testing.T) {
	f := &feed{t: t, last: 20, each: 3}
	follower, stop := start(t, f, follow.Options{Since: "now"})
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	k := &taker{stop: 1, end: cancel}
	done := make(chan error, 1)
	go func() { done <- follower.Run(ctx, k) }()
	for {
		f.mu.Lock()
		again := len(f.seen) > 1
		f.last = 20 + map[bool]int{true: 1}[again]
		f.mu.Unlock()
		select {
		case err := <-done:
			if err != nil || !slices.Equal(k.rows, []int64{21}) || f.seen[1] != "e-20" {
				t.Errorf("got rows %v, %v, cursors %v", k.rows, err, f.seen)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestLostAndRefused(t *testing.T) {
	f := &feed{t: t, code: http.StatusServiceUnavailable}
	follower, stop := start(t, f, follow.Options{LostAfter: 50 * time.Millisecond})
	defer stop()
	for _, f.code = range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} { // both pass
		if err := follower.Run(t.Context(), &taker{}); !errors.Is(err, follow.ErrLost) {
			t.Errorf("%d: got %v, want ErrLost", f.code, err)
		}
	}
	f.mu.Lock()
	f.code = http.StatusUnauthorized
	f.mu.Unlock()
	if err := follower.Run(t.Context(), &taker{}); !errors.Is(err, follow.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	if err := follower.Acknowledge(t.Context(), 1, "fire", "ann", ""); !errors.Is(err, follow.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	if _, err := follow.New(follow.Options{Station: "tcp://h:1"}); err == nil {
		t.Error("an address that is not http was accepted")
	}
}
