package pipeline

import (
	"context"
	"fmt"
	"math"

	"emberwing/camera"
)

// SetThreshold changes the threshold of a model while frames pass, from its next frame on; 0
// goes back to the configured one. It may be called from any goroutine.
func (l *Loop) SetThreshold(model int, threshold float32) error {
	if model < 0 || model >= len(l.lanes) || !(threshold >= 0 && threshold < 1) {
		return fmt.Errorf("set threshold: got model %d and %v, want 0..%d and a score in [0,1)", model, threshold, len(l.lanes)-1)
	}
	l.lanes[model].wanted.Store(math.Float32bits(threshold))
	return nil
}

// followThreshold takes over a threshold that was asked for.
func (ln *lane) followThreshold() {
	if bits := ln.wanted.Load(); bits != ln.inUse {
		ln.inUse = bits
		_ = ln.tracker.SetThreshold(math.Float32frombits(bits)) // in range: SetThreshold has looked
	}
}

// ask is a request for a copy of the next frame.
type ask struct {
	frame *camera.Frame
	done  chan struct{}
}

// Frame copies the next frame that the models get into dst. It returns the error of ctx when
// that ends first, as it does when the camera is stalled. It may be called from any
// goroutine, by one at a time.
func (l *Loop) Frame(ctx context.Context, dst *camera.Frame) error {
	a := &ask{frame: new(camera.Frame), done: make(chan struct{})}
	select {
	case l.asks <- a:
	case <-ctx.Done():
		return fmt.Errorf("wait for a frame: %w", ctx.Err())
	}
	select {
	case <-a.done:
		*dst = *a.frame
		return nil
	case <-ctx.Done():
	}
	select {
	case <-l.asks: // nobody has taken it
	default:
	}
	return fmt.Errorf("wait for a frame: %w", ctx.Err())
}

// answerAsks copies a frame for whoever asked.
func (l *Loop) answerAsks(f *camera.Frame) {
	select {
	case a := <-l.asks:
		a.frame.CopyFrom(f)
		close(a.done)
	default:
	}
}
