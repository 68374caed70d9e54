package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"emberwing/telemetry/wire"
)

// AcknowledgedError says that an event has a verdict already.
type AcknowledgedError struct{ Verdict Verdict }

func (e *AcknowledgedError) Error() string {
	return fmt.Sprintf("acknowledged already by %s as %s", e.Verdict.Operator, e.Verdict.Verdict)
}

// Acknowledgement is the verdict of an operator over an event.
type Acknowledgement struct {
	Event    int64 // number of the event
	Verdict  string
	Note     string
	Operator string
	Station  string
	At       time.Time
	Replace  bool   // take the place of an earlier verdict, else that is an *AcknowledgedError
	Order    *Order // command for the drone, made durable together with the verdict; nil for none
}

// Acknowledge keeps a verdict with its event. It is durable when Acknowledge returns.
func (s *Store) Acknowledge(ctx context.Context, a Acknowledgement) (Entry, error) {
	known, err := s.Event(ctx, a.Event)
	if err != nil {
		return Entry{}, fmt.Errorf("acknowledge: %w", err)
	}
	v := &Verdict{Verdict: a.Verdict, Note: a.Note, Operator: a.Operator, Station: a.Station, At: wire.At(a.At)}
	if known.Verdict != nil && sameVerdict(*known.Verdict, *v) {
		return Entry{Row: known.Row, Kind: EntryVerdict, At: known.Verdict.At, Event: &known, Verdict: known.Verdict}, nil
	}
	entry := Entry{Kind: EntryVerdict, At: wire.At(a.At), Event: &Event{ID: a.Event}, Verdict: v}
	key := known.Fleet + "/" + known.Drone + "/" + known.Boot + "/" + known.Event // by which salvage finds the event
	err = s.write(ctx, func(b *batch) error { return b.acknowledge(&a, &entry, key) })
	if err != nil {
		return Entry{}, fmt.Errorf("acknowledge: %w", err)
	}
	s.attachEvent(ctx, &entry)
	if entry.Event.Verdict != nil {
		entry.Verdict = entry.Event.Verdict
	}
	return entry, nil
}

// sameVerdict recognises a verdict that is told again.
func sameVerdict(a, b Verdict) bool {
	return a.Verdict == b.Verdict && a.Note == b.Note && a.Operator == b.Operator && a.Station == b.Station && a.At == b.At
}

func (b *batch) acknowledge(a *Acknowledgement, e *Entry, key string) error {
	if err := b.checkVerdict(a); err != nil {
		return err
	}
	v := e.Verdict
	if a.Order != nil {
		id, err := b.order(a.Order, a.Event, a.At)
		if err != nil {
			return err
		}
		v.Command = id
	}
	body, err := json.Marshal(v) // without Delivery, which the order knows
	if err != nil {
		return err
	}
	if err := b.feed(EntryVerdict, a.At, a.Event, 0, key, body); err != nil {
		return err
	}
	e.Row = b.row
	_, err = b.tx.ExecContext(b.ctx, "UPDATE events SET verdict = ?, command = ?, row = ? WHERE id = ?", b.row,
		v.Command, b.row, a.Event)
	return err
}

func (b *batch) checkVerdict(a *Acknowledgement) error {
	if a.Replace {
		return nil
	}
	var body []byte
	err := b.tx.QueryRowContext(b.ctx, "SELECT f.body FROM events e JOIN feed f ON f.row = e.verdict WHERE e.id = ?",
		a.Event).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	known := new(AcknowledgedError)
	if err := json.Unmarshal(body, &known.Verdict); err != nil {
		return err
	}
	return known
}
