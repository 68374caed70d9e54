package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"emberwing/telemetry/durable"
	"emberwing/telemetry/store/carve"
	"emberwing/telemetry/wire"
)

// Salvage tells what became of a damaged file.
type Salvage struct {
	Cause   string    `json:"cause"` // what was wrong
	Kept    string    `json:"kept"`  // where the damaged file is now
	At      wire.Time `json:"at"`
	Rows    int       `json:"rows"`    // of the feed, carried over
	Missing int       `json:"missing"` // numbers of the feed that were not found: lost, or removed by Prune before
}

// Salvaged returns what became of the damaged file that this store was made from, as long as
// that file is kept; nil when there is none.
func (s *Store) Salvaged() *Salvage { return s.salvage }

// A damaged file becomes a new one in steps that may be cut off anywhere:
//
//	ground.db.salvaging   is being filled; thrown away by the next Open
//	ground.db.salvaged    is complete and synced; the next Open puts it in place
//	ground.db             is the new file, and ground.db.damaged-<time> the old one
//
// Until the end the damaged file stays where it is, and nothing writes to it.
func (s *Store) rescue(cause error) error {
	work := s.path + ".salvaging"
	fresh := &Store{opts: s.opts, path: work}
	err := fresh.connect()
	if err == nil {
		err = fresh.fill(s.path, cause)
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return fmt.Errorf("salvage: %w (the damaged file is as it was)", err)
	}
	if err := syncFile(work); err != nil {
		return err
	}
	if err := os.Rename(work, s.path+".salvaged"); err != nil {
		return err
	}
	return s.finishRescue()
}

