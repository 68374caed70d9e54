package main

import (
	"cmp"
	"slices"
	"sync"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

var _ mqtt.Outbox = (*box)(nil)

// box is the outbox of a simulated drone: in memory, since ten thousand files that are
// synced would measure the disk of this machine and nothing else.
type box struct {
	boot  string
	ready chan struct{}

	mu    sync.Mutex
	next  [2]uint64
	items [2][]outbox.Item // by number
	put   [2]uint64
	bytes uint64
}

func newBox(boot string) *box { return &box{boot: boot, ready: make(chan struct{}, 1)} }

// add numbers and encodes a message and queues it.
func (b *box) add(m wire.Message) error {
	lane, err := outbox.LaneOf(m)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m.Head().Seq = b.next[lane] + 1
	payload, err := wire.Append(nil, m)
	if err != nil {
		return err
	}
	b.next[lane]++
	b.put[lane]++
	b.bytes += uint64(len(payload))
	b.items[lane] = append(b.items[lane], outbox.Item{
		ID: outbox.ID{Lane: lane, Seq: b.next[lane]}, Topic: m.Topic().String(), Payload: payload})
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return nil
}

func find(items []outbox.Item, seq uint64) (int, bool) {
	return slices.BinarySearchFunc(items, seq, func(i outbox.Item, seq uint64) int { return cmp.Compare(i.Seq, seq) })
}

// Next implements mqtt.Outbox.
func (b *box) Next(lane outbox.Lane, after uint64) (outbox.Item, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items[lane]
	i, _ := find(items, after+1)
	if i == len(items) {
		return outbox.Item{}, false
	}
	item := items[i]
	item.Payload = slices.Clone(item.Payload)
	return item, true
}

// Ack implements mqtt.Outbox.
func (b *box) Ack(ids ...outbox.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if i, ok := find(b.items[id.Lane], id.Seq); ok {
			b.items[id.Lane] = slices.Delete(b.items[id.Lane], i, i+1)
		}
	}
	return nil
}

// Receive implements mqtt.Outbox.
func (b *box) Receive(stored []wire.Range) (ids []outbox.ID, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items[outbox.Alerts] = slices.DeleteFunc(b.items[outbox.Alerts], func(i outbox.Item) bool {
		gone := slices.ContainsFunc(stored, func(r wire.Range) bool {
			return r.Boot == b.boot && r.From <= i.Seq &&
				i.Seq <= r.To
		})
		if gone {
			ids = append(ids, i.ID)
		}
		return gone
	})
	return ids, nil
}

// Bury implements mqtt.Outbox.
func (b *box) Bury(id outbox.ID) error { return b.Ack(id) }

// Ready implements mqtt.Outbox.
func (b *box) Ready() <-chan struct{} { return b.ready }

// waiting returns how many messages of each lane have not arrived.
func (b *box) waiting() (alerts, bulk int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items[outbox.Alerts]), len(b.items[outbox.Bulk])
}
