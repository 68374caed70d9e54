package ground

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// arrived is an alert or a result on its way to the disk.
type arrived struct {
	store.Arrival
	shown bool // to the handler, without having been stored
}

// Limits of the ingest.
const (
	maxBatch    = 256         // messages in one transaction
	maxUnstored = 4096        // messages kept in memory while the store does not take any
	retryStore  = time.Second // between attempts to store those
)

// handleAlert takes a message of the alert session. It runs ahead of the store by as much
// as the queue holds; beyond, the broker has to wait.
func (s *Station) handleAlert(m mqtt.Message) {
	now := time.Now()
	decoded := s.decode(m, now)
	switch decoded := decoded.(type) {
	case *wire.Alert:
		decoded.Late = decoded.Delay() > s.opts.LateAfter
		s.arrivals <- arrived{Arrival: store.Arrival{Message: decoded, Payload: m.Payload, At: now}}
	case *wire.Result:
		s.arrivals <- arrived{Arrival: store.Arrival{Message: decoded, Payload: m.Payload, At: now}}
	case *wire.Command:
		s.handleVerdict(decoded)
	}
}

// decode counts the message, and returns nil when it is a bad one.
func (s *Station) decode(m mqtt.Message, now time.Time) wire.Message {
	decoded, err := wire.Decode(m.Topic, m.Payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Messages++
	if err == nil {
		return decoded
	}
	s.stats.noteBad(err)
	if now.Sub(s.lastBad) >= time.Second { // at most one line a second
		s.lastBad = now
		s.opts.Log.Warn("bad message", "err", err, "malformed", s.stats.Malformed, "mismatched", s.stats.Mismatched,
			"oversized", s.stats.Oversized)
	}
	return nil
}

func (c *StationStats) noteBad(err error) {
	c.LastBad = err.Error()
	switch {
	case errors.Is(err, wire.ErrMismatch):
		c.Mismatched++
	case errors.Is(err, wire.ErrTooLarge):
		c.Oversized++
	default:
		c.Malformed++
	}
}

// ingest stores what arrives. While a transaction is under way the next batch gathers, so
// that a busy station syncs less often per message.
func (s *Station) ingest(ctx context.Context) {
	var unstored []arrived
	retry := time.NewTicker(retryStore)
	defer retry.Stop()
	for {
		var batch []arrived
		select {
		case first := <-s.arrivals:
			batch = s.gather(first)
		case <-retry.C:
			if len(unstored) == 0 {
				continue
			}
		case <-ctx.Done():
			s.commit(append(unstored, s.drain()...))
			return
		}
		unstored = s.keep(s.commit(append(unstored, batch...)))
	}
}

func (s *Station) gather(first arrived) []arrived {
	batch := append(make([]arrived, 0, 8), first)
	for len(batch) < maxBatch {
		select {
		case more := <-s.arrivals:
			batch = append(batch, more)
		default:
			return batch
		}
	}
	return batch
}

// drain returns what is left when nothing more can arrive.
func (s *Station) drain() (rest []arrived) {
	for {
		select {
		case more := <-s.arrivals:
			rest = append(rest, more)
		default:
			return rest
		}
	}
}

// keep bounds what waits for the store; the oldest is given up.
func (s *Station) keep(unstored []arrived) []arrived {
	surplus := max(0, len(unstored)-maxUnstored)
	s.count(func(c *StationStats) {
		c.Unstored = uint64(len(unstored) - surplus)
		c.Given += uint64(surplus)
	})
	return slices.Delete(unstored, 0, surplus)
}

// commit stores a batch and answers it. It returns what could not be stored.
func (s *Station) commit(batch []arrived) (unstored []arrived) {
	if len(batch) == 0 {
		return nil
	}
	outcomes, err := s.opts.Store.Put(context.Background(), arrivalsOf(batch))
	if err == nil {
		s.clearAlarm("store-failed")
		s.settle(batch, outcomes)
		return nil
	}
	s.raise("store-failed", wire.SeverityAlarm, "alerts are shown but not stored, and get no receipt: "+hint(err))
	if len(batch) > 1 && !store.IsUnavailable(err) { // one of them may be what the store does not take
		for i := range batch {
			unstored = append(unstored, s.commit(batch[i:i+1])...)
		}
		return unstored
	}
	for i := range batch {
		s.showUnstored(&batch[i])
	}
	return batch
}

// hint adds what a person can do.
func hint(err error) string {
	switch {
	case store.IsFull(err):
		return err.Error() + " (make room on the disk of --store, or use another one)"
	case store.IsDamaged(err):
		return err.Error() + " (start the station again: it then salvages what is intact)"
	case store.IsUnavailable(err):
		return err.Error() + " (look at the disk of --store: it does not take what is written)"
	}
	return err.Error()
}

func arrivalsOf(batch []arrived) []store.Arrival {
	out := make([]store.Arrival, len(batch))
	for i := range batch {
		out[i] = batch[i].Arrival
	}
	return out
}

// showUnstored lets operators see an alert that is not on disk yet.
func (s *Station) showUnstored(a *arrived) {
	if a.shown {
		return
	}
	a.shown = true
	s.deliver(Received{Message: a.Message, At: a.At, Bytes: len(a.Payload)})
}

// settle answers a batch that is on disk, and shows what is new of it.
func (s *Station) settle(batch []arrived, outcomes []store.Outcome) {
	for i := range batch {
		s.toDisk.Since(batch[i].At)
	}
	s.answer(receiptsFor(batch))
	s.noteStored(batch, outcomes)
	s.feed.append(outcomes)
	for i, o := range outcomes {
		if o.Fate != store.Stored {
			continue
		}
		s.deliver(Received{Message: batch[i].Message, At: batch[i].At, Bytes: len(batch[i].Payload), Missing: o.Missing,
			Entry: o.Entry})
		s.toPage.Since(batch[i].At)
	}
}

func (s *Station) noteStored(batch []arrived, outcomes []store.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Commits++
	for i, o := range outcomes {
		h := batch[i].Message.Head()
		d := s.fleet.drone(h)
		switch o.Fate {
		case store.Stored:
			s.stats.Stored++
			d.noteAlert(h)
		case store.Duplicate:
			s.stats.Replayed++
		case store.Conflict:
			s.stats.Conflicts++
		}
		d.heardFrom(h, batch[i].At)
		d.clock.note(h, batch[i].At.Sub(s.began))
	}
}

// receiptsFor joins what is stored into as few receipts as can be: one per drone, unless
// there are very many gaps.
func receiptsFor(batch []arrived) []*wire.Receipt {
	stored := make(map[[2]string][]wire.Range)
	for i := range batch {
		h := batch[i].Message.Head()
		if h.Seq > 0 {
			key := [2]string{h.Fleet, h.Drone}
			stored[key] = append(stored[key], wire.Range{Boot: h.Boot, From: h.Seq, To: h.Seq})
		}
	}
	var out []*wire.Receipt
	for key, ranges := range stored {
		for part := range slices.Chunk(joinRanges(ranges), wire.MaxList) {
			out = append(out, &wire.Receipt{Header: wire.Header{Fleet: key[0], Drone: key[1]}, Stored: part})
		}
	}
	return out
}

// joinRanges sorts runs of numbers and joins those that touch.
func joinRanges(ranges []wire.Range) []wire.Range {
	slices.SortFunc(ranges, func(a, b wire.Range) int {
		return cmp.Or(cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.From, b.From))
	})
	out := ranges[:1]
	for _, r := range ranges[1:] {
		last := &out[len(out)-1]
		if r.Boot == last.Boot && r.From <= last.To+1 {
			last.To = max(last.To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// answer queues receipts. They are not waited for: what is lost is asked for again.
func (s *Station) answer(receipts []*wire.Receipt) {
	select {
	case s.receipts <- receipts:
	default:
		s.count(func(c *StationStats) { c.NoReceipt += uint64(len(receipts)) })
	}
}

func (s *Station) sendReceipts(ctx context.Context) {
	for {
		select {
		case receipts := <-s.receipts:
			for _, r := range receipts {
				s.sendReceipt(r)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *Station) sendReceipt(r *wire.Receipt) {
	r.Header, r.Station = s.header(r.Fleet, r.Drone, s.boot), s.opts.Name
	err := wire.Sign(r, s.opts.Key)
	if err == nil {
		err = s.send(r, 0) // one that is lost is asked for again
	}
	s.count(func(c *StationStats) {
		if err != nil {
			c.NoReceipt++
			return
		}
		c.Receipts++
	})
}

// send publishes a message to a drone.
func (s *Station) send(m wire.Message, qos byte) error {
	payload, err := wire.Append(nil, m)
	if err != nil {
		return err
	}
	return s.alerts.publish(mqtt.Message{Topic: m.Topic().String(), Payload: payload, QoS: qos})
}

// handleBulk takes everything that is not worth a disk.
func (s *Station) handleBulk(m mqtt.Message) {
	now := time.Now()
	if s.peers.handle(m, now) {
		return
	}
	decoded := s.decode(m, now)
	if decoded == nil {
		return
	}
	if p, ok := decoded.(*wire.Picture); ok {
		s.handlePicture(p, now)
		return
	}
	if s.judge(decoded, now, m.Retained) {
		s.deliver(Received{Message: decoded, At: now, Bytes: len(m.Payload), Retained: m.Retained})
	}
}

// judge updates the live state of the drone, and reports whether the message is news.
func (s *Station) judge(m wire.Message, now time.Time, retained bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.fleet.drone(m.Head())
	if !retained {
		d.clock.note(m.Head(), now.Sub(s.began))
	}
	switch m := m.(type) {
	case *wire.Status:
		v := d.judgeStatus(m, now)
		if v == staleWill {
			s.stats.StaleWills++
		}
		if v == fresh && m.State == wire.Online {
			s.wakeSender()
		}
		return v == fresh
	case *wire.Health:
		if !s.noteBulk(d, m.Head(), now) {
			return false
		}
		d.Health = m
	case *wire.Stats:
		if !s.noteBulk(d, m.Head(), now) {
			return false
		}
		d.Work = m
	default:
		d.heardFrom(m.Head(), now)
	}
	return true
}

// noteBulk counts a message of the bulk lane, and reports whether it is news: brokers and
// drones repeat what they do not know to have arrived.
func (s *Station) noteBulk(d *drone, h *wire.Header, now time.Time) bool {
	d.heardFrom(h, now)
	if !d.bulk.Note(h.Boot, h.Seq) {
		s.stats.BulkReplayed++
		return false
	}
	s.stats.Bulk++
	return true
}

func (s *Station) handlePicture(p *wire.Picture, now time.Time) {
	s.mu.Lock()
	news := s.noteBulk(s.fleet.drone(p.Head()), p.Head(), now)
	s.stats.Pictures++
	s.mu.Unlock()
	if !news {
		return
	}
	if p.Event == "" {
		s.deliver(Received{Message: p, At: now, Bytes: len(p.JPEG)})
		return
	}
	entry, err := s.opts.Store.PutPicture(context.Background(), p, now)
	if err != nil {
		s.opts.Log.Warn("picture not stored", "drone", p.Drone, "event", p.Event, "err", err)
		return
	}
	if entry != nil {
		s.publishEntry(entry, p, now)
	}
}

// publishEntry shows a row of the feed that is not about an alert or a result.
func (s *Station) publishEntry(e *store.Entry, m wire.Message, now time.Time) {
	s.feed.append([]store.Outcome{{Entry: e}})
	s.deliver(Received{Message: m, At: now, Entry: e})
}
