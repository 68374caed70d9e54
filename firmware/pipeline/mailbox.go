package pipeline

import (
	"context"
	"sync/atomic"
)

// Mailbox holds the newest item between one producer and one consumer.
type Mailbox[T any] struct {
	slot     chan T
	replaced atomic.Uint64
}

// NewMailbox returns an empty mailbox.
func NewMailbox[T any]() *Mailbox[T] { return &Mailbox[T]{slot: make(chan T, 1)} }

// Put leaves v for the consumer. An item that nobody took gives way: it is
// counted, returned, and belongs to the caller again.
func (m *Mailbox[T]) Put(v T) (old T, replaced bool) {
	select {
	case m.slot <- v:
		return old, false
	default:
	}
	select {
	case old = <-m.slot:
		replaced = true
		m.replaced.Add(1)
	default: // the consumer was faster
	}
	m.slot <- v // the only producer is here, so there is room
	return old, replaced
}

// Take waits for an item. It reports false when ctx is done.
func (m *Mailbox[T]) Take(ctx context.Context) (v T, ok bool) {
	select {
	case v = <-m.slot:
		return v, true
	case <-ctx.Done():
		return v, false
	}
}

// TryTake returns the item that is there, if any.
func (m *Mailbox[T]) TryTake() (v T, ok bool) {
	select {
	case v = <-m.slot:
		return v, true
	default:
		return v, false
	}
}

// Replaced returns how many items gave way to newer ones.
func (m *Mailbox[T]) Replaced() uint64 { return m.replaced.Load() }
