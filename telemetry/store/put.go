package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"emberwing/telemetry/gaps"
	"emberwing/telemetry/wire"
)

// Statements of the writer, prepared once.
const (
	insertDrone   = "INSERT INTO drones(fleet, drone) VALUES(?, ?) RETURNING id"
	selectDrone   = "SELECT id, sequence, alerts FROM drones WHERE fleet = ? AND drone = ?"
	updateDrone   = "UPDATE drones SET sequence = ?, alerts = ?, heard = ? WHERE id = ?"
	insertFeed    = "INSERT INTO feed(row, kind, at, event, flags, topic, body, crc) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
	selectEventID = "SELECT id, revision FROM events WHERE drone = ? AND boot = ? AND event = ?"
	insertEvent   = "INSERT INTO events(drone, boot, event, task, label, phase, revision, steps, first, last, peak, row," +
		" alert) VALUES(?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) RETURNING id"
	advanceEvent = "UPDATE events SET label = ?, phase = ?, revision = ?, alert = ?, steps = steps + 1, last = ?, " +
		"peak = max(peak, ?), row = ? WHERE id = ?"
	countStep     = "UPDATE events SET steps = steps + 1, last = ?, peak = max(peak, ?), row = ? WHERE id = ?"
	touchEvent    = "UPDATE events SET row = ? WHERE id = ?"
	selectRemoved = "SELECT count(*) FROM removed WHERE drone = ? AND boot = ? AND event = ?"
	insertAlert   = "INSERT INTO alerts(event, revision, row) VALUES(?, ?, ?) ON CONFLICT DO NOTHING"
	selectAlert   = "SELECT body FROM feed WHERE row = (SELECT row FROM alerts WHERE event = ? AND revision = ?)"
	insertResult  = "INSERT INTO results(drone, boot, seq, row) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING"
	insertOutcast = "INSERT INTO quarantine(at, topic, reason, body) VALUES(?, ?, ?, ?)"
	pruneOutcasts = "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?"
)

func (s *Store) prepare() error {
	s.stmts = make(map[string]*sql.Stmt)
	for _, q := range []string{insertDrone, selectDrone, updateDrone, insertFeed, selectEventID, insertEvent, advanceEvent,
		countStep, touchEvent, selectRemoved, insertAlert, selectAlert, insertResult, insertOutcast, pruneOutcasts,
		upsertPicture} {
		made, err := s.writer.Prepare(q)
		if err != nil {
			return err
		}
		s.stmts[q] = made
	}
	return nil
}

// droneRow is the state of a drone as the writer keeps it between transactions.
type droneRow struct {
	id       int64
	sequence gaps.Sequence
	alerts   uint64
	heard    time.Time
	dirty    bool
}

// batch is one transaction of the writer.
type batch struct {
	s   *Store
	ctx context.Context
	tx  *sql.Tx
	row int64 // latest of the feed
}

func (b *batch) exec(query string, args ...any) (sql.Result, error) {
	return b.tx.Stmt(b.s.stmts[query]).ExecContext(b.ctx, args...)
}

func (b *batch) scan(query string, args []any, into ...any) error {
	return b.tx.Stmt(b.s.stmts[query]).QueryRowContext(b.ctx, args...).Scan(into...)
}

// write runs f in one transaction; the feed and the drones move on only when it commits.
func (s *Store) write(ctx context.Context, f func(*batch) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &batch{s: s, ctx: ctx, row: s.last}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		b.tx = tx
		if err := f(b); err != nil {
			return err
		}
		return b.saveDrones()
	})
	if err != nil {
		clear(s.drones) // what they say was not written
		return err
	}
	s.last = b.row
	return nil
}

