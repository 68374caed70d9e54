package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"emberwing/telemetry/wire"
)

const eventColumns = `SELECT e.id, e.row, d.fleet, d.drone, e.boot, e.event, e.task, e.label, e.phase, e.revision, e.steps,
	e.first, e.last, e.peak, f.topic, f.body, f.flags, v.body, c.state,
	p.type, p.width, p.height, p.sha256, length(p.body)
FROM events e JOIN drones d ON d.id = e.drone JOIN feed f ON f.row = e.alert
	LEFT JOIN feed v ON v.row = e.verdict LEFT JOIN commands c ON c.id = e.command LEFT JOIN pictures p ON p.event = e.id `

// scanner is a row of a result.
type scanner interface{ Scan(into ...any) error }

func scanEvent(row scanner) (Event, error) {
	var e Event
	var first, last int64
	var flags int
	var topic string
	var body, verdict []byte
	var delivery, kind, sha sql.NullString
	var width, height, bytes sql.NullInt64
	err := row.Scan(&e.ID, &e.Row, &e.Fleet, &e.Drone, &e.Boot, &e.Event, &e.Task, &e.Label, &e.Phase, &e.Revision,
		&e.Steps,
		&first, &last, &e.Peak, &topic, &body, &flags, &verdict, &delivery, &kind, &width, &height, &sha, &bytes)
	if err != nil {
		return e, err
	}
	e.First, e.Last = atMilli(first), atMilli(last)
	if kind.Valid {
		e.Picture = &Picture{Type: kind.String, Width: int(width.Int64), Height: int(height.Int64), SHA256: sha.String,
			Bytes: int(bytes.Int64)}
	}
	if err := e.setLatest(topic, body, flags); err != nil {
		return e, err
	}
	if verdict != nil {
		e.Verdict = &Verdict{Delivery: delivery.String}
		return e, json.Unmarshal(verdict, e.Verdict)
	}
	return e, nil
}

func (e *Event) setLatest(topic string, body []byte, flags int) (err error) {
	if e.Latest, err = decodeAlert(topic, body, flags); err != nil {
		return fmt.Errorf("%w: event %d: %w", ErrDamaged, e.ID, err)
	}
	e.Latest.Evidence.Thumb = nil // it is the picture
	e.Started, e.Ended, e.Clock, e.Late = e.Latest.Started, e.Latest.Ended, e.Latest.Clock, e.Latest.Late
	return nil
}

func decodeAlert(topic string, body []byte, flags int) (*wire.Alert, error) {
	m, err := wire.Decode(topic, body)
	if err != nil {
		return nil, err
	}
	a, ok := m.(*wire.Alert)
	if !ok {
		return nil, fmt.Errorf("%w: got a %s, want an alert", ErrDamaged, m.Head().Kind)
	}
	a.Late = flags&flagLate != 0
	return a, nil
}

func atMilli(ms int64) wire.Time { return wire.At(time.UnixMilli(ms)) }

// Event returns one event by its number, or ErrNotFound.
func (s *Store) Event(ctx context.Context, id int64) (Event, error) {
	return s.event(ctx, "WHERE e.id = ?", id)
}

// EventByKey returns one event by its name, or ErrNotFound.
func (s *Store) EventByKey(ctx context.Context, fleet, drone, boot, event string) (Event, error) {
	return s.event(ctx, "WHERE d.fleet = ? AND d.drone = ? AND e.boot = ? AND e.event = ?", fleet, drone, boot, event)
}

// EventByName returns the newest event of a drone with that id, whichever boot it is of,
// or ErrNotFound.
func (s *Store) EventByName(ctx context.Context, fleet, drone, event string) (Event, error) {
	return s.event(ctx, "WHERE d.fleet = ? AND d.drone = ? AND e.event = ? ORDER BY e.id DESC LIMIT 1", fleet, drone,
		event)
}

func (s *Store) event(ctx context.Context, where string, args ...any) (Event, error) {
	e, err := scanEvent(s.reader.QueryRowContext(ctx, eventColumns+where, args...))
	if err != nil {
		return Event{}, fmt.Errorf("read event: %w", notFound(err))
	}
	return e, nil
}

// notFound says ErrNotFound where the database says that there is no row.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

const (
	defaultLimit = 200
	maxLimit     = 5000
)

