package store

import (
	"context"
	"fmt"
	"time"

	"emberwing/telemetry/wire"
)

// Limits bound what a store keeps. Zero means without limit. What is not acknowledged has
// none: it is never removed.
type Limits struct {
	Pictures time.Duration // since the last alert of an event, after which its picture goes
	Events   time.Duration // after which the event goes, with its alerts, verdict and commands
	Bytes    int64         // in use, beyond which the oldest pictures and then the oldest events go
}

// Pruned tells what Prune did.
type Pruned struct {
	Pictures, Events int
	Others           int   // results and commands that concern no event
	Used             int64 // bytes in use afterwards; the file keeps the room of what went for what comes
	Over             bool  // more than Limits.Bytes, and nothing left that may be removed
}

const (
	pruneBatch = 64             // events in one transaction, so that alerts do not wait
	settled    = 24 * time.Hour // without an alert, after which an event that has no end counts as over
	maxRemoved = 100_000        // names of removed events that are remembered
	lowWater   = 90             // percent of Limits.Bytes at which removing ends
)

// Statements of Prune. The newest row of the feed stays, so that its number is not given
// to another, and so does the event of a command that has no result yet.
const (
	prunable = " e.verdict > 0 AND e.row < ? AND NOT EXISTS" +
		" (SELECT 1 FROM commands c WHERE c.event = e.id AND c.state = '" + OrderPending + "')"
	agedPictures = "SELECT e.id FROM pictures p JOIN events e ON e.id = p.event WHERE e.verdict > 0 AND e.last < ?" +
		" ORDER BY e.last LIMIT ?"
	agedEvents = "SELECT e.id FROM events e WHERE" + prunable + " AND e.last < ? ORDER BY e.last LIMIT ?"
	overEvents = "SELECT e.id FROM events e WHERE" + prunable + " AND (e.phase = '" + string(wire.PhaseEnd) +
		"' OR e.last < ?) ORDER BY e.last LIMIT ?"
	usedBytes = "SELECT (page_count - freelist_count) * page_size" +
		" FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)

// removeEvent are the statements that remove an event by its number, ?1.
var removeEvent = [...]string{
	"INSERT INTO removed(drone, boot, event) SELECT drone, boot, event FROM events WHERE id = ?1",
	"DELETE FROM feed WHERE event = ?1",
	"DELETE FROM attempts WHERE command IN (SELECT id FROM commands WHERE event = ?1)",
	"DELETE FROM commands WHERE event = ?1",
	"DELETE FROM pictures WHERE event = ?1",
	"DELETE FROM alerts WHERE event = ?1",
	"DELETE FROM events WHERE id = ?1",
}

// Prune removes what is older than the limits allow at that moment, and then, while the store
// is larger than they allow, the oldest: pictures first, then whole events. An alert of a
// removed event that arrives once more counts as a duplicate. Writers get their turn in between.
func (s *Store) Prune(ctx context.Context, now time.Time, l Limits) (p Pruned, err error) {
	if l.Pictures > 0 {
		err = s.removeAll(ctx, &p.Pictures, (*batch).removePicture, agedPictures, now.Add(-l.Pictures).UnixMilli())
	}
	if err == nil && l.Events > 0 {
		before := now.Add(-l.Events).UnixMilli()
		err = s.removeAll(ctx, &p.Events, (*batch).removeEvent, agedEvents, s.Last(), before)
		if err == nil {
			p.Others, err = s.pruneOthers(ctx, before)
		}
	}
	if err == nil {
		err = s.pruneToSize(ctx, now, l.Bytes, &p)
	}
	if err != nil {
		return p, fmt.Errorf("prune store: %w", err)
	}
	return p, nil
}

// removeAll removes what a query selects, in small transactions, until it selects nothing.
func (s *Store) removeAll(ctx context.Context, count *int, remove func(*batch, int64) error, query string,
	args ...any) error {
	for {
		n, err := s.removeSome(ctx, remove, query, args...)
		*count += n
		if err != nil || n == 0 {
			return err
		}
	}
}

// removeSome removes one transaction's worth of what a query selects.
func (s *Store) removeSome(ctx context.Context, remove func(*batch, int64) error, query string, args ...any) (n int,
	err error) {
	err = s.write(ctx, func(b *batch) error {
		ids, err := b.numbers(query, append(args, pruneBatch)...)
		for _, id := range ids {
			if err == nil {
				err = remove(b, id)
			}
		}
		n = len(ids)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (b *batch) numbers(query string, args ...any) (out []int64, err error) {
	rows, err := b.tx.QueryContext(b.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

func (b *batch) removePicture(event int64) error {
	_, err := b.tx.ExecContext(b.ctx, "DELETE FROM pictures WHERE event = ?", event)
	return err
}

func (b *batch) removeEvent(event int64) error {
	for _, q := range removeEvent {
		if _, err := b.tx.ExecContext(b.ctx, q, event); err != nil {
			return err
		}
	}
	_, err := b.tx.ExecContext(b.ctx, "DELETE FROM removed WHERE id <= (SELECT max(id) FROM removed) - ?", maxRemoved)
	return err
}

// pruneOthers removes old results and commands that concern no event.
func (s *Store) pruneOthers(ctx context.Context, before int64) (n int, err error) {
	statements := [...]struct {
		query string
		args  []any
	}{
		{"DELETE FROM results WHERE row IN (SELECT row FROM feed WHERE event = 0 AND at < ? AND row < ?)",
			[]any{before, s.Last()}},
		{"DELETE FROM feed WHERE event = 0 AND at < ? AND row < ?", []any{before, s.Last()}},
		{"DELETE FROM attempts WHERE command IN (SELECT id FROM commands WHERE event = 0 AND state <> ? AND updated < ?)",
			[]any{OrderPending, before}},
		{"DELETE FROM commands WHERE event = 0 AND state <> ? AND updated < ?", []any{OrderPending, before}},
		{"DELETE FROM results WHERE row < (SELECT min(row) FROM feed)", nil},
	}
	err = s.write(ctx, func(b *batch) error {
		n = 0
		for i, st := range statements {
			res, err := b.tx.ExecContext(ctx, st.query, st.args...)
			if err != nil {
				return err
			}
			if removed, err := res.RowsAffected(); err == nil && i%2 == 1 { // what others count, not what goes along
				n += int(removed)
			}
		}
		return nil
	})
	return n, err
}

// pruneToSize removes the oldest until the store is well below its limit.
func (s *Store) pruneToSize(ctx context.Context, now time.Time, limit int64, p *Pruned) (err error) {
	if p.Used, err = s.used(ctx); err != nil || limit <= 0 || p.Used <= limit {
		return err
	}
	low := limit / 100 * lowWater
	older := now.Add(time.Millisecond).UnixMilli()
	err = s.shrink(ctx, low, p, &p.Pictures, (*batch).removePicture, agedPictures, older)
	if err == nil {
		err = s.shrink(ctx, low, p, &p.Events, (*batch).removeEvent, overEvents, s.Last(), now.Add(-settled).UnixMilli())
	}
	p.Over = err == nil && p.Used > limit
	return err
}

// shrink removes what a query selects until no more than low bytes are in use.
func (s *Store) shrink(ctx context.Context, low int64, p *Pruned, count *int, remove func(*batch, int64) error,
	query string, args ...any) error {
	for p.Used > low {
		n, err := s.removeSome(ctx, remove, query, args...)
		*count += n
		if err != nil || n == 0 {
			return err
		}
		if p.Used, err = s.used(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) used(ctx context.Context) (bytes int64, err error) {
	err = s.reader.QueryRowContext(ctx, usedBytes).Scan(&bytes)
	return bytes, err
}