// Put stores messages in one transaction and returns what became of each. After an error
// none of them is stored.
func (s *Store) Put(ctx context.Context, arrivals []Arrival) ([]Outcome, error) {
	out := make([]Outcome, len(arrivals))
	err := s.write(ctx, func(b *batch) (err error) {
		for i := range arrivals {
			if out[i], err = b.put(&arrivals[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store %d messages: %w", len(arrivals), err)
	}
	for _, o := range out {
		s.attachEvent(ctx, o.Entry)
	}
	return out, nil
}

// attachEvent completes an entry with its event. What cannot be read is stored all the
// same: then the event has an id only.
func (s *Store) attachEvent(ctx context.Context, e *Entry) {
	if e == nil || e.Event == nil {
		return
	}
	known, err := s.Event(ctx, e.Event.ID)
	if err != nil {
		s.opts.Log.Error("stored event cannot be read back", "event", e.Event.ID, "err", err)
		return
	}
	*e.Event = known
}

func (b *batch) put(a *Arrival) (Outcome, error) {
	h := a.Message.Head()
	d, err := b.drone(h.Fleet, h.Drone)
	if err != nil {
		return Outcome{}, err
	}
	var o Outcome
	switch m := a.Message.(type) {
	case *wire.Alert:
		o, err = b.putAlert(d, m, a)
	case *wire.Result:
		o, err = b.putResult(d, m, a)
	default:
		err = fmt.Errorf("store: got a %s, want an alert or a result", h.Kind)
	}
	if err == nil && o.Fate == Stored {
		d.sequence.Note(h.Boot, h.Seq)
		d.alerts++
		d.heard, d.dirty = a.At, true
	}
	o.Missing = d.sequence.Count()
	return o, err
}

const maxCached = 50_000 // drones in memory

// drone returns the row of a drone, and makes it if need be.
func (b *batch) drone(fleet, name string) (*droneRow, error) {
	key := [2]string{fleet, name}
	if d, ok := b.s.drones[key]; ok {
		return d, nil
	}
	if len(b.s.drones) >= maxCached {
		if err := b.saveDrones(); err != nil {
			return nil, err
		}
		clear(b.s.drones)
	}
	d, sequence := new(droneRow), ""
	err := b.scan(selectDrone, []any{fleet, name}, &d.id, &sequence, &d.alerts)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = b.scan(insertDrone, []any{fleet, name}, &d.id)
	case err == nil:
		err = json.Unmarshal([]byte(sequence), &d.sequence)
	}
	if err != nil {
		return nil, err
	}
	b.s.drones[key] = d
	return d, nil
}

func (b *batch) saveDrones() error {
	for _, d := range b.s.drones {
		if !d.dirty {
			continue
		}
		sequence, err := json.Marshal(d.sequence)
		if err != nil {
			return err
		}
		if _, err := b.exec(updateDrone, string(sequence), d.alerts, d.heard.UnixMilli(), d.id); err != nil {
			return err
		}
		d.dirty = false
	}
	return nil
}

func (b *batch) putAlert(d *droneRow, a *wire.Alert, in *Arrival) (Outcome, error) {
	var event int64
	var revision int
	err := b.scan(selectEventID, []any{d.id, a.Boot, a.Event}, &event, &revision)
	if errors.Is(err, sql.ErrNoRows) {
		return b.beginEvent(d, a, in)
	}
	if err != nil {
		return Outcome{}, err
	}
	res, err := b.exec(insertAlert, event, a.Revision, b.row+1)
	if err != nil {
		return Outcome{}, err
	}
	if n, _ := res.RowsAffected(); n == 0 {
		return b.repeated(event, a, in)
	}
	at, row := in.At.UnixMilli(), b.row+1
	if a.Revision > revision {
		_, err = b.exec(advanceEvent, a.Label, a.Phase, a.Revision, row, at, a.Evidence.Peak, row, event)
	} else {
		_, err = b.exec(countStep, at, a.Evidence.Peak, row, event)
	}
	if err != nil {
		return Outcome{}, err
	}
	return b.feedAlert(event, a, in)
}

// beginEvent stores the first alert of an event, which need not be its begin.
func (b *batch) beginEvent(d *droneRow, a *wire.Alert, in *Arrival) (Outcome, error) {
	at, row, event, removed := in.At.UnixMilli(), b.row+1, int64(0), 0
	if err := b.scan(selectRemoved, []any{d.id, a.Boot, a.Event}, &removed); err != nil || removed > 0 {
		return Outcome{Fate: Duplicate}, err
	}
	err := b.scan(insertEvent, []any{d.id, a.Boot, a.Event, a.Task, a.Label, a.Phase, a.Revision, at, at,
		a.Evidence.Peak, row, row}, &event)
	if err != nil {
		return Outcome{}, err
	}
	if _, err := b.exec(insertAlert, event, a.Revision, row); err != nil {
		return Outcome{}, err
	}
	return b.feedAlert(event, a, in)
}

const flagLate = 1

func (b *batch) feedAlert(event int64, a *wire.Alert, in *Arrival) (Outcome, error) {
	flags := 0
	if a.Late {
		flags |= flagLate
	}
	if err := b.feed(EntryAlert, in.At, event, flags, a.Topic().String(), in.Payload); err != nil {
		return Outcome{}, err
	}
	if err := b.thumb(event, a); err != nil {
		return Outcome{}, err
	}
	return Outcome{Entry: &Entry{Row: b.row, Kind: EntryAlert, At: wire.At(in.At), Event: &Event{ID: event},
		Alert: a}}, nil
}

// feed appends a row.
func (b *batch) feed(kind EntryKind, at time.Time, event int64, flags int, topic string, body []byte) error {
	b.row++
	_, err := b.exec(insertFeed, b.row, kind, at.UnixMilli(), event, flags, topic, body, checksum(kind, topic, body))
	return err
}

// checksum is kept beside a row: SQLite has none of its own.
func checksum(kind EntryKind, topic string, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(string(kind)+"\x00"+topic+"\x00"))
	return crc32.Update(sum, table, body)
}

// repeated tells the repetition of an alert from another one under the same key, which is
// kept aside: it is not lost, and it replaces nothing.
func (b *batch) repeated(event int64, a *wire.Alert, in *Arrival) (Outcome, error) {
	var body []byte
	if err := b.scan(selectAlert, []any{event, a.Revision}, &body); err != nil {
		return Outcome{}, err
	}
	if sameMessage(body, in.Payload) {
		return Outcome{Fate: Duplicate}, nil
	}
	err := b.quarantine(a.Topic().String(), "another alert with the same drone, boot, event and revision is stored", in)
	return Outcome{Fate: Conflict}, err
}

func (b *batch) quarantine(topic, reason string, in *Arrival) error {
	if _, err := b.exec(insertOutcast, in.At.UnixMilli(), topic, reason, in.Payload); err != nil {
		return err
	}
	_, err := b.exec(pruneOutcasts, b.s.opts.Quarantine)
	return err
}

// sameMessage compares payloads without their times of publication, which differ with
// each attempt to send.
func sameMessage(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	a, b = append([]byte(nil), a...), append([]byte(nil), b...)
	wire.Stamp(a, time.Unix(0, 0))
	wire.Stamp(b, time.Unix(0, 0))
	return string(a) == string(b)
}

func (b *batch) putResult(d *droneRow, r *wire.Result, in *Arrival) (Outcome, error) {
	res, err := b.exec(insertResult, d.id, r.Boot, r.Seq, b.row+1)
	if err != nil {
		return Outcome{}, err
	}
	if n, _ := res.RowsAffected(); n == 0 {
		return Outcome{Fate: Duplicate}, nil
	}
	event, err := b.settle(r, in.At)
	if err != nil {
		return Outcome{}, err
	}
	if err := b.feed(EntryResult, in.At, event, 0, r.Topic().String(), in.Payload); err != nil {
		return Outcome{}, err
	}
	e := &Entry{Row: b.row, Kind: EntryResult, At: wire.At(in.At), Result: r}
	if event != 0 {
		e.Event = &Event{ID: event}
		_, err = b.exec(touchEvent, b.row, event)
	}
	return Outcome{Entry: e}, err
}
