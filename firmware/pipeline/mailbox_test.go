package pipeline

import (
	"context"
	"sync"
	"testing"
)

func TestMailboxNewestWins(t *testing.T) {
	m := NewMailbox[int]()
	if _, replaced := m.Put(1); replaced {
		t.Error("an empty mailbox replaced something")
	}
	if old, replaced := m.Put(2); !replaced || old != 1 {
		t.Errorf("got %d, %v, want the older item back", old, replaced)
	}
	if v, ok := m.Take(t.Context()); !ok || v != 2 {
		t.Errorf("got %d, %v, want the newest", v, ok)
	}
	if m.Replaced() != 1 {
		t.Errorf("got %d replaced, want 1", m.Replaced())
	}
	if v, ok := m.TryTake(); ok {
		t.Errorf("got %d out of an empty mailbox", v)
	}
}

func TestMailboxTakeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, ok := NewMailbox[int]().Take(ctx); ok {
		t.Errorf("got %d out of an empty mailbox", v)
	}
}

// TestMailbox_hammer: every item is taken, or handed back, exactly once, and
// items are taken in order.
func TestMailbox_hammer(t *testing.T) {
	const items = 20_000
	m := NewMailbox[int]()
	var wg sync.WaitGroup
	taken, returned := 0, 0
	wg.Go(func() {
		for last := 0; last < items; {
			v, ok := m.Take(t.Context())
			if !ok || v <= last {
				t.Errorf("took %d after %d", v, last)
				return
			}
			taken, last = taken+1, v
		}
	})
	for i := 1; i <= items; i++ {
		if _, replaced := m.Put(i); replaced {
			returned++
		}
	}
	wg.Wait()
	if taken+returned != items || uint64(returned) != m.Replaced() {
		t.Errorf("got %d taken and %d returned (%d counted) of %d", taken, returned, m.Replaced(), items)
	}
}

func TestMailboxAllocatesNothing(t *testing.T) {
	m := NewMailbox[*int]()
	x := new(int)
	if got := testing.AllocsPerRun(1000, func() { m.Put(x); m.Put(x); m.TryTake() }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
