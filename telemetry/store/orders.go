package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"emberwing/telemetry/wire"
)

// The states of an order. A pending one is sent again until its result arrives or it is
// given up.
const (
	OrderPending = "pending"
	OrderDone    = "done"
	OrderRefused = "refused"
	OrderFailed  = "failed"
	OrderExpired = "expired"
)

// Order is a command for a drone, kept until the drone has answered.
type Order struct {
	ID       int64           `json:"id"`
	Fleet    string          `json:"fleet"`
	Drone    string          `json:"drone"`
	Verb     string          `json:"verb"`
	Args     json.RawMessage `json:"args"`
	Event    int64           `json:"event,omitempty"` // that it acknowledges
	Operator string          `json:"operator,omitempty"`
	State    string          `json:"state"`
	Text     string          `json:"text,omitempty"` // of the result
	Counter  uint64          `json:"counter"`        // of the latest attempt
	Attempts int             `json:"attempts"`
	Created  wire.Time       `json:"created"`
	Updated  wire.Time       `json:"updated"`
}

// AddOrder makes a command durable and returns its number.
func (s *Store) AddOrder(ctx context.Context, o Order, at time.Time) (id int64, err error) {
	err = s.write(ctx, func(b *batch) (err error) {
		id, err = b.order(&o, o.Event, at)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store command: %w", err)
	}
	return id, nil
}

func (b *batch) order(o *Order, event int64, at time.Time) (id int64, err error) {
	args := o.Args
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	err = b.tx.QueryRowContext(b.ctx,
		"INSERT INTO commands(fleet, drone, verb, args, event, operator, state, created, updated)"+
			" VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
		o.Fleet, o.Drone, o.Verb, string(args), event, o.Operator, OrderPending, at.UnixMilli(), at.UnixMilli()).Scan(&id)
	return id, err
}

const orderColumns = "SELECT id, fleet, drone, verb, args, event, operator, state, text, counter, attempts, created," +
	" updated FROM commands "

func scanOrder(row scanner) (o Order, err error) {
	var args string
	var created, updated int64
	err = row.Scan(&o.ID, &o.Fleet, &o.Drone, &o.Verb, &args, &o.Event, &o.Operator, &o.State, &o.Text, &o.Counter,
		&o.Attempts, &created, &updated)
	o.Args, o.Created, o.Updated = json.RawMessage(args), atMilli(created), atMilli(updated)
	return o, err
}

// Order returns one command, or ErrNotFound.
func (s *Store) Order(ctx context.Context, id int64) (Order, error) {
	o, err := scanOrder(s.reader.QueryRowContext(ctx, orderColumns+"WHERE id = ?", id))
	if err != nil {
		return Order{}, fmt.Errorf("read command: %w", notFound(err))
	}
	return o, nil
}

// PendingOrders returns up to limit commands that have no result yet, the oldest first.
func (s *Store) PendingOrders(ctx context.Context, limit int) ([]Order, error) {
	return s.orders(ctx, "WHERE state = ? ORDER BY id LIMIT ?", OrderPending, limit)
}

// Orders returns up to limit commands to a drone, the newest first.
func (s *Store) Orders(ctx context.Context, fleet, drone string, limit int) ([]Order, error) {
	return s.orders(ctx, "WHERE fleet = ? AND drone = ? ORDER BY id DESC LIMIT ?", fleet, drone, limit)
}

func (s *Store) orders(ctx context.Context, where string, args ...any) ([]Order, error) {
	rows, err := s.reader.QueryContext(ctx, orderColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	defer rows.Close()
	var out []Order
	for rows.Next() {
		o, err := scanOrder(rows)
		if err != nil {
			return nil, fmt.Errorf("read commands: %w", err)
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// NextAttempt reserves a counter for sending an order once more. Counters of one store
// only grow, also over restarts, and never fall behind the clock in seconds: a station
// that lost its store goes on above the counters it used before.
func (s *Store) NextAttempt(ctx context.Context, id int64, at time.Time) (counter uint64, err error) {
	err = s.write(ctx, func(b *batch) error {
		if counter, err = b.nextCounter(at); err != nil {
			return err
		}
		if _, err := b.tx.ExecContext(ctx, "INSERT INTO attempts(counter, command) VALUES(?, ?)", counter, id); err != nil {
			return err
		}
		_, err := b.tx.ExecContext(ctx, "UPDATE commands SET counter = ?, attempts = attempts + 1, updated = ? WHERE id = ?",
			counter, at.UnixMilli(), id)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reserve command counter: %w", err)
	}
	return counter, nil
}

func (b *batch) nextCounter(at time.Time) (uint64, error) {
	var text string
	err := b.tx.QueryRowContext(b.ctx, "SELECT value FROM meta WHERE key = 'counter'").Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	used, _ := strconv.ParseUint(text, 10, 64) // "" before the first
	next := max(used+1, uint64(max(at.Unix(), 0)))
	_, err = b.tx.ExecContext(b.ctx,
		"INSERT INTO meta VALUES('counter', ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
		strconv.FormatUint(next, 10))
	return next, err
}

// EndOrder gives an order up, or records that it could not be sent.
func (s *Store) EndOrder(ctx context.Context, id int64, state, text string, at time.Time) error {
	err := s.write(ctx, func(b *batch) error {
		_, err := b.tx.ExecContext(ctx, "UPDATE commands SET state = ?, text = ?, updated = ? WHERE id = ? AND state = ?",
			state, text, at.UnixMilli(), id, OrderPending)
		return err
	})
	if err != nil {
		return fmt.Errorf("end command: %w", err)
	}
	return nil
}

// settle ends the order that a result answers, whichever attempt that was and even if it had
// been given up, and returns its event, 0 when there is none.
func (b *batch) settle(r *wire.Result, at time.Time) (event int64, err error) {
	err = b.tx.QueryRowContext(b.ctx, "UPDATE commands SET state = ?, text = ?, updated = ?"+
		" WHERE id = (SELECT command FROM attempts WHERE counter = ?) AND fleet = ? AND drone = ? AND verb = ?"+
		" AND state IN (?, ?) RETURNING event",
		r.Outcome, r.Text, at.UnixMilli(), r.Counter, r.Fleet, r.Drone, r.Verb, OrderPending, OrderExpired).Scan(&event)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return event, err
}
