// Package outbox keeps messages until they are acknowledged.
//
// It has two lanes. Alerts (and command results) are on disk before Put returns and
// stay there until Ack or Receive. Bulk (statistics, health, pictures) waits in memory
// within a byte limit; when that is reached, neighbours are merged into one (counts add up, health that did not change
// is told once),
// and if that does not make room, the oldest message goes and is counted. Each lane numbers its
// messages itself, one by one, and goes on where it left off after a restart; neither
// clocks nor file times play a part.
//
// Trouble with the disk never stops the drone. What cannot be written stays in memory
// within a limit and is written as soon as the disk takes it again; meanwhile Put
// returns ErrNotDurable and Stats says why. A file that is no longer a database is
// moved aside, whatever can still be read from it goes into a fresh one, and the move
// is counted. Only two things make Open fail: a missing path and a file that another
// process holds.
//
// A Box may be used from any goroutine. It starts none.
package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"emberwing/telemetry/wire"
)

// Lane tells how a message is kept. The smaller lane is the more urgent one.
type Lane uint8

// The lanes.
const (
	Alerts Lane = iota
	Bulk

	numLanes = 2
)

func (l Lane) String() string { return [numLanes]string{"alerts", "bulk"}[l%numLanes] }

// LaneOf returns the lane for a kind of message. Status and receipts have none: they
// are only true at the moment they are sent.
func LaneOf(m wire.Message) (Lane, error) {
	switch m.(type) {
	case *wire.Alert, *wire.Result:
		return Alerts, nil
	case *wire.Stats, *wire.Health, *wire.Picture:
		return Bulk, nil
	}
	return 0, fmt.Errorf("choose lane: got %T, want an alert, result, stats, health or picture", m)
}

// ID names a message in the box.
type ID struct {
	Lane Lane
	Seq  uint64 // from 1
}

// Item is one waiting message.
type Item struct {
	ID
	Topic   string
	Payload []byte // belongs to the receiver of the Item
}

// What Put and Open report.
var (
	ErrNotDurable = errors.New("alert is kept in memory only")
	ErrLocked     = errors.New("outbox is in use by another process")
)

// Options of a Box. Zero means the default.
type Options struct {
	Path         string // of the file; its directory is made when missing
	BulkBytes    int    // limit of topics and payloads waiting in the bulk lane, 1 MiB
	MemoryAlerts int    // limit of alerts that the disk did not take, 1024; beyond, the oldest goes
	MemoryBytes  int    // limit of their topics and payloads, 4 MiB
	MaxFileBytes int    // limit of the file, 256 MiB; alerts may fill half of it, deleting needs room too
}

func (o Options) withDefaults() Options {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&o.BulkBytes, 1<<20)
	set(&o.MemoryAlerts, 1024)
	set(&o.MemoryBytes, 4<<20)
	set(&o.MaxFileBytes, 256<<20)
	return o
}

// Stats is the state of a Box. Counters count since Open.
type Stats struct {
	AlertDepth   int    // alerts waiting, on disk or in memory
	MemoryAlerts int    // those of them that are in memory only
	BulkDepth    int    // bulk messages waiting
	BulkBytes    int    // their topics and payloads
	Queued       uint64 // messages accepted
	Acked        uint64 // messages acknowledged
	BulkDropped  uint64 // bulk messages that gave way to newer ones
	BulkMerged   uint64 // statistics added to later ones, and health messages that a later one repeats
	Buried       uint64 // messages given up by Bury
	AlertsLost   uint64 // alerts that gave way because disk and memory were full
	BadRecords   uint64 // records on disk that were damaged
	FileBytes    int64  // size of the file, 0 while there is none
	FilesMoved   uint64 // files moved aside as unreadable
	MovedTo      string // where the latest of them is
	Err          error  // why alerts are not durable now, nil when they are
}

// Box is the outbox. Make one with Open.
type Box struct {
	mu     sync.Mutex
	opts   Options
	store  *store // nil while there is no usable file
	next   [numLanes]uint64
	unsaid []Item              // alerts that are in memory only, in order; newer than all on disk
	bulk   []Item              // in order
	given  uint64              // highest bulk number that Next has returned
	gone   map[uint64]struct{} // alerts acknowledged but not yet deleted on disk
	onDisk int
	stats  Stats
	ready  chan struct{}
	closed bool

	rescued bool // the damaged file still there has been saved from
}

// Open opens the file, or makes it. See the package comment for what happens when it
// is damaged or cannot be written.
func Open(opts Options) (*Box, error) {
	if opts.Path == "" {
		return nil, errors.New("open outbox: no path")
	}
	b := &Box{opts: opts.withDefaults(), ready: make(chan struct{}, 1), gone: make(map[uint64]struct{})}
	if err := b.attach(); errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("open outbox %s: %w: stop that one or choose another path", opts.Path, err)
	}
	if b.store != nil && len(b.unsaid) > 0 {
		_ = b.save() // Stats has the error
	}
	b.signal()
	return b, nil
}

