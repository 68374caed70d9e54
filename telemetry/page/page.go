// Package page serves the live page on which operators watch drones: what burns now, what
// was seen before, how old each drone's last word is, and how it performs.
//
// A Page is fed with received messages and folds them into keyed entries (one for the
// link, the health and the statistics of each drone, one for each event). Browsers get the
// entries as server-sent events. There is no queue per browser: each has a position in
// the order of changes and is sent whatever changed since, in its newest form. So a slow
// browser skips what is outdated, costs no memory and never holds up the feed; what it
// skipped is counted. A browser that returns with Last-Event-ID gets the same treatment,
// and the whole state when too much was forgotten meanwhile.
//
// The package starts no goroutines; streams live in those of net/http.
package page

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

var (
	_ ground.Handler = (*Page)(nil)
	_ http.Handler   = (*Page)(nil)
)

// Archive is what the ground station has stored. *store.Store is one.
type Archive interface {
	Events(context.Context, store.Query) ([]store.Event, error)
	Picture(ctx context.Context, event int64) ([]byte, store.Picture, error)
	Drones(context.Context) ([]store.Drone, error)
	Waiting(context.Context, wire.Task) (int, error) // events that nobody has acknowledged
}

// Answer is what an operator says an event is.
type Answer struct {
	Event    int64        `json:"id"` // number of the event in the archive
	Verdict  wire.Verdict `json:"verdict"`
	Operator string       `json:"operator"`
	Note     string       `json:"note"`
	Replace  bool         `json:"replace"` // an earlier answer, which the operator has seen
}

// Condition of the ground station itself.
type Condition struct {
	Connected bool             `json:"connected"` // to the broker
	Alarms    []wire.Condition `json:"alarms"`
	Drones    int              `json:"drones"`  // known, on the page or not
	Offline   int              `json:"offline"` // of them
	Silent    int              `json:"silent"`  // of those online, not heard for a minute
}

// Map holds map tiles in the scheme of web maps, north at y = 0.
type Map interface {
	// Info describes the tiles.
	Info() MapInfo
	// Tile returns a tile as it is to be sent, with its content type and encoding ("" or
	// "gzip"), or an error that wraps fs.ErrNotExist.
	Tile(z, x, y int) (body []byte, contentType, encoding string, err error)
}

// MapInfo describes map tiles.
type MapInfo struct {
	Kind   string `json:"kind"` // "raster" or "vector"
	Min    int    `json:"min"`  // zoom
	Max    int    `json:"max"`  // zoom
	Credit string `json:"credit"`
}

// Options of a Page. Zero means the default, where there is one.
type Options struct {
	// Pictures holds the snapshots that alerts name; nil when there are none. Only files
	// named by a remembered alert are served. Let it be an os.Root's FS: os.DirFS follows
	// symbolic links out of the folder.
	Pictures fs.FS

	Software string   // name and version, for the foot of the page
	Banner   string   // shown on top of everything: that the flight is synthetic, an exercise, …
	Hosts    []string // DNS names under which the page may be asked for, besides localhost and IP addresses

	Archive Archive          // what Load reads and the history is searched in; nil: only what is remembered
	Station func() Condition // asked every 2 s for each browser; nil: not known
	Map     Map              // below everything else on the map; nil: none

	// Answer stores an answer durably and returns the event as it is then. nil: events
	// cannot be answered on this page.
	Answer func(context.Context, Answer) (store.Event, error)

	Commander Commander // sends what operators ask of a drone; nil: commands cannot be sent on this page

	Token string // to log in with, at least MinToken bytes; "" asks for none

	MaxEvents  int // remembered, 500; beyond, the drone with most events loses its oldest
	MaxDrones  int // remembered, 256; beyond, those with alerts and then those heard first
	MaxStreams int // browsers at a time, 64; more are told to come back later
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxEvents, 500)
	setDefault(&o.MaxDrones, 256)
	setDefault(&o.MaxStreams, 64)
	return o
}

func setDefault(v *int, to int) {
	if *v <= 0 {
		*v = to
	}
}

