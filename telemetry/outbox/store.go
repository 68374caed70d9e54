package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"emberwing/telemetry/durable"
)

// Layout of the file: bucket "alerts" maps the sequence number (big endian, so that keys
// sort by it) to a record; the sequence of the bucket is the last number given out.
// Bucket "bulk" is empty but for its sequence, the first bulk number that may not be
// used yet. A record is CRC-32C of the rest (4 bytes, little endian), the length of the
// topic (2 bytes), the topic, the payload; the CRC also covers the key.
const (
	bulkBlock    = 4096 // bulk numbers reserved by one write
	recordHeader = 6
	lockTimeout  = 50 * time.Millisecond
)

func alertBucket() []byte { return []byte("alerts") }
func bulkBucket() []byte  { return []byte("bulk") }

// errCorrupt marks errors that say the file is not what it should be, in contrast to
// one that cannot be reached.
var errCorrupt = errors.New("outbox file is damaged")

// store is the file. Every access to the database goes through guard.
type store struct {
	db       *bbolt.DB
	file     *os.File // of db
	maxBytes int      // of keys and records
	bytes    int
	reserved uint64 // bulk numbers up to this one are on disk as used
}

// errFull is returned when the alerts on disk have reached their limit.
var errFull = errors.New("outbox file has reached its size limit")

// contents is what openStore found.
type contents struct {
	alerts     int
	lastAlert  uint64
	lastBulk   uint64
	badRecords int
	movedTo    string
	salvaged   []Item
}

// openStore opens the file and reads all of it once. A damaged file is moved aside, a
// fresh one takes its place, and every record that is intact is returned.
func openStore(path string, maxBytes int) (*store, contents, error) {
	if err := durable.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, contents{}, err
	}
	s, found, err := tryOpen(path, maxBytes)
	if !errors.Is(err, errCorrupt) {
		return s, found, err
	}
	found = found.withCarved(path)
	if found.movedTo, err = moveAside(path); err != nil {
		return nil, found, err
	}
	s, _, err = tryOpen(path, maxBytes)
	return s, found, err
}

// withCarved adds what carving finds to what bbolt could read of a damaged file.
func (c contents) withCarved(path string) contents {
	carved, err := carve(path)
	if err != nil {
		return c // what bbolt has read is all there is
	}
	for _, item := range carved {
		c.salvaged = append(c.salvaged, item)
		c.lastAlert = max(c.lastAlert, item.Seq)
	}
	return c.tidy()
}

func tryOpen(path string, maxBytes int) (*store, contents, error) {
	s, err := openDB(path, maxBytes)
	if err != nil {
		return nil, contents{}, err
	}
	var found contents
	if err = s.checkSize(); err == nil {
		err = s.update(makeBuckets)
	}
	if err == nil {
		found, err = s.readAll()
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		s.abandon()
		return nil, found, err
	}
	s.reserved = found.lastBulk
	return s, found, nil
}

// openDB opens the database; after a panic inside bbolt it closes the file, which
// releases the lock.
func openDB(path string, maxBytes int) (*store, error) {
	s := &store{maxBytes: maxBytes / 2}
	opts := &bbolt.Options{
		Timeout: lockTimeout, MaxSize: maxBytes, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, perm fs.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(name, flag, perm)
			s.file = f
			return f, err
		},
	}
	err := guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o640, opts)
		return err
	})
	if err != nil {
		s.abandon()
		return nil, classify(err)
	}
	return s, nil
}

// abandon closes the file without asking bbolt, which after a panic may hold its own
// locks for ever. Its memory map stays until the process ends, and with it the lock on the file,
// unless that is given back.
func (s *store) abandon() {
	if s.file != nil {
		_ = syscall.Flock(int(s.file.Fd()), syscall.LOCK_UN)
		s.file.Close() // at worst it is closed already
	}
}

// classify tells a damaged file from one that is in use or out of reach.
func classify(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, errCorrupt), errors.As(err, &errno), errors.Is(err, bolterrors.ErrMaxSizeReached):
		return err
	}
	return fmt.Errorf("%w: %w", errCorrupt, err)
}

// guard turns the panics of bbolt on damaged pages, and the fault of reading a mapped
// page that the disk cannot deliver, into errCorrupt.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errCorrupt, r)
		}
	}()
	return f()
}