// Events returns the events that a query selects, the newest first.
func (s *Store) Events(ctx context.Context, q Query) ([]Event, error) {
	where, args := q.where()
	rows, err := s.reader.QueryContext(ctx, eventColumns+where+" ORDER BY e.id DESC LIMIT ?", append(args, q.limit())...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer rows.Close()
	out := []Event{}
	for rows.Next() {
		e, err := scanEvent(rows)
		if errors.Is(err, ErrDamaged) {
			s.opts.Log.Error("damaged event left out: start the station again to salvage the store", "event", e.ID, "err", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Waiting counts the events of a task that nobody has acknowledged.
func (s *Store) Waiting(ctx context.Context, task wire.Task) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE verdict = 0 AND task = ?",
		string(task)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return n, nil
}

func (q *Query) limit() int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return min(q.Limit, maxLimit)
}

// where turns the query into conditions.
func (q *Query) where() (string, []any) {
	var conditions []string
	var args []any
	add := func(wanted bool, condition string, values ...any) {
		if wanted {
			conditions, args = append(conditions, condition), append(args, values...)
		}
	}
	add(q.Fleet != "", "d.fleet = ?", q.Fleet)
	add(q.Drone != "", "d.drone = ?", q.Drone)
	add(q.Task != "", "e.task = ?", string(q.Task))
	add(q.Unacknowledged, "e.verdict = 0")
	add(q.Acknowledged, "e.verdict > 0")
	add(q.Open, "e.phase <> ?", string(wire.PhaseEnd))
	add(!q.Since.IsZero(), "e.first >= ?", q.Since.UnixMilli())
	add(!q.Until.IsZero(), "e.first < ?", q.Until.UnixMilli())
	add(q.Before > 0, "e.id < ?", q.Before)
	like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(q.Text) + "%"
	add(q.Text != "", `(d.drone LIKE ? ESCAPE '\' OR e.label LIKE ? ESCAPE '\' OR e.event LIKE ? ESCAPE '\'`+
		` OR CAST(v.body AS TEXT) LIKE ? ESCAPE '\')`,
		like, like, like, like)
	if len(conditions) == 0 {
		return "", nil
	}
	return "WHERE " + strings.Join(conditions, " AND "), args
}

// Steps returns the alerts of an event in the order of their revisions.
func (s *Store) Steps(ctx context.Context, event int64) ([]Step, error) {
	rows, err := s.reader.QueryContext(ctx,
		"SELECT f.row, f.at, f.topic, f.body, f.flags FROM alerts a JOIN feed f ON f.row = a.row"+
			" WHERE a.event = ? ORDER BY a.revision LIMIT ?", event, maxLimit)
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	defer rows.Close()
	steps := []Step{}
	for rows.Next() {
		var step Step
		var at int64
		var topic string
		var body []byte
		var flags int
		if err = rows.Scan(&step.Row, &at, &topic, &body, &flags); err == nil {
			step.Alert, err = decodeAlert(topic, body, flags)
		}
		if err != nil {
			return nil, fmt.Errorf("read steps: %w", err)
		}
		step.Received = atMilli(at)
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

// Feed returns up to limit rows of the feed above after, in order. A row that turns out to be
// damaged is left out, and the log says so.
func (s *Store) Feed(ctx context.Context, after int64, limit int) ([]Entry, error) {
	entries := []Entry{}
	for len(entries) < limit {
		wanted := limit - len(entries)
		rows, err := s.feedRows(ctx, after, wanted)
		if err != nil {
			return nil, fmt.Errorf("read feed: %w", err)
		}
		for i := range rows {
			after = rows[i].row
			e, err := rows[i].entry()
			if err != nil {
				s.opts.Log.Error("damaged row left out: start the station again to salvage the store", "row", after, "err", err)
				continue
			}
			entries = append(entries, e)
		}
		if len(rows) < wanted {
			break
		}
	}
	for i := range entries {
		s.attachEvent(ctx, &entries[i])
	}
	return entries, nil
}

func (s *Store) feedRows(ctx context.Context, after int64, limit int) (out []feedRow, err error) {
	rows, err := s.reader.QueryContext(ctx,
		"SELECT row, kind, at, event, flags, topic, body, crc FROM feed WHERE row > ? ORDER BY row LIMIT ?",
		after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r feedRow
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// feedRow is a row of the feed as it is stored.
type feedRow struct {
	row, at, event int64
	kind           EntryKind
	flags          int
	topic          string
	body           []byte
	crc            uint32
}

func (r *feedRow) scan(row scanner) error {
	return row.Scan(&r.row, &r.kind, &r.at, &r.event, &r.flags, &r.topic, &r.body, &r.crc)
}

// entry decodes the row.
func (r *feedRow) entry() (Entry, error) {
	e := Entry{Row: r.row, Kind: r.kind, At: atMilli(r.at)}
	if r.event != 0 {
		e.Event = &Event{ID: r.event}
	}
	if checksum(r.kind, r.topic, r.body) != r.crc {
		return e, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	var err error
	switch r.kind {
	case EntryAlert:
		e.Alert, err = decodeAlert(r.topic, r.body, r.flags)
	case EntryResult:
		var m wire.Message
		if m, err = wire.Decode(r.topic, r.body); err == nil {
			e.Result, _ = m.(*wire.Result)
		}
	case EntryVerdict:
		e.Verdict = new(Verdict)
		err = json.Unmarshal(r.body, e.Verdict)
	}
	return e, err
}

// Picture returns the picture of an event, or ErrNotFound.
func (s *Store) Picture(ctx context.Context, event int64) (body []byte, p Picture, err error) {
	row := s.reader.QueryRowContext(ctx, "SELECT type, width, height, sha256, body FROM pictures WHERE event = ?", event)
	err = row.Scan(&p.Type, &p.Width, &p.Height, &p.SHA256, &body)
	if err != nil {
		return nil, Picture{}, fmt.Errorf("read picture: %w", notFound(err))
	}
	p.Bytes = len(body)
	return body, p, nil
}

// Drones returns what is known of each drone, sorted by fleet and name.
func (s *Store) Drones(ctx context.Context) ([]Drone, error) {
	rows, err := s.reader.QueryContext(ctx,
		"SELECT fleet, drone, sequence, alerts, heard FROM drones ORDER BY fleet, drone")
	if err != nil {
		return nil, fmt.Errorf("read drones: %w", err)
	}
	defer rows.Close()
	var out []Drone
	for rows.Next() {
		var d Drone
		var sequence []byte
		var heard int64
		if err = rows.Scan(&d.Fleet, &d.Drone, &sequence, &d.Alerts, &heard); err == nil {
			err = json.Unmarshal(sequence, &d.Sequence)
		}
		if err != nil {
			return nil, fmt.Errorf("read drones: %w", err)
		}
		if heard > 0 {
			d.Heard = time.UnixMilli(heard)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
