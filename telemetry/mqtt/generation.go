package mqtt

import (
	"context"
	"fmt"
	"time"

	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// generation drains the outbox over one connection.
type generation struct {
	pipe    *Pipe
	number  uint64
	own     wire.Topic // of the status
	conn    *Conn
	inbox   chan Message // commands and receipts
	flights [2]flights
	resend  []uint64 // alerts whose receipt is overdue, in order
}

// flights are the messages of one lane that are under way, oldest first.
type flights struct {
	list  []flight
	bytes int
	sent  uint64 // number of the latest message published in this generation
}

type flight struct {
	id    outbox.ID
	size  int
	token Token
	since time.Time
}

func (g *generation) connect(ctx context.Context) (err error) {
	will, err := g.status(wire.Offline, "connection lost")
	if err != nil {
		return err
	}
	g.conn, err = Dial(ctx, g.pipe.opts.Broker, Session{ClientID: g.pipe.opts.ClientID, Will: will, Receive: g.receive})
	return err
}

// status encodes the retained status message.
func (g *generation) status(state wire.StatusState, reason string) (*Message, error) {
	s := g.pipe.opts.Status()
	s.State, s.Reason, s.Generation = state, reason, g.number
	payload, err := wire.Append(nil, s)
	if err != nil {
		return nil, err
	}
	wire.Stamp(payload, time.Now())
	return &Message{Topic: s.Topic().String(), Payload: payload, QoS: 1, Retained: true}, nil
}

// announce subscribes to commands and receipts and publishes the online status, and waits for both:
// a broker that does not answer is no link.
func (g *generation) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.pipe.opts.AckTimeout)
	defer cancel()
	online, err := g.status(wire.Online, "")
	if err != nil {
		return err
	}
	if err := g.subscribe(ctx, online.Topic); err != nil {
		return err
	}
	if err := g.conn.Wait(ctx, g.conn.Publish(*online)); err != nil {
		return fmt.Errorf("publish status: %w", err)
	}
	return nil
}

func (g *generation) subscribe(ctx context.Context, statusTopic string) error {
	t, err := wire.ParseTopic(statusTopic)
	if err != nil {
		return err
	}
	g.own = t
	var filters []string
	if g.pipe.opts.Command != nil {
		filter, err := wire.CommandFilter(t.Fleet, t.Drone)
		if err != nil {
			return err
		}
		filters = append(filters, filter)
	}
	if g.pipe.opts.Ack == wire.AckReceipt {
		filters = append(filters, wire.ReceiptTopic(t.Fleet, t.Drone).String())
	}
	if len(filters) == 0 {
		return nil
	}
	// Both are repeated by the station until they have had their effect.
	if err := g.conn.Wait(ctx, g.conn.SubscribeAtMostOnce(filters...)); err != nil {
		return fmt.Errorf("subscribe to commands and receipts: %w", err)
	}
	return nil
}

// receive runs in the goroutine of the connection, so it only queues.
func (g *generation) receive(m Message) {
	select {
	case g.inbox <- m:
	default:
		g.pipe.count(func(s *Stats) { s.CommandLost++ })
	}
}

