// Package store keeps what a ground station has received, in one SQLite file: every alert
// and its revisions, the events they belong to, verdicts of operators, commands, pictures,
// and how far the sequence of each drone has come.
//
// Put is durable when it returns: the write-ahead log is synced (synchronous=FULL) before
// a transaction counts as done, so a receipt may be sent for what Put reports as stored or
// as known already. Alerts are the same when drone, boot, event and revision are.
//
// Everything that an operator must not miss is also a row of one feed, numbered from 1
// without gaps in the order of the commits. A row carries a checksum of its own, which is
// what salvage goes by when the file is damaged.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"emberwing/telemetry/durable"
	"emberwing/telemetry/wire"
)

// Errors of a store.
var (
	ErrInUse    = errors.New("store is in use by another process")
	ErrDamaged  = errors.New("store is damaged")
	ErrNotFound = errors.New("not in the store")
	ErrNewer    = errors.New("store was written by a newer version")
)

// Options of a Store. Zero means the default.
type Options struct {
	// Checkpoint is how many pages the write-ahead log may hold before they are moved
	// into the main file, 1000; negative never.
	Checkpoint int
	// Quarantine is how many messages that contradict stored ones are kept, 1000.
	Quarantine int
	Log        *slog.Logger // slog.Default
}

func (o Options) withDefaults() Options {
	if o.Checkpoint == 0 {
		o.Checkpoint = 1000
	}
	if o.Quarantine <= 0 {
		o.Quarantine = 1000
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Store is an open file. Its methods may be called from several goroutines; writers take
// turns, readers do not wait for them.
type Store struct {
	opts    Options
	path    string
	lock    *os.File
	epoch   string
	salvage *Salvage

	reader *sql.DB

	mu     sync.Mutex // of everything below
	writer *sql.DB    // one connection
	stmts  map[string]*sql.Stmt
	drones map[[2]string]*droneRow
	last   int64 // row of the feed, committed
}

// Open opens or makes the store at path. A damaged file is moved aside and what can be
// read of it goes into a new one, which Salvaged tells.
func Open(path string, opts Options) (*Store, error) {
	s := &Store{opts: opts.withDefaults(), path: path}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	s.lock = lock
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	if err := errors.Join(s.finishRescue(), removeFiles(s.path+".salvaging", "", "-wal", "-shm")); err != nil {
		return err
	}
	if size := s.Size(); size > slowCheck {
		s.opts.Log.Info("checking the store", "path", s.path, "mb", size>>20)
	}
	err := checkHeader(s.path)
	if err == nil {
		err = s.connect()
	}
	if isDamage(err) {
		s.disconnect()
		s.opts.Log.Error("store is damaged, salvaging what can be read", "path", s.path, "err", err)
		if err := s.rescue(err); err != nil {
			return err
		}
		err = s.connect()
	}
	if err != nil {
		return err
	}
	return s.readSalvage()
}

// connect opens both sides and checks what is there.
func (s *Store) connect() (err error) {
	if s.writer, err = s.openDB(false); err != nil {
		return err
	}
	if s.reader, err = s.openDB(true); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.prepareSchema(); err != nil {
		return err
	}
	if err := s.checkRows(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(s.path))
}

const slowCheck = 256 << 20 // bytes of a store beyond which looking it over takes seconds, so that it is said

const maxLog = 64 << 20 // bytes to which the write-ahead log is cut after it was longer

func (s *Store) openDB(readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		fmt.Sprintf("wal_autocheckpoint(%d)", max(s.opts.Checkpoint, 0)), fmt.Sprintf("journal_size_limit(%d)", maxLog),
		"secure_delete(1)", // what was removed does not come back from a damaged file, nor otherwise
	}}
	q.Set("_txlock", "immediate")
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: s.path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	connections := 1
	if readOnly {
		connections = 4
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// check lets SQLite look over the whole file.
func (s *Store) check() error {
	var verdict string
	if err := s.writer.QueryRow("PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, verdict)
	}
	return nil
}

// checkRows finds damage within rows, which SQLite cannot see.
func (s *Store) checkRows() error {
	rows, err := s.writer.Query("SELECT row, kind, topic, body, crc FROM feed")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r feedRow
		var topic, body sql.RawBytes
		if err := rows.Scan(&r.row, &r.kind, &topic, &body, &r.crc); err != nil {
			return fmt.Errorf("%w: row %d: %w", ErrDamaged, r.row, err)
		}
		if checksum(r.kind, string(topic), body) != r.crc {
			return fmt.Errorf("%w: row %d has a wrong checksum", ErrDamaged, r.row)
		}
	}
	return rows.Err()
}

func (s *Store) disconnect() {
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			_ = db.Close() // the file is kept as it is
		}
	}
	s.reader, s.writer, s.stmts = nil, nil, nil
}

