package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// Salvage tells what became of a damaged file.
type Salvage struct {
	Cause error  // what was wrong
	Kept  string // where the damaged file is now
	Rows  int    // of the feed, carried over
	Lost  int    // of the feed, known to be missing; what was beyond the last readable row is not known
}

// Salvaged returns what Open had to rescue, nil when the file was sound.
func (s *Store) Salvaged() *Salvage { return s.salvage }

// rescue moves the damaged file aside, opens a new one and carries over every row of the
// feed that can be read and whose checksum is right.
func (s *Store) rescue(cause error) error {
	kept := fmt.Sprintf("%s.damaged-%s", s.path, time.Now().UTC().Format("20060102T150405.000"))
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(s.path+suffix, kept+suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Remove(s.path + "-shm"); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	s.salvage = &Salvage{Cause: cause, Kept: kept}
	rows, highest := readDamaged(kept)
	for _, r := range rows {
		if err := s.restore(r); err != nil {
			s.opts.Log.Warn("row of the damaged store is left behind", "row", r.row, "err", err)
			continue
		}
		s.salvage.Rows++
	}
	s.salvage.Lost = int(highest) - s.salvage.Rows
	return nil
}

// readDamaged returns the rows whose checksum is right, and the highest number seen. It
// leaps over stretches that cannot be read.
func readDamaged(path string) (rows []feedRow, highest int64) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=query_only(1)&_pragma=busy_timeout(1000)")
	if err != nil {
		return nil, 0
	}
	defer db.Close()
	for leap := int64(0); leap <= maxLeap; {
		found, err := readStretch(db, highest+leap)
		for _, r := range found {
			highest = max(highest, r.row)
			if checksum(r.kind, r.topic, r.body) == r.crc {
				rows = append(rows, r)
			}
		}
		switch {
		case err == nil && len(found) == 0:
			return rows, highest
		case len(found) > 0:
			leap = 0
		}
		if err != nil {
			leap = max(1, 2*leap)
		}
	}
	return rows, highest
}

const (
	maxLeap = 1 << 24 // rows
	stretch = 256     // rows read at a time
)

func readStretch(db *sql.DB, after int64) (found []feedRow, err error) {
	rows, err := db.Query("SELECT row, kind, at, event, flags, topic, body, crc FROM feed WHERE row > ? ORDER BY row LIMIT ?", after, stretch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r feedRow
		if err := r.scan(rows); err != nil {
			return found, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// restore puts a salvaged row into the store as if it had just arrived. A verdict finds
// its event again by the alert that came before it.
func (s *Store) restore(r feedRow) error {
	e, err := r.entry()
	if err != nil {
		return err
	}
	at := time.UnixMilli(r.at)
	ctx := context.Background()
	switch r.kind {
	case EntryAlert:
		_, err = s.Put(ctx, []Arrival{{Message: e.Alert, Payload: r.body, At: at}})
	case EntryResult:
		_, err = s.Put(ctx, []Arrival{{Message: e.Result, Payload: r.body, At: at}})
	case EntryVerdict:
		err = s.restoreVerdict(ctx, r, e.Verdict)
	}
	return err
}

func (s *Store) restoreVerdict(ctx context.Context, r feedRow, v *Verdict) error {
	fleet, rest, _ := strings.Cut(r.topic, "/")
	drone, rest, _ := strings.Cut(rest, "/")
	boot, event, _ := strings.Cut(rest, "/")
	e, err := s.EventByKey(ctx, fleet, drone, boot, event)
	if err != nil {
		return err
	}
	_, err = s.Acknowledge(ctx, Acknowledgement{
		Event: e.ID, Verdict: v.Verdict, Note: v.Note, Operator: v.Operator, Station: v.Station, At: v.At.Time, Replace: true,
	})
	return err
}
