// Package boardstest tests what uses a board without one: a fake status
// output that remembers what it was told, and the contract that every status
// output has to keep.
package boardstest

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"emberwing/boards"
)

var _ boards.StatusOutput = (*Output)(nil)

// Output is a fake status output. The zero value is ready, off, and may be
// used from several goroutines.
type Output struct {
	mu     sync.Mutex
	levels []bool
	closed bool
	fault  error
}

// Set records the level.
func (o *Output) Set(on bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return os.ErrClosed
	}
	if o.fault != nil {
		return o.fault
	}
	o.levels = append(o.levels, on)
	return nil
}

// Close records that the output was switched off.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.levels = append(o.levels, false)
	}
	return nil
}

// Fail makes the following calls of Set fail with err, or succeed for nil.
func (o *Output) Fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = err
}

// Levels returns every level set so far, that of Close included.
func (o *Output) Levels() []bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.levels)
}

// On says whether the output is on.
func (o *Output) On() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.levels) > 0 && o.levels[len(o.levels)-1]
}

// TestOutput runs the contract of [boards.StatusOutput] on outputs that open
// makes. Its second result tells the level of the physical line.
func TestOutput(t *testing.T, open func(t *testing.T) (out boards.StatusOutput, level func() bool)) {
	t.Helper()
	t.Run("follows Set", func(t *testing.T) {
		out, level := open(t)
		defer out.Close()
		for i, on := range []bool{true, true, false, true, false} {
			if err := out.Set(on); err != nil {
				t.Fatalf("set %d: %v", i, err)
			}
			if level() != on {
				t.Errorf("set %d: line is %v, want %v", i, level(), on)
			}
		}
	})
	t.Run("off after Close", func(t *testing.T) {
		out, level := open(t)
		if err := errors.Join(out.Set(true), out.Close()); err != nil {
			t.Fatal(err)
		}
		if level() {
			t.Error("line is on after Close")
		}
	})
	t.Run("Set after Close", func(t *testing.T) {
		out, level := open(t)
		if err := errors.Join(out.Close(), out.Close()); err != nil {
			t.Fatalf("two calls of Close: %v", err)
		}
		if err := out.Set(true); !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, want %v", err, os.ErrClosed)
		}
		if level() {
			t.Error("line is on after Close")
		}
	})
	t.Run("does not allocate", func(t *testing.T) {
		out, _ := open(t)
		defer out.Close()
		on := false
		if n := testing.AllocsPerRun(100, func() { on = !on; _ = out.Set(on) }); n != 0 {
			t.Errorf("Set allocates %v times", n)
		}
	})
}
