package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"emberwing/camera"
	"emberwing/firmware/health"
)

// Opener opens the source of frames. It is called again after each loss of the
// source and must return soon after ctx is done.
type Opener func(ctx context.Context) (camera.Source, error)

// SourceState names what the source is doing.
type SourceState string

// The states of a source, as the health message writes them.
const (
	SourceOK        SourceState = "ok"
	SourceStalled   SourceState = "stalled"
	SourceReopening SourceState = "reopening"
	SourceEnded     SourceState = "ended"
)

// SourceReport is what is known about the source of frames.
type SourceReport struct {
	Name    string
	State   SourceState
	Gaps    uint64        // interruptions so far
	Gap     time.Duration // length of the latest interruption; of the present one while it lasts
	Missed  uint64        // frames missing in the sequence numbers
	Reopens uint64        // times the source was opened again
}

// backoff is the wait before a source is opened again: full jitter under a
// bound that doubles from first to last.
const (
	backoffFirst = 250 * time.Millisecond
	backoffLast  = 10 * time.Second
)

// errStalled is the cause of a read that ended for want of frames.
var errStalled = fmt.Errorf("no frame in time: %w", os.ErrDeadlineExceeded)

// frameStore lends the memory that frames are captured into.
type frameStore interface {
	borrow() *camera.Frame
	deliver(*camera.Frame)  // a captured frame
	giveBack(*camera.Frame) // a frame that nothing was captured into
}

// capturer reads frames for as long as the loop runs and keeps the report.
type capturer struct {
	open   Opener
	stall  time.Duration
	reopen bool // open again at the end of a source that ends
	health *health.Tracker
	frames frameStore

	mu       sync.Mutex
	report   SourceReport
	lastSeen time.Time // when the last frame came, or when waiting began
	lastSeq  uint64
	seen     bool // lastSeq is valid for the open source
}

// run reads until ctx is done, or the source ends and is not to be reopened.
func (c *capturer) run(ctx context.Context) {
	c.lastSeen = time.Now()
	for attempt := 0; ; attempt++ {
		frames, err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, io.EOF) && !c.reopen {
			c.ended()
			return
		}
		if frames > 0 {
			attempt = 0
		}
		if !errors.Is(err, io.EOF) {
			c.lost(err)
		}
		if !pause(ctx, jitter(attempt)) {
			return
		}
		c.update(func(r *SourceReport) { r.Reopens++ })
	}
}

// jitter returns a random wait under a bound that doubles with each attempt.
func jitter(attempt int) time.Duration {
	bound := min(backoffFirst<<min(attempt, 10), backoffLast)
	return time.Duration(rand.Int64N(int64(bound)) + 1)
}

// pause waits for d and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// session opens the source and reads it until it fails, ends or stalls. It
// returns how many frames came.
func (c *capturer) session(ctx context.Context) (frames int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	src, err := c.opened(ctx)
	if err != nil {
		return 0, fmt.Errorf("open source: %w", explain(ctx, err))
	}
	defer src.Close()
	timer := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	defer timer.Stop()
	c.update(func(r *SourceReport) { r.Name = src.Info().Name })
	for ; ; frames++ {
		f := c.frames.borrow()
		if err := src.ReadFrame(ctx, f); err != nil {
			c.frames.giveBack(f)
			return frames, fmt.Errorf("read frame: %w", explain(ctx, err))
		}
		timer.Reset(c.stall)
		c.arrived(f)
		c.frames.deliver(f)
	}
}

// opened opens the source. Cameras may take long to open, so that is not a
// stall; but it is told.
func (c *capturer) opened(ctx context.Context) (camera.Source, error) {
	slow := time.AfterFunc(c.stall, func() {
		c.health.Raise(health.SourceClosed, health.Warning, "the source is slow to open; waiting for it")
	})
	defer slow.Stop()
	return c.open(ctx)
}

// explain returns the reason for which the context ended, if it did, and
// otherwise err.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// arrived notes a frame: the end of a gap, and numbers missing before it.
func (c *capturer) arrived(f *camera.Frame) {
	now := time.Now()
	c.mu.Lock()
	if c.report.State != SourceOK {
		if c.report.State != "" {
			c.report.Gap = now.Sub(c.lastSeen)
		}
		c.report.State = SourceOK
		c.seen = false
		c.health.Clear(health.SourceStalled)
		c.health.Clear(health.SourceClosed)
	}
	if c.seen && f.Seq > c.lastSeq+1 {
		c.report.Missed += f.Seq - c.lastSeq - 1
	}
	c.lastSeq, c.seen, c.lastSeen = f.Seq, true, now
	c.mu.Unlock()
}

// lost notes that frames stopped coming, and raises the condition for it.
func (c *capturer) lost(err error) {
	stalled := errors.Is(err, errStalled)
	c.update(func(r *SourceReport) {
		if r.State == SourceOK || r.State == "" {
			r.Gaps++
		}
		r.State = SourceReopening
		if stalled {
			r.State = SourceStalled
		}
	})
	if stalled {
		c.health.Raise(health.SourceStalled, health.Alarm, fmt.Sprintf("no frame for %v; reopening the source", c.stall))
		return
	}
	c.health.Raise(health.SourceClosed, health.Alarm, fmt.Sprintf("%v; opening it again", err))
}

func (c *capturer) ended() {
	c.update(func(r *SourceReport) { r.State = SourceEnded })
	c.health.Raise(health.SourceEnded, health.Info, "the source has no more frames")
}

func (c *capturer) update(change func(*SourceReport)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.report)
}

// Report returns what is known now.
func (c *capturer) Report() SourceReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.report
	if r.State == SourceStalled || r.State == SourceReopening {
		r.Gap = time.Since(c.lastSeen)
	}
	if r.State == "" {
		r.State = SourceReopening
	}
	return r
}