// attach opens the store and takes over what it holds, and what was saved from a
// damaged one.
func (b *Box) attach() error {
	s, found, err := openStore(b.opts.Path, b.opts.MaxFileBytes)
	b.stats.BadRecords += uint64(found.badRecords)
	if found.movedTo != "" {
		b.stats.FilesMoved++
		b.stats.MovedTo = found.movedTo
	}
	b.next[Alerts] = max(b.next[Alerts], found.lastAlert)
	b.next[Bulk] = max(b.next[Bulk], found.lastBulk)
	b.takeOver(found.salvaged, s != nil)
	b.store, b.onDisk = s, found.alerts
	b.note(err)
	return err
}

// takeOver puts what was saved from a damaged file before what is in memory. A file that could
// not be moved aside is saved from only once, however often it is met until one can be opened.
func (b *Box) takeOver(salvaged []Item, opened bool) {
	if !b.rescued {
		b.unsaid = contents{salvaged: append(salvaged, b.unsaid...)}.tidy().salvaged
	}
	b.rescued = !opened && (b.rescued || len(salvaged) > 0)
}

// Put numbers m within its lane, encodes it and keeps it. It sets Seq of the header
// and, in an alert without one, the event id. For an alert a nil error means that it is
// on disk; ErrNotDurable (wrapped, with the cause) means that it is queued but would not
// survive a power cut. Any other error means that m was not accepted.
func (b *Box) Put(m wire.Message) error {
	lane, err := LaneOf(m)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("put %s: %w", lane, os.ErrClosed)
	}
	item, err := b.encode(m, lane)
	if err != nil {
		return err
	}
	defer b.signal()
	if lane == Bulk {
		return b.putBulk(item)
	}
	return b.putAlert(item)
}

func (b *Box) encode(m wire.Message, lane Lane) (Item, error) {
	h := m.Head()
	h.Seq = b.next[lane] + 1
	if a, ok := m.(*wire.Alert); ok && a.Event == "" {
		a.Event = wire.EventID(h.Drone, h.Boot, h.Seq)
	}
	payload, err := wire.Append(nil, m)
	if err != nil {
		return Item{}, err
	}
	return Item{ID: ID{lane, h.Seq}, Topic: m.Topic().String(), Payload: bytes.Clone(payload)},
		nil // without spare capacity
}