// settle waits for subscribers to come back after an outage, but not when there is no
// time for that.
func (g *generation) settle(ctx context.Context) error {
	if g.pipe.Stats().Connections <= 1 || g.pipe.opts.Settle <= 0 {
		return nil
	}
	timer := time.NewTimer(g.pipe.opts.Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.pipe.flush:
	case <-g.conn.Lost():
		return g.conn.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// drain publishes until the connection or ctx ends. It returns nil when Flush was called
// and everything is acknowledged.
func (g *generation) drain(ctx context.Context) error {
	check := time.NewTicker(min(g.pipe.opts.AckTimeout, g.pipe.opts.ReceiptTimeout) / 4)
	defer check.Stop()
	clear(g.pipe.waiting) // all of it is sent again now
	g.pipe.letters.prune(g.pipe.box)
	g.tellWaiting()
	flush, flushing := g.pipe.flush, false
	for {
		if err := g.fill(); err != nil {
			return err
		}
		if flushing && g.idle() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.conn.Lost():
			return g.conn.Err()
		case <-flush:
			flush, flushing = nil, true
		case m := <-g.inbox:
			g.hear(m)
		case <-g.flights[outbox.Alerts].oldest():
		case <-g.flights[outbox.Bulk].oldest():
		case <-g.pipe.box.Ready():
		case now := <-check.C:
			g.overdue(now)
		}
		if err := g.collect(); err != nil {
			return err
		}
	}
}

// fill publishes what the windows allow. Bulk goes only while no alert waits for its window,
// and one message at a time so that an alert raised meanwhile overtakes the rest.
func (g *generation) fill() error {
	for {
		progress := g.publishNext(outbox.Alerts) || !g.alertsWait() && g.publishNext(outbox.Bulk)
		if err := g.conn.Err(); err != nil || !progress {
			return err
		}
	}
}

// alertsWait reports whether alerts wait that have not been sent on this connection.
func (g *generation) alertsWait() bool {
	if g.open(outbox.Alerts) || g.pipe.letters.careful() {
		return false
	}
	_, wait := g.pipe.box.Next(outbox.Alerts, g.flights[outbox.Alerts].sent)
	return wait
}

func (g *generation) publishNext(lane outbox.Lane) bool {
	f := &g.flights[lane]
	if !g.open(lane) {
		return false
	}
	item, ok := g.next(lane)
	if !ok {
		return false
	}
	now := time.Now()
	wire.Stamp(item.Payload, now)
	token := g.conn.Publish(Message{Topic: item.Topic, Payload: item.Payload, QoS: 1})
	f.sent = max(f.sent, item.Seq)
	f.bytes += len(item.Payload)
	f.list = append(f.list, flight{id: item.ID, size: len(item.Payload), token: token, since: now})
	g.pipe.published(item.ID)
	return true
}

// next returns what the lane should send: what has not been sent on this connection, then
// what waits too long for its receipt.
func (g *generation) next(lane outbox.Lane) (outbox.Item, bool) {
	after := g.flights[lane].sent
	item, ok := g.pipe.box.Next(lane, after)
	for ok && g.pipe.letters.dead(item.ID, time.Now()) {
		item, ok = g.pipe.box.Next(lane, item.Seq)
	}
	if ok || lane != outbox.Alerts {
		return item, ok
	}
	for len(g.resend) > 0 {
		seq := g.resend[0]
		g.resend = g.resend[1:]
		if item, ok = g.pipe.box.Next(lane, seq-1); ok && item.Seq == seq {
			return item, true
		}
	}
	return outbox.Item{}, false
}

// open reports whether the window of the lane has room.
func (g *generation) open(lane outbox.Lane) bool {
	f := &g.flights[lane]
	if g.pipe.letters.careful() { // one message at a time shows which one the broker does not take
		return len(g.flights[outbox.Alerts].list)+len(g.flights[outbox.Bulk].list) == 0
	}
	if lane == outbox.Alerts {
		return len(f.list) < g.pipe.opts.AlertWindow
	}
	return f.bytes < g.pipe.opts.BulkWindow
}

func (p *Pipe) published(id outbox.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Published++
	if id.Seq <= p.highest[id.Lane] {
		p.stats.Resent++
	}
	p.highest[id.Lane] = max(p.highest[id.Lane], id.Seq)
}

// idle reports whether nothing is under way and nothing waits.
func (g *generation) idle() bool {
	return len(g.flights[outbox.Alerts].list) == 0 && len(g.flights[outbox.Bulk].list) == 0 && g.pipe.empty()
}

// oldest is closed when the fate of the oldest message is known; nil when none is under way.
func (f *flights) oldest() <-chan struct{} {
	if len(f.list) == 0 {
		return nil
	}
	return f.list[0].token.Done()
}

// collect takes note of what the broker has acknowledged, and deletes it from the outbox
// with one write, unless a receipt has to come first.
func (g *generation) collect() error {
	var done []outbox.ID
	var failed error
	for lane := range g.flights {
		ids, err := g.flights[lane].landed(g.pipe.opts.AckTimeout)
		for _, id := range ids {
			g.pipe.letters.arrived(id)
			if id.Lane == outbox.Alerts && g.pipe.opts.Ack == wire.AckReceipt {
				g.await(id.Seq)
				continue
			}
			done = append(done, id)
		}
		if err != nil {
			failed = err
		}
	}
	if len(done) == 0 {
		return failed
	}
	if err := g.pipe.box.Ack(done...); err != nil {
		g.pipe.opts.Log.Warn("outbox keeps acknowledged messages", "err", err)
	}
	g.pipe.count(func(s *Stats) { s.Acked += uint64(len(done)); s.LastAck = time.Now() })
	return failed
}

// landed takes the acknowledged messages off the front. The error is that of the first
// message that failed or has been under way for longer than timeout.
func (f *flights) landed(timeout time.Duration) (ids []outbox.ID, err error) {
	for len(f.list) > 0 {
		first := f.list[0]
		select {
		case <-first.token.Done():
		default:
			if time.Since(first.since) > timeout {
				err = fmt.Errorf("no acknowledgement from the broker for %v", timeout)
			}
			return ids, err
		}
		if err := first.token.Error(); err != nil {
			return ids, fmt.Errorf("publish: %w", err)
		}
		ids = append(ids, first.id)
		f.bytes -= first.size
		f.list = f.list[1:]
	}
	return ids, nil
}

// hear takes in a message from the ground, and those behind it.
func (g *generation) hear(m Message) {
	var stored []wire.Range
	for more := true; more; {
		t, err := wire.ParseTopic(m.Topic)
		switch {
		case err != nil:
		case t.Fleet != g.own.Fleet || t.Drone != g.own.Drone: // a broker that mixes drones up, or worse
			g.pipe.count(func(s *Stats) { s.Misdirected++ })
		case t.Kind == wire.KindReceipt:
			stored = append(stored, g.receipt(m)...)
		case t.Kind == wire.KindCommand && g.pipe.opts.Command != nil: // our own cmd/result matches the filter too
			g.pipe.count(func(s *Stats) { s.Commands++ })
			g.pipe.opts.Command(t, m)
		}
		select {
		case m = <-g.inbox:
		default:
			more = false
		}
	}
	g.settled(stored)
}

// farewell publishes the offline status and disconnects, if the link still works.
func (g *generation) farewell() {
	_ = g.collect() // acknowledgements that arrived meanwhile
	offline, err := g.status(wire.Offline, "shutdown")
	if err != nil || g.conn.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if g.conn.Wait(ctx, g.conn.Publish(*offline)) == nil {
		g.conn.Disconnect(grace)
	}
}