// checkSize finds a file that was cut short, which bbolt itself does not notice until
// it reads or overwrites the wrong page.
func (s *store) checkSize() error {
	return s.view(func(tx *bbolt.Tx) error {
		info, err := s.file.Stat()
		if err == nil && info.Size() < tx.Size() {
			err = fmt.Errorf("%w: got %d bytes, want %d", errCorrupt, info.Size(), tx.Size())
		}
		return err
	})
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range [][]byte{alertBucket(), bulkBucket()} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// readAll checks every record, removes the bad ones and returns what it found. When the
// file breaks off, found holds the records that could be read from both ends.
func (s *store) readAll() (found contents, err error) {
	var bad []uint64
	scan := func(first func(*bbolt.Cursor) ([]byte, []byte), step func(*bbolt.Cursor) ([]byte, []byte)) error {
		return s.scan(&found, &bad, first, step)
	}
	err = scan((*bbolt.Cursor).First, (*bbolt.Cursor).Next)
	if err == nil {
		err = s.checkOrder(found.salvaged)
	}
	if err != nil {
		_ = scan((*bbolt.Cursor).Last, (*bbolt.Cursor).Prev) // the first error is the one to report
		return found.tidy(), err
	}
	_, err = s.remove(bad)
	s.bytes = 0
	for i := range found.salvaged {
		s.bytes += found.salvaged[i].size()
	}
	found.alerts, found.badRecords, found.salvaged = len(found.salvaged), len(bad), nil
	return found, err
}

// checkOrder finds damage to the keys of a tree: its records are intact then, but they are not
// found where they belong, and whoever goes from one to the next may go in circles.
func (s *store) checkOrder(items []Item) error {
	return s.view(func(tx *bbolt.Tx) error {
		alerts := tx.Bucket(alertBucket())
		for i := range items {
			if i > 0 && items[i].Seq <= items[i-1].Seq || alerts.Get(key(items[i].Seq)) == nil {
				return fmt.Errorf("%w: record %d is not in its place", errCorrupt, items[i].Seq)
			}
		}
		return nil
	})
}

func (s *store) scan(found *contents, bad *[]uint64, first, step func(*bbolt.Cursor) ([]byte, []byte)) error {
	return s.view(func(tx *bbolt.Tx) error {
		found.lastBulk = tx.Bucket(bulkBucket()).Sequence()
		alerts := tx.Bucket(alertBucket())
		found.lastAlert = max(found.lastAlert, alerts.Sequence())
		c := alerts.Cursor()
		for k, v := first(c); k != nil; k, v = step(c) {
			if item, ok := decodeRecord(k, v); ok {
				found.salvaged = append(found.salvaged, item)
				found.lastAlert = max(found.lastAlert, item.Seq)
			} else if len(k) == 8 {
				*bad = append(*bad, binary.BigEndian.Uint64(k))
			}
		}
		return nil
	})
}

// tidy sorts the salvaged records and removes those that were read twice.
func (c contents) tidy() contents {
	slices.SortFunc(c.salvaged, func(a, b Item) int { return int(int64(a.Seq - b.Seq)) })
	c.salvaged = slices.CompactFunc(c.salvaged, func(a, b Item) bool { return a.Seq == b.Seq })
	return c
}

// put writes the items and the last number given out, in one transaction.
func (s *store) put(items []Item, last uint64) error {
	size := s.bytes
	for i := range items {
		size += items[i].size()
	}
	if size > s.maxBytes {
		return fmt.Errorf("%w: %d bytes of alerts wait", errFull, s.bytes)
	}
	err := s.update(func(tx *bbolt.Tx) error {
		alerts := tx.Bucket(alertBucket())
		alerts.FillPercent = 0.9 // keys only grow, so pages need no room for insertions
		for i := range items {
			if err := alerts.Put(key(items[i].Seq), encodeRecord(&items[i])); err != nil {
				return err
			}
		}
		return alerts.SetSequence(last)
	})
	if err == nil {
		s.bytes = size
	}
	return err
}

// remove deletes the records that exist and returns how many did.
func (s *store) remove(seqs []uint64) (n int, err error) {
	if len(seqs) == 0 {
		return 0, nil
	}
	freed := 0
	err = s.update(func(tx *bbolt.Tx) error {
		alerts := tx.Bucket(alertBucket())
		for _, seq := range seqs {
			v := alerts.Get(key(seq))
			if v == nil {
				continue
			}
			n, freed = n+1, freed+len(v)-recordHeader
			if err := alerts.Delete(key(seq)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.bytes -= freed
	}
	return n, err
}

// next returns the first intact record above after.
func (s *store) next(after uint64) (item Item, ok bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(alertBucket()).Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && !ok; k, v = c.Next() {
			if item, ok = decodeRecord(k, v); ok && item.Seq <= after {
				return fmt.Errorf("%w: record %d comes after %d", errCorrupt, item.Seq, after)
			}
		}
		return nil
	})
	return item, ok && err == nil, err
}

// reserveBulk writes only when n is beyond what was reserved before.
func (s *store) reserveBulk(n uint64) error {
	if n <= s.reserved {
		return nil
	}
	return s.setBulk(n + bulkBlock)
}

func (s *store) setBulk(n uint64) error {
	err := s.update(func(tx *bbolt.Tx) error { return tx.Bucket(bulkBucket()).SetSequence(n) })
	if err == nil {
		s.reserved = n
	}
	return err
}

// close gives back the bulk numbers that were reserved but not used.
func (s *store) close(lastBulk uint64) error {
	err := s.setBulk(lastBulk)
	return errors.Join(err, guard(s.db.Close))
}

func (s *store) fileBytes() int64 {
	info, err := s.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *store) update(f func(*bbolt.Tx) error) error {
	return guard(func() error { return s.db.Update(f) })
}

func (s *store) view(f func(*bbolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func encodeRecord(i *Item) []byte {
	b := make([]byte, recordHeader, recordHeader+i.size())
	binary.LittleEndian.PutUint16(b[4:], uint16(len(i.Topic)))
	b = append(append(b, i.Topic...), i.Payload...)
	binary.LittleEndian.PutUint32(b, checksum(key(i.Seq), b))
	return b
}

func decodeRecord(k, v []byte) (Item, bool) {
	if len(k) != 8 || len(v) < recordHeader || binary.LittleEndian.Uint32(v) != checksum(k, v) {
		return Item{}, false
	}
	topic := int(binary.LittleEndian.Uint16(v[4:]))
	if len(v) < recordHeader+topic {
		return Item{}, false
	}
	body := v[recordHeader:]
	return Item{
		ID:    ID{Alerts, binary.BigEndian.Uint64(k)},
		Topic: string(body[:topic]), Payload: slices.Clone(body[topic:]),
	}, true
}

func checksum(k, record []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(k, table), table, record[4:])
}

// moveAside renames the file to the first free name path.damaged-N.
func moveAside(path string) (string, error) {
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(path, to); err != nil {
			return "", fmt.Errorf("move damaged outbox aside: %w", err)
		}
		return to, durable.SyncDir(filepath.Dir(path))
	}
}
