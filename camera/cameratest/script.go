// Package cameratest holds a scripted [camera.Source] for tests and the
// contract suite that every source must pass.
package cameratest

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"emberwing/camera"
)

// Step is one event in the life of a scripted source.
type Step struct {
	// Frame is delivered as a copy when it is not nil. Its Seq and Captured
	// are set by the source.
	Frame *camera.Frame
	// Delay passes before the step takes effect.
	Delay time.Duration
	// Err is returned instead of a frame when it is not nil.
	Err error
	// Stall blocks ReadFrame until its context ends or the source is closed.
	// The script goes on with the next step at the next call.
	Stall bool
	// Lost is the number of frames that go missing before this one: the
	// sequence number jumps.
	Lost uint64
}

// Script is a [camera.Source] that plays its steps and then returns io.EOF.
type Script struct {
	info   camera.Info
	steps  []Step
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	next int
	seq  uint64
}

var _ camera.Source = (*Script)(nil)

// NewScript makes a source of the given steps.
func NewScript(steps ...Step) *Script {
	s := &Script{steps: steps, closed: make(chan struct{}), info: camera.Info{Kind: "script"}}
	for _, step := range steps {
		if f := step.Frame; f != nil {
			s.info.Width, s.info.Height = f.Width, f.Height
			break
		}
	}
	return s
}

// Frames returns n steps of flat RGB24 pictures of w by h pixels; every byte
// of picture k is k modulo 251.
func Frames(n, w, h int) []Step {
	steps := make([]Step, n)
	for i := range steps {
		steps[i].Frame = Flat(w, h, camera.RGB24, byte(i%251))
	}
	return steps
}

// Flat returns a frame with every byte the same.
func Flat(w, h int, format camera.Format, level byte) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, format)
	for i := range f.Pix {
		f.Pix[i] = level
	}
	return f
}

// Stall is a step that never delivers.
func Stall() Step { return Step{Stall: true} }

// Fail is a step that returns err.
func Fail(err error) Step { return Step{Err: err} }

// Short is a step that delivers a frame with fewer bytes than its geometry
// asks for, as a broken driver does.
func Short(w, h int) Step {
	f := Flat(w, h, camera.RGB24, 1)
	f.Pix = f.Pix[:len(f.Pix)/2]
	return Step{Frame: f}
}

// Info describes the script with the size of its first frame.
func (s *Script) Info() camera.Info { return s.info }

// Close ends the script and unblocks ReadFrame.
func (s *Script) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// ReadFrame plays the next step. A step whose delay or stall was cut short by
// ctx is over, except that a frame under way is kept for the next call.
func (s *Script) ReadFrame(ctx context.Context, f *camera.Frame) error {
	if err := s.stopped(ctx); err != nil {
		return err
	}
	step, ok := s.current()
	if !ok {
		return io.EOF
	}
	if step.Stall {
		s.advance(step)
		return s.block(ctx, nil)
	}
	if step.Delay > 0 {
		timer := time.NewTimer(step.Delay)
		defer timer.Stop()
		if err := s.block(ctx, timer.C); err != nil {
			return err
		}
	}
	seq := s.advance(step)
	if step.Err != nil {
		return step.Err
	}
	f.CopyFrom(step.Frame)
	f.Seq, f.Captured = seq, time.Now()
	return nil
}

// current returns the step under way.
func (s *Script) current() (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == len(s.steps) {
		return Step{}, false
	}
	return s.steps[s.next], true
}

// advance moves on and returns the sequence number of the step's frame.
func (s *Script) advance(step Step) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.seq += step.Lost
	seq := s.seq
	if step.Frame != nil {
		s.seq++
	}
	return seq
}

// block waits for c, the context or Close.
func (s *Script) block(ctx context.Context, c <-chan time.Time) error {
	select {
	case <-c:
		return nil
	case <-s.closed:
	case <-ctx.Done():
	}
	return s.stopped(ctx)
}

// stopped returns why ReadFrame must not go on, nil when it may.
func (s *Script) stopped(ctx context.Context) error {
	select {
	case <-s.closed:
		return fmt.Errorf("script: %w", os.ErrClosed)
	default:
		return ctx.Err()
	}
}
