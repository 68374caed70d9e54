package drone

import (
	"sync"
	"time"

	"emberwing/firmware/config"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// timedBox is an outbox that measures how long alerts wait for their
// acknowledgement.
type timedBox struct {
	*outbox.Box
	mu      sync.Mutex
	since   map[outbox.ID]time.Time
	publish latency.Histogram
	raised  uint64 // alerts taken
}

// maxTimed bounds how many alerts are timed at once; in a long outage the
// others are delivered untimed.
const maxTimed = 4096

func newTimedBox(b *outbox.Box) *timedBox {
	return &timedBox{Box: b, since: make(map[outbox.ID]time.Time)}
}

// Put keeps m and starts its time.
func (b *timedBox) Put(m wire.Message) error {
	start := time.Now()
	err := b.Box.Put(m)
	lane, unknown := outbox.LaneOf(m)
	if unknown != nil || lane != outbox.Alerts {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, alert := m.(*wire.Alert); alert && err == nil {
		b.raised++
	}
	if len(b.since) < maxTimed {
		b.since[outbox.ID{Lane: lane, Seq: m.Head().Seq}] = start
	}
	return err
}

// Ack forgets messages and stops their time.
func (b *timedBox) Ack(ids ...outbox.ID) error {
	b.stop(ids)
	return b.Box.Ack(ids...)
}

// Receive forgets what a station has stored and stops its time.
func (b *timedBox) Receive(stored []wire.Range) ([]outbox.ID, error) {
	ids, err := b.Box.Receive(stored)
	b.stop(ids)
	return ids, err
}

func (b *timedBox) stop(ids []outbox.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if start, ok := b.since[id]; ok {
			b.publish.Since(start)
			delete(b.since, id)
		}
	}
}

// link reports about pipe and outbox in the terms of the messages. It
// implements uplink.
type link struct {
	pipe *mqtt.Pipe
	box  *timedBox
}

// State implements uplink.
func (l link) State() wire.LinkState {
	s := l.pipe.Stats()
	return wire.LinkState{Connected: s.Connected, Generation: s.Connections, Failures: s.Failures, LastError: clip(s.LastError)}
}

// Delivery implements uplink.
func (l link) Delivery() wire.Delivery {
	s, b := l.pipe.Stats(), l.box.Stats()
	return wire.Delivery{
		Queued: b.Queued, Sent: s.Published, Acked: b.Acked, Resent: s.Resent, Dropped: b.BulkDropped + b.AlertsLost,
		AlertDepth: uint64(b.AlertDepth), BulkDepth: uint64(b.BulkDepth), BulkBytes: uint64(b.BulkBytes), Connections: s.Connections,
		Merged: b.BulkMerged, Dead: s.Dead, AlertsLost: b.AlertsLost, AlertMemory: uint64(b.MemoryAlerts),
	}
}

// Trouble implements uplink.
func (l link) Trouble() trouble {
	s := l.pipe.Stats()
	t := trouble{unconfirmed: s.Unreceipted, dead: s.Dead, lastDead: s.LastDead}
	if !s.WaitingFrom.IsZero() {
		t.since = time.Since(s.WaitingFrom)
	}
	return t
}

// PublishLatency implements uplink.
func (l link) PublishLatency() *latency.Histogram { return &l.box.publish }

// settle is how long alerts of an outage wait after it for the subscribers that
// were away too: without receipts, nobody else would ever see them.
const settle = 2 * time.Second

// openLink makes the pipe that drains box to the configured broker.
func openLink(c config.MQTT, box *timedBox, d *Drone) (link, error) {
	broker, err := brokerOf(c)
	if err != nil {
		return link{}, err
	}
	opts := mqtt.Options{
		Broker: broker, Backoff: mqtt.Backoff{Min: c.BackoffMin.D(), Max: c.BackoffMax.D()},
		Status: d.id.status, Log: d.log,
		Ack: d.id.ack, ReceiptTimeout: c.ReceiptTimeout.D(), Trusted: d.id.trusted,
	}
	if len(d.id.trusted) > 0 {
		opts.Command = func(t wire.Topic, m mqtt.Message) { d.orders.take(t, m) }
	}
	if d.id.ack == wire.AckBroker {
		opts.Settle = settle
		d.log.Warn("mqtt.ack is broker: an alert is forgotten once the broker has it, whether or not anybody has stored it")
	}
	pipe, err := mqtt.New(opts, box)
	return link{pipe, box}, err
}
