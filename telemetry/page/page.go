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
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/wire"
)

var (
	_ ground.Handler = (*Page)(nil)
	_ http.Handler   = (*Page)(nil)
)

// Options of a Page. Zero means the default, where there is one.
type Options struct {
	// Pictures holds the snapshots that alerts name; nil when there are none. Only files
	// named by a remembered alert are served. Let it be an os.Root's FS: os.DirFS follows
	// symbolic links out of the folder.
	Pictures fs.FS

	Software string   // name and version, for the foot of the page
	Banner   string   // shown on top of everything: that the flight is synthetic, an exercise, …
	Hosts    []string // DNS names under which the page may be asked for, besides localhost and IP addresses

	MaxEvents  int // remembered, 200; beyond, the drone with most events loses its oldest
	MaxDrones  int // remembered, 256; beyond, the one not heard for longest is forgotten
	MaxStreams int // browsers at a time, 64; more are told to come back later
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxEvents, 200)
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
	mux     *http.ServeMux
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
		opts: opts, epoch: wire.NewBoot(), changed: make(chan struct{}),
		streams: newStreams(opts.MaxStreams), fleet: newFleet(opts.MaxDrones, opts.MaxEvents),
	}
	p.mux = p.routes()
	return p
}

// Handle implements ground.Handler. It keeps parts of the message, changes nothing in
// it, and never waits for a browser. Messages that break the schema are counted and ignored.
func (p *Page) Handle(r ground.Received) {
	if r.Message == nil || r.Message.Validate() != nil {
		p.invalid.Add(1)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fleet.handle(r)
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
