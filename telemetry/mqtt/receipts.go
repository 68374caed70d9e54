package mqtt

import (
	"slices"
	"time"

	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// wait is an alert that the broker has taken and no station has confirmed.
type wait struct {
	first time.Time // when the broker took it first on this connection
	due   time.Time // when it is sent again
	tries int
}

// longestWait limits the doubling: 2^3 times the receipt timeout.
const longestWait = 3

// await notes that the broker has an alert; a receipt that came before has deleted it
// already, and then the resend finds nothing to send.
func (g *generation) await(seq uint64) {
	now := time.Now()
	w := g.pipe.waiting[seq]
	if w == nil {
		w = &wait{first: now}
		g.pipe.waiting[seq] = w
	}
	w.due = now.Add(g.pipe.opts.ReceiptTimeout << min(w.tries, longestWait))
	w.tries++
	g.pipe.count(func(s *Stats) { s.Unreceipted = len(g.pipe.waiting) })
}

// overdue queues what has waited too long for its receipt to be sent again, in order.
func (g *generation) overdue(now time.Time) {
	for seq, w := range g.pipe.waiting {
		if now.Before(w.due) {
			continue
		}
		if item, ok := g.pipe.box.Next(outbox.Alerts, seq-1); !ok || item.Seq != seq {
			delete(g.pipe.waiting, seq) // its receipt came before its PUBACK
			continue
		}
		w.due = now.Add(g.pipe.opts.ReceiptTimeout << min(w.tries, longestWait)) // await sets it again
		g.resend = append(g.resend, seq)
	}
	slices.Sort(g.resend)
	g.resend = slices.Compact(g.resend)
	g.pipe.letters.prune(g.pipe.box)
	g.tellWaiting()
}

// tellWaiting puts the state of waiting into the statistics.
func (g *generation) tellWaiting() {
	var oldest time.Time
	for _, w := range g.pipe.waiting {
		if oldest.IsZero() || w.first.Before(oldest) {
			oldest = w.first
		}
	}
	g.pipe.count(func(s *Stats) { s.Unreceipted, s.WaitingFrom = len(g.pipe.waiting), oldest })
}

// receipt checks a receipt and returns what it says is stored. A retained one is as good
// as a fresh one: receipts may be repeated.
func (g *generation) receipt(m Message) []wire.Range {
	decoded, err := wire.Decode(m.Topic, m.Payload)
	if err == nil && len(g.pipe.opts.Trusted) > 0 {
		err = wire.Verify(decoded.(*wire.Receipt), g.pipe.opts.Trusted)
	}
	if err != nil {
		g.pipe.count(func(s *Stats) { s.BadReceipts++ })
		g.pipe.opts.Log.Warn("receipt ignored", "err", err)
		return nil
	}
	return decoded.(*wire.Receipt).Stored
}

// settled deletes what stations have stored, all of it with one write.
func (g *generation) settled(stored []wire.Range) {
	if len(stored) == 0 || g.pipe.opts.Ack != wire.AckReceipt {
		return
	}
	ids, err := g.pipe.box.Receive(stored)
	if err != nil {
		g.pipe.opts.Log.Warn("outbox keeps alerts that a station has stored", "err", err)
	}
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		delete(g.pipe.waiting, id.Seq)
		g.pipe.letters.arrived(id)
	}
	g.pipe.count(func(s *Stats) {
		s.Receipts++
		s.Unreceipted = len(g.pipe.waiting)
		s.Acked += uint64(len(ids))
		s.LastAck = time.Now()
	})
}
