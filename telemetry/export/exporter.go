package export

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Feed is where events come from. *store.Store is one.
type Feed interface {
	Feed(ctx context.Context, after int64, limit int) ([]store.Entry, error)
	Last() int64
	// Mark and SetMark keep how far a target has come.
	Mark(ctx context.Context, name string) (row int64, ok bool, err error)
	SetMark(ctx context.Context, name string, row int64) error
}

// Exporter follows the feed and hands each step of each event to one target, in order. It
// remembers in the store how far it has come; what the target does not take is tried again,
// and what it refuses for good is counted and passed over. Trouble with target or store ends
// nothing: Stats tells it, and it is over as soon as they work again.
type Exporter struct {
	Target  Target
	Sink    Sink
	Feed    Feed
	Options Options
	// Changed returns a channel that is closed when the feed has grown.
	Changed func() <-chan struct{}
	// Active reports whether this station is the one to hand things on. Another one only
	// keeps up, so far behind that it can take over where the active one fell silent.
	Active func() bool
	Lag    time.Duration // of one that is not active, 30 s
	Log    *slog.Logger  // slog.Default

	mu    sync.Mutex
	stats Stats
}

// Stats counts since the Exporter was made.
type Stats struct {
	Sent    uint64
	Failed  uint64 // attempts that are repeated
	Refused uint64 // for good
	Skipped uint64 // without a position, in a format that needs one
	Last    string // the latest error

	Trouble string    // why nothing is handed on now; "" while things go well
	Since   time.Time // of Trouble
}

// Stats returns the counters.
func (x *Exporter) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stats
}

func (x *Exporter) count(f func(*Stats)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.stats)
}

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
	batchSize  = 64
)

// troubled notes why nothing is handed on; nil says that something was.
func (x *Exporter) troubled(err error) {
	x.count(func(s *Stats) {
		switch {
		case err == nil:
			s.Trouble, s.Since = "", time.Time{}
			return
		case s.Trouble == "":
			s.Since = time.Now()
		}
		s.Trouble, s.Last = err.Error(), err.Error()
	})
}

// Run hands on until ctx ends. An exporter that is new begins with what comes next.
func (x *Exporter) Run(ctx context.Context) {
	if x.Log == nil {
		x.Log = slog.Default()
	}
	if x.Lag <= 0 {
		x.Lag = 30 * time.Second
	}
	row := x.begin(ctx)
	for wait := firstRetry; ctx.Err() == nil; {
		changed := x.Changed()
		next, err := x.advance(ctx, row)
		moved := next != row
		row = next
		switch {
		case err != nil:
			wait = x.pause(ctx, wait, err)
			continue
		case moved:
			wait = firstRetry
			continue
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // to become active, or for the lag to pass
		case <-ctx.Done():
		}
	}
}

// begin returns the row to go on after; it asks the store until that answers.
func (x *Exporter) begin(ctx context.Context) (row int64) {
	for wait := firstRetry; ctx.Err() == nil; {
		row, known, err := x.Feed.Mark(ctx, x.Target.String())
		switch {
		case err != nil:
			wait = x.pause(ctx, wait, err)
		case known:
			return row
		default:
			return x.Feed.Last()
		}
	}
	return 0
}

// pause tells that the store does not answer, waits, and returns for how long to wait next time.
func (x *Exporter) pause(ctx context.Context, wait time.Duration, err error) time.Duration {
	if ctx.Err() != nil {
		return wait
	}
	x.troubled(err)
	x.Log.Error("exports wait for the store", "target", x.Target, "err", err)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return min(2*wait, lastRetry)
}

// advance hands on the next rows and returns the last that is done with.
func (x *Exporter) advance(ctx context.Context, row int64) (int64, error) {
	entries, err := x.Feed.Feed(ctx, row, batchSize)
	if err != nil || len(entries) == 0 {
		return row, err
	}
	active, before := x.Active(), row
	for i := range entries {
		e := &entries[i]
		if !active && time.Since(e.At.Time) < x.Lag {
			break
		}
		if active && !x.deliver(ctx, e) {
			break // ctx has ended
		}
		row = e.Row
	}
	if row == before {
		return row, nil
	}
	// The end of ctx must not make the target see again what it has taken.
	err = x.Feed.SetMark(context.WithoutCancel(ctx), x.Target.String(), row)
	if err == nil {
		x.troubled(nil)
	}
	return row, err
}

// deliver hands one row on, and tries for as long as the target may take it. It reports
// false when ctx ended first.
func (x *Exporter) deliver(ctx context.Context, e *store.Entry) bool {
	view, ok := asOf(e)
	if !ok {
		return true
	}
	body, err := Encode(x.Target.Format, view, x.Options)
	if err != nil {
		x.count(func(s *Stats) { s.Skipped++; s.Last = err.Error() })
		if !errors.Is(err, ErrNoPosition) {
			x.Log.Error("event not exported", "target", x.Target, "err", err)
		}
		return true
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := x.Sink.Send(ctx, FileName(view), body)
		switch {
		case err == nil:
			x.count(func(s *Stats) { s.Sent++ })
			x.troubled(nil)
			return true
		case permanent(err):
			x.count(func(s *Stats) { s.Refused++; s.Last = err.Error() })
			x.Log.Error("event refused by the target", "target", x.Target, "event", view.Event, "err", err)
			return true
		}
		x.count(func(s *Stats) { s.Failed++ })
		x.troubled(err)
		x.Log.Warn("event not exported yet", "target", x.Target, "event", view.Event, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// asOf is the event as it stood with this row; false when the row changes nothing that is
// exported.
func asOf(e *store.Entry) (*store.Event, bool) {
	if e.Event == nil || e.Event.Latest == nil {
		return nil, false
	}
	view := *e.Event
	view.Row = e.Row
	switch e.Kind {
	case store.EntryVerdict:
		view.Verdict = e.Verdict
		return &view, e.Verdict != nil
	case store.EntryAlert:
		a := e.Alert
		view.Latest, view.Label, view.Phase, view.Revision, view.Last = a, a.Label, a.Phase, a.Revision, e.At
		view.Started, view.Ended, view.Late, view.Peak = a.Started, a.Ended, a.Late, a.Evidence.Peak
		if a.Phase == wire.PhaseBegin {
			view.Steps = 1
		}
		if view.Verdict != nil && view.Verdict.At.After(e.At.Time) {
			view.Verdict = nil
		}
		return &view, true
	}
	return nil, false
}
