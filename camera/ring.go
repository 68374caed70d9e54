package camera

import (
	"errors"
	"fmt"
	"sync"
)

// Errors of [Ring.Release].
var (
	// ErrForeignFrame reports a frame that does not belong to the ring.
	ErrForeignFrame = errors.New("foreign frame")
	// ErrDoubleRelease reports a frame that was not borrowed.
	ErrDoubleRelease = errors.New("frame released twice")
)

// poison is what a released frame is filled with in a poisoned ring.
const poison = 0xDB

// Ring is a fixed set of frames that are borrowed and released. It allocates
// only when it is made; the frames grow to the size of the pictures on first
// use and then stay. All methods are safe for concurrent use.
type Ring struct {
	mu       sync.Mutex
	frames   []Frame
	borrowed []bool
	free     []int // indices into frames, used as a stack
	poisoned bool
	stats    RingStats
}

// RingStats counts what happened to a [Ring] since it was made.
type RingStats struct {
	// Borrowed is the number of frames that are out now.
	Borrowed int
	// Starved counts calls of Borrow that found no free frame.
	Starved uint64
	// Misuse counts foreign and double releases.
	Misuse uint64
}

// NewRing makes a ring of n frames. A ring of less than one frame is empty:
// its Borrow always reports false.
func NewRing(n int) *Ring {
	n = max(n, 0)
	r := &Ring{frames: make([]Frame, n), borrowed: make([]bool, n), free: make([]int, n)}
	for i := range r.free {
		r.free[i] = n - 1 - i
	}
	return r
}

// Poison makes every later Release overwrite the pixels and clear the other
// fields, so that a test sees a holder that reads on after giving a frame
// back. Meant for tests: it costs a write of every byte.
func (r *Ring) Poison() {
	r.mu.Lock()
	r.poisoned = true
	r.mu.Unlock()
}

// Len returns the number of frames in the ring.
func (r *Ring) Len() int { return len(r.frames) }

// Borrow takes a free frame; the caller owns it until Release. It reports
// false, and counts it, when all frames are out. The pixels are those of an
// earlier picture.
func (r *Ring) Borrow() (*Frame, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) == 0 {
		r.stats.Starved++
		return nil, false
	}
	i := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	r.borrowed[i] = true
	r.stats.Borrowed++
	return &r.frames[i], true
}

// Release gives a frame back. It returns [ErrForeignFrame] for a frame of
// somewhere else (nil too) and [ErrDoubleRelease] for one that is not out;
// both are counted and change nothing.
func (r *Ring) Release(f *Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.index(f)
	if i < 0 {
		r.stats.Misuse++
		return fmt.Errorf("release frame: %w", ErrForeignFrame)
	}
	if !r.borrowed[i] {
		r.stats.Misuse++
		return fmt.Errorf("release frame %d of %d: %w", i, len(r.frames), ErrDoubleRelease)
	}
	if r.poisoned {
		f.poison()
	}
	r.borrowed[i] = false
	r.free = append(r.free, i)
	r.stats.Borrowed--
	return nil
}

// Stats returns the counters.
func (r *Ring) Stats() RingStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// index returns the position of f in the ring, -1 when it is not of the ring.
func (r *Ring) index(f *Frame) int {
	for i := range r.frames {
		if f == &r.frames[i] {
			return i
		}
	}
	return -1
}

// poison overwrites the whole capacity and forgets the picture.
func (f *Frame) poison() {
	pix := f.Pix[:cap(f.Pix)]
	for i := range pix {
		pix[i] = poison
	}
	*f = Frame{Pix: pix[:0]}
}