func (b *Box) putAlert(item Item) error {
	b.next[Alerts] = item.Seq
	b.stats.Queued++
	b.unsaid = append(b.unsaid, item)
	if err := b.save(); err != nil {
		b.boundUnsaid()
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	return nil
}

// boundUnsaid keeps what is in memory only within its limits; the oldest gives way.
func (b *Box) boundUnsaid() {
	size, keep := 0, 0
	for i := len(b.unsaid) - 1; i >= 0 && keep < b.opts.MemoryAlerts; i-- {
		if size += b.unsaid[i].size(); size > b.opts.MemoryBytes && keep > 0 {
			break
		}
		keep++
	}
	extra := len(b.unsaid) - keep
	b.unsaid = slices.Delete(b.unsaid, 0, extra)
	b.stats.AlertsLost += uint64(extra)
}

// save writes what is in memory only.
func (b *Box) save() error {
	if b.store == nil {
		if err := b.attach(); err != nil {
			return err
		}
	}
	err := b.store.put(b.unsaid, b.next[Alerts])
	if err == nil {
		b.onDisk += len(b.unsaid)
		b.unsaid = nil
	}
	b.note(err)
	return err
}

// note remembers why alerts are not durable. A store found damaged is given up: its
// file is opened anew, which moves it aside and saves what can be read.
func (b *Box) note(err error) {
	if err != nil || len(b.unsaid) == 0 {
		b.stats.Err = err
	}
	if errors.Is(err, errCorrupt) && b.store != nil {
		b.store.abandon()
		b.store, b.onDisk = nil, 0
		_ = b.attach() // b.stats.Err has the outcome
	}
}

func (b *Box) putBulk(item Item) error {
	if item.size() > b.opts.BulkBytes {
		b.stats.BulkDropped++
		return fmt.Errorf("put bulk: got %d bytes, want at most %d", item.size(), b.opts.BulkBytes)
	}
	b.next[Bulk] = item.Seq
	b.reserveBulk()
	b.stats.Queued++
	b.bulk = append(b.bulk, item)
	b.stats.BulkBytes += item.size()
	if b.stats.BulkBytes > b.opts.BulkBytes {
		b.thin()
	}
	return nil
}

// reserveBulk makes sure that the bulk number in use is below the one on disk, so that
// none is used again after a crash. It writes once in many messages.
func (b *Box) reserveBulk() {
	if b.store != nil {
		b.note(b.store.reserveBulk(b.next[Bulk]))
	}
}

func (b *Box) removeBulk(i int) {
	b.stats.BulkBytes -= b.bulk[i].size()
	b.bulk = slices.Delete(b.bulk, i, i+1)
}

func (i *Item) size() int { return len(i.Topic) + len(i.Payload) }

// Next returns the first message of the lane with a number above after, and whether
// there is one. The caller owns the payload.
func (b *Box) Next(lane Lane, after uint64) (Item, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lane == Bulk {
		item, ok := firstAfter(b.bulk, after)
		b.given = max(b.given, item.Seq)
		return item, ok
	}
	return b.nextAlert(after)
}

func (b *Box) nextAlert(after uint64) (Item, bool) {
	if item, ok := b.nextOnDisk(after); ok {
		return item, true
	}
	return firstAfter(b.unsaid, after)
}

func firstAfter(items []Item, after uint64) (Item, bool) {
	i, _ := findSeq(items, after+1)
	if i == len(items) {
		return Item{}, false
	}
	item := items[i]
	item.Payload = slices.Clone(item.Payload)
	return item, true
}

func findSeq(items []Item, seq uint64) (int, bool) {
	return slices.BinarySearchFunc(items, seq, func(i Item, seq uint64) int {
		return int(int64(i.Seq - seq))
	})
}

func (b *Box) nextOnDisk(after uint64) (Item, bool) {
	for b.store != nil && b.onDisk > 0 {
		item, ok, err := b.store.next(after)
		if err != nil {
			b.note(err)
			return Item{}, false
		}
		if _, gone := b.gone[item.Seq]; !ok || !gone {
			return item, ok
		}
		after = item.Seq
	}
	return Item{}, false
}

// Ack forgets messages that have arrived; unknown ones are ignored. For alerts on disk
// it writes once, however many there are. When that fails, the error is returned and
// the write is repeated with the next Ack; Next does not return them again, but after a
// restart it would.
func (b *Box) Ack(ids ...ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remove(ids)
}

// Receive forgets the alerts that a ground station has stored: those of the given boots
// with a number in one of the runs. It returns which these were, and the error of Ack.
func (b *Box) Receive(stored []wire.Range) ([]ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []ID
	for _, r := range stored {
		for item, ok := b.nextAlert(r.From - 1); ok && item.Seq <= r.To; item, ok = b.nextAlert(item.Seq) {
			if wire.Boot(item.Payload) == r.Boot {
				ids = append(ids, item.ID)
			}
		}
	}
	slices.SortFunc(ids, func(x, y ID) int { return int(int64(x.Seq - y.Seq)) })
	ids = slices.Compact(ids)
	return ids, b.remove(ids)
}

// Bury forgets a message that no broker takes, and counts it.
func (b *Box) Bury(id ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Buried++
	return b.remove([]ID{id})
}

func (b *Box) remove(ids []ID) error {
	for _, id := range ids {
		if !b.forget(id) && id.Lane == Alerts {
			b.gone[id.Seq] = struct{}{}
		}
	}
	if len(b.gone) == 0 || b.store == nil {
		return nil
	}
	n, err := b.store.remove(slices.Sorted(maps.Keys(b.gone)))
	if err == nil {
		clear(b.gone)
		b.onDisk -= n
		b.stats.Acked += uint64(n)
	}
	if b.note(err); err != nil {
		return fmt.Errorf("acknowledge alerts: %w", err)
	}
	return nil
}

// forget removes a message that is in memory.
func (b *Box) forget(id ID) bool {
	items := b.unsaid
	if id.Lane == Bulk {
		items = b.bulk
	}
	i, ok := findSeq(items, id.Seq)
	if !ok {
		return false
	}
	if id.Lane == Bulk {
		b.removeBulk(i)
	} else {
		b.unsaid = slices.Delete(b.unsaid, i, i+1)
	}
	b.stats.Acked++
	return true
}

// Ready receives a value after something was put. One value may stand for many
// messages: drain with Next.
func (b *Box) Ready() <-chan struct{} { return b.ready }

func (b *Box) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// Stats returns the state of the box.
func (b *Box) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.AlertDepth = max(0, b.onDisk-len(b.gone)) + len(b.unsaid) // gone may name what a broken disk has lost
	s.MemoryAlerts = len(b.unsaid)
	s.BulkDepth = len(b.bulk)
	if b.store != nil {
		s.FileBytes = b.store.fileBytes()
	}
	return s
}

// Close tries once more to write what is in memory only, and closes the file. Messages
// on disk are there for the next Open; bulk is lost. Close again does nothing.
func (b *Box) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	var err error
	if len(b.unsaid) > 0 {
		err = b.save()
	}
	if b.store != nil {
		err = errors.Join(err, b.store.close(b.next[Bulk]))
		b.store = nil
	}
	if err != nil {
		return fmt.Errorf("close outbox: %w", err)
	}
	return nil
}