// finishRescue puts a completed new file in the place of the damaged one.
func (s *Store) finishRescue() error {
	done := s.path + ".salvaged"
	info, err := os.Stat(done)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	kept := keptName(s.path, info.ModTime()) // the same when this is the second attempt
	for _, suffix := range []string{"-wal", ""} {
		if err := os.Rename(s.path+suffix, kept+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := removeFiles(s.path, "-shm"); err != nil {
		return err
	}
	if err := os.Rename(done, s.path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(s.path))
}

func keptName(path string, at time.Time) string {
	return path + ".damaged-" + at.UTC().Format("20060102T150405.000")
}

// readSalvage reads what fill wrote. The story ends when the operator moves the old file away.
func (s *Store) readSalvage() error {
	var text string
	err := s.writer.QueryRow("SELECT value FROM meta WHERE key = 'salvage'").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	story := new(Salvage)
	if err == nil {
		err = json.Unmarshal([]byte(text), story)
	}
	if err != nil {
		return err
	}
	kept, err := filepath.Glob(s.path + ".damaged-*[0-9]") // without their logs
	if err == nil && len(kept) > 0 {
		story.Kept = slices.Max(kept)
		s.salvage = story
	}
	return err
}

// place is where an intact row of the damaged file is.
type place struct {
	id int64
	at carve.Cell
}

// fill carries over every row of the feed whose checksum is right, and every picture.
func (s *Store) fill(from string, cause error) error {
	c, err := carve.Open(from)
	if err != nil {
		return err
	}
	defer c.Close()
	rows, pictures := survey(c)
	s.opts.Log.Info("salvaging the store", "rows", len(rows), "pictures", len(pictures))
	r := restorer{s: s, c: c, events: make(map[int64]int64), log: s.opts.Log}
	for chunk := range slices.Chunk(rows, restoreBatch) {
		if err := s.write(context.Background(), func(b *batch) error { return r.restore(b, chunk) }); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(pictures, restoreBatch) {
		if err := s.write(context.Background(), func(b *batch) error { return r.restorePictures(b, chunk) }); err != nil {
			return err
		}
	}
	story := Salvage{Cause: cause.Error(), At: wire.At(time.Now()), Rows: r.rows}
	if len(rows) > 0 {
		story.Missing = int(rows[len(rows)-1].id) - r.rows
	}
	s.opts.Log.Error("the store was damaged and has been salvaged", "cause", cause, "rows", story.Rows, "missing",
		story.Missing)
	return s.setMeta("salvage", story)
}

const restoreBatch = 256 // rows in one transaction

func (s *Store) setMeta(key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.inTx(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", key,
			string(text))
		return err
	})
}

// survey finds the intact rows of the feed, in order, and the intact pictures.
func survey(c *carve.File) (rows, pictures []place) {
	c.Each(func(at carve.Cell, id int64, columns []any) {
		if r, ok := asFeedRow(id, columns); ok && checksum(r.kind, r.topic, r.body) == r.crc {
			rows = append(rows, place{id, at})
		} else if p, ok := asPicture(columns); ok && p.intact() {
			pictures = append(pictures, place{id, at})
		}
	})
	order := func(a, b place) int { return cmp.Compare(a.id, b.id) }
	same := func(a, b place) bool { return a.id == b.id }
	slices.SortStableFunc(rows, order)
	slices.SortStableFunc(pictures, order)
	return slices.CompactFunc(rows, same), slices.CompactFunc(pictures, same)
}

// asFeedRow recognises a row of the table feed by its form.
func asFeedRow(id int64, columns []any) (r feedRow, ok bool) {
	if len(columns) != 8 || columns[0] != nil || id < 1 {
		return r, false
	}
	kind, ok1 := columns[1].(string)
	at, ok2 := columns[2].(int64)
	event, ok3 := columns[3].(int64)
	flags, ok4 := columns[4].(int64)
	topic, ok5 := columns[5].(string)
	body, ok6 := columns[6].([]byte)
	crc, ok7 := columns[7].(int64)
	r = feedRow{row: id, at: at, event: event, kind: EntryKind(kind), flags: int(flags), topic: topic, body: body,
		crc: uint32(crc)}
	return r, ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7
}

// carvedPicture is a row of the table pictures.
type carvedPicture struct {
	Picture
	body []byte
}

func asPicture(columns []any) (p carvedPicture, ok bool) {
	if len(columns) != 6 || columns[0] != nil {
		return p, false
	}
	kind, ok1 := columns[1].(string)
	width, ok2 := columns[2].(int64)
	height, ok3 := columns[3].(int64)
	sum, ok4 := columns[4].(string)
	body, ok5 := columns[5].([]byte)
	p = carvedPicture{Picture{Type: kind, Bytes: len(body), Width: int(width), Height: int(height), SHA256: sum}, body}
	return p, ok1 && ok2 && ok3 && ok4 && ok5
}

func (p *carvedPicture) intact() bool {
	sum := sha256.Sum256(p.body)
	return hex.EncodeToString(sum[:]) == p.SHA256
}

// restorer puts salvaged rows into a new store as if they had just arrived.
type restorer struct {
	s      *Store
	c      *carve.File
	events map[int64]int64 // new number by the old one
	rows   int
	log    *slog.Logger
}

func (r *restorer) restore(b *batch, places []place) error {
	for _, p := range places {
		id, columns, err := r.c.At(p.at)
		if err != nil {
			return err
		}
		raw, _ := asFeedRow(id, columns)
		before := b.row
		if err := r.restoreRow(b, &raw); err != nil {
			return fmt.Errorf("row %d: %w", id, err)
		}
		r.rows += int(b.row - before)
	}
	return nil
}

// restoreRow leaves out what this version does not understand: the old file has it still.
func (r *restorer) restoreRow(b *batch, raw *feedRow) error {
	e, err := raw.entry()
	if err != nil {
		r.log.Warn("row of the damaged store is left behind", "row", raw.row, "err", err)
		return nil
	}
	in := Arrival{Payload: raw.body, At: time.UnixMilli(raw.at)}
	switch {
	case e.Alert != nil:
		in.Message = e.Alert
	case e.Result != nil:
		in.Message = e.Result
	case e.Verdict != nil:
		return r.restoreVerdict(b, raw, e.Verdict)
	default:
		return r.restoreArrival(b, raw)
	}
	out, err := b.put(&in)
	if err == nil && out.Entry != nil && out.Entry.Event != nil && raw.event != 0 {
		r.events[raw.event] = out.Entry.Event.ID
	}
	return err
}

// restoreArrival keeps the row that says that a picture came, and nothing else does.
func (r *restorer) restoreArrival(b *batch, raw *feedRow) error {
	event, ok := r.events[raw.event]
	if !ok || raw.kind != EntryPicture {
		return nil
	}
	if err := b.feed(raw.kind, time.UnixMilli(raw.at), event, raw.flags, raw.topic, raw.body); err != nil {
		return err
	}
	_, err := b.exec(touchEvent, b.row, event)
	return err
}

func (r *restorer) restoreVerdict(b *batch, raw *feedRow, v *Verdict) error {
	event, ok := r.events[raw.event]
	if !ok {
		r.log.Warn("verdict of the damaged store has lost its event", "row", raw.row, "event", raw.topic)
		return nil
	}
	v.Command, v.Delivery = 0, "" // commands are not carried over
	entry := &Entry{Kind: EntryVerdict, At: atMilli(raw.at), Event: &Event{ID: event}, Verdict: v}
	return b.acknowledge(&Acknowledgement{Event: event, At: time.UnixMilli(raw.at), Replace: true}, entry, raw.topic)
}

func (r *restorer) restorePictures(b *batch, places []place) error {
	for _, p := range places {
		event, ok := r.events[p.id]
		if !ok {
			continue
		}
		_, columns, err := r.c.At(p.at)
		if err != nil {
			return err
		}
		pic, _ := asPicture(columns)
		if _, err := b.exec(upsertPicture, event, pic.Type, pic.Width, pic.Height, pic.SHA256, pic.body); err != nil {
			return err
		}
	}
	return nil
}