// Close waits for a write under way and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.reader, s.writer, s.stmts = nil, nil, nil
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Epoch is the random name of this file, which tells row numbers of different files apart.
func (s *Store) Epoch() string { return s.epoch }

// Last returns the newest row of the feed, 0 when it is empty.
func (s *Store) Last() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Size returns the bytes of the file and of its write-ahead log.
func (s *Store) Size() (n int64) {
	for _, path := range []string{s.path, s.path + "-wal"} {
		if info, err := os.Stat(path); err == nil {
			n += info.Size()
		}
	}
	return n
}

const schemaVersion = 2

const schema = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE drones(
	id INTEGER PRIMARY KEY, fleet TEXT NOT NULL, drone TEXT NOT NULL, sequence TEXT NOT NULL DEFAULT '{}',
	alerts INTEGER NOT NULL DEFAULT 0, heard INTEGER NOT NULL DEFAULT 0, UNIQUE(fleet, drone));
CREATE TABLE feed(
	row INTEGER PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, event INTEGER NOT NULL DEFAULT 0,
	flags INTEGER NOT NULL DEFAULT 0, topic TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX feed_event ON feed(event, row);
CREATE TABLE events(
	id INTEGER PRIMARY KEY, drone INTEGER NOT NULL REFERENCES drones(id), boot TEXT NOT NULL, event TEXT NOT NULL,
	task TEXT NOT NULL, label TEXT NOT NULL, phase TEXT NOT NULL, revision INTEGER NOT NULL, steps INTEGER NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, peak REAL NOT NULL,
	row INTEGER NOT NULL, alert INTEGER NOT NULL, verdict INTEGER NOT NULL DEFAULT 0, command INTEGER NOT NULL DEFAULT 0,
	UNIQUE(drone, boot, event));
CREATE INDEX events_open ON events(verdict, id);
CREATE TABLE alerts(
	event INTEGER NOT NULL, revision INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY(event, revision)) WITHOUT ROWID;
CREATE TABLE results(
	drone INTEGER NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL, row INTEGER NOT NULL,
	PRIMARY KEY(drone, boot, seq)) WITHOUT ROWID;
CREATE TABLE pictures(
	event INTEGER PRIMARY KEY, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
	sha256 TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE commands(
	id INTEGER PRIMARY KEY, fleet TEXT NOT NULL, drone TEXT NOT NULL, verb TEXT NOT NULL, args TEXT NOT NULL,
	event INTEGER NOT NULL, operator TEXT NOT NULL, state TEXT NOT NULL, text TEXT NOT NULL DEFAULT '',
	counter INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE INDEX commands_state ON commands(state, id);
CREATE TABLE attempts(counter INTEGER PRIMARY KEY, command INTEGER NOT NULL);
CREATE TABLE quarantine(
	id INTEGER PRIMARY KEY, at INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL);
` + schemaRemoved

// schemaRemoved is what version 2 added: the names of events that Prune removed.
const schemaRemoved = `
CREATE TABLE removed(
	id INTEGER PRIMARY KEY, drone INTEGER NOT NULL, boot TEXT NOT NULL, event TEXT NOT NULL, UNIQUE(drone, boot, event));
CREATE INDEX commands_drone ON commands(fleet, drone, id);
CREATE INDEX commands_event ON commands(event);
CREATE INDEX attempts_command ON attempts(command);
`

// prepareSchema makes the tables in an empty file and reads the state of one that is not.
func (s *Store) prepareSchema() error {
	var version int
	if err := s.writer.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version > schemaVersion:
		return fmt.Errorf("%w: got schema %d, want at most %d", ErrNewer, version, schemaVersion)
	case version == 0:
		if err := s.makeSchema(schema); err != nil {
			return brokenSchema(err)
		}
	case version == 1:
		if err := s.makeSchema(schemaRemoved); err != nil {
			return brokenSchema(err)
		}
	}
	if err := s.prepare(); err != nil {
		return brokenSchema(err)
	}
	s.drones = make(map[[2]string]*droneRow)
	if err := s.writer.QueryRow("SELECT value FROM meta WHERE key = 'epoch'").Scan(&s.epoch); err != nil {
		return fmt.Errorf("%w: no epoch: %w", ErrDamaged, err)
	}
	return s.writer.QueryRow("SELECT coalesce(max(row), 0) FROM feed").Scan(&s.last)
}

// makeSchema adds tables to those of an earlier version.
func (s *Store) makeSchema(tables string) error {
	return s.inTx(context.Background(), func(tx *sql.Tx) error {
		if _, err := tx.Exec(tables); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO meta VALUES('epoch', ?) ON CONFLICT DO NOTHING", wire.NewBoot()); err != nil {
			return err
		}
		_, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
}

// inTx runs f in a transaction that is durable when inTx returns nil.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	if s.writer == nil {
		return os.ErrClosed
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