// Stats counts since the Page was made.
type Stats struct {
	Streams    int    // browsers connected now
	Opened     uint64 // streams opened
	Refused    uint64 // streams beyond MaxStreams
	Resumed    uint64 // streams that went on where an earlier one ended
	Resets     uint64 // times a browser was sent the whole state
	Superseded uint64 // changes not sent to a slow browser because a newer one replaced them
	Slow       uint64 // streams ended because the browser took nothing for too long
	Invalid    uint64 // messages ignored because they break the schema
	Forgotten  uint64 // drones and events dropped to stay within the limits
}

// Page is the live page. Make one with New, feed it with Handle, serve it as a handler,
// and Close it before the server shuts down.
type Page struct {
	opts    Options
	epoch   string // names this Page in event ids, so that ids of an earlier one are not resumed
	guard   *guard
	handler http.Handler
	streams streams

	resumed, resets, superseded, invalid atomic.Uint64

	mu      sync.Mutex
	fleet   *fleet
	changed chan struct{} // closed and replaced at each change
}

// New returns an empty page.
func New(opts Options) *Page {
	opts = opts.withDefaults()
	p := &Page{
		opts: opts, epoch: wire.NewBoot(), changed: make(chan struct{}), guard: newGuard(opts.Token, opts.Hosts),
		streams: newStreams(opts.MaxStreams), fleet: newFleet(opts.MaxDrones, opts.MaxEvents),
	}
	p.handler = p.Guard(p.routes())
	return p
}

// Load takes in what the archive holds: all fires that wait for an answer and the newest
// of all events, as far as the limits allow. Call it before the first Handle.
func (p *Page) Load(ctx context.Context) error {
	if p.opts.Archive == nil {
		return nil
	}
	waiting, err := p.opts.Archive.Events(ctx, store.Query{Task: wire.TaskFire, Unacknowledged: true,
		Limit: p.opts.MaxEvents})
	if err != nil {
		return fmt.Errorf("load page: %w", err)
	}
	newest, err := p.opts.Archive.Events(ctx, store.Query{Limit: max(0, p.opts.MaxEvents-len(waiting)) + 1})
	if err != nil {
		return fmt.Errorf("load page: %w", err)
	}
	all, err := p.opts.Archive.Waiting(ctx, wire.TaskFire)
	if err != nil {
		return fmt.Errorf("load page: %w", err)
	}
	drones, err := p.opts.Archive.Drones(ctx)
	if err != nil {
		return fmt.Errorf("load page: %w", err)
	}
	shown := append(waiting, newest...)
	slices.SortStableFunc(shown, func(a, b store.Event) int { return int(a.ID - b.ID) })
	p.change(func(f *fleet) {
		for i := range drones {
			f.storedDrone(&drones[i])
		}
		for i := range shown {
			f.stored(&shown[i])
		}
		f.unseen += max(0, all-len(waiting))
	})
	return nil
}

// Handle implements ground.Handler. It keeps parts of the message, changes nothing in
// it, and never waits for a browser. Messages that break the schema are counted and ignored.
func (p *Page) Handle(r ground.Received) {
	if r.Message == nil && r.Entry == nil || r.Message != nil && r.Message.Validate() != nil {
		p.invalid.Add(1)
		return
	}
	p.change(func(f *fleet) { f.handle(r) })
}

// change changes what is shown and wakes the streams.
func (p *Page) change(do func(*fleet)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do(p.fleet)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Stats returns the counters.
func (p *Page) Stats() Stats {
	s := p.streams.stats()
	s.Resumed, s.Resets = p.resumed.Load(), p.resets.Load()
	s.Superseded, s.Invalid = p.superseded.Load(), p.invalid.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Forgotten = p.fleet.forgotten
	return s
}

// Close ends all streams, within a quarter of a second even where a browser takes
// nothing, and refuses new ones. Everything else goes on being served. It is idempotent.
func (p *Page) Close() error {
	p.streams.close()
	return nil
}
