// Package ground receives what drones send: it subscribes, decodes, drops repetitions and
// stale wills, notices missing alerts, and hands typed messages to a handler.
//
// A Receiver keeps everything in memory, within limits. A Station stores alerts before it
// shows them, answers each with a receipt once it is on disk, remembers what operators made
// of it, and sends commands. Like the sender both use one connection per generation and
// reconnect with jitter.
package ground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// ErrFeedLost is returned by Run when there was no connection for longer than LostAfter.
var ErrFeedLost = errors.New("feed lost")

// Received is a message with what the receiver knows about it.
type Received struct {
	Message  wire.Message // owned by the handler
	At       time.Time    // of arrival, with a monotonic reading
	Bytes    int          // of the payload
	Retained bool         // an old status that the broker had kept
	Missing  uint64       // alerts of this drone missing in the sequence, after this message

	// Entry is the row of the feed, from a Station that has stored the message. It is nil
	// for what is not stored (status, statistics, health) and for an alert or a result that
	// could not be: it comes again once it is. Rows that are not about a message that came
	// in (verdicts, pictures) have no Message.
	Entry *store.Entry
}

// Handler takes messages one at a time, in the order of arrival. While it works, nothing
// else is received, so it should not take long.
type Handler interface{ Handle(Received) }

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(Received)

// Handle implements Handler.
func (f HandlerFunc) Handle(r Received) { f(r) }

// Options of a Receiver. Zero means the default, where there is one.
type Options struct {
	Broker     mqtt.Broker
	Fleet      string  // "+", all fleets
	Handler    Handler // required
	ClientID   string  // random; must be given when Persistent
	Persistent bool    // the broker keeps alerts for this client id while it is away
	Backoff    mqtt.Backoff

	LostAfter time.Duration // Run gives up after this long without a connection; 0 never
	LateAfter time.Duration // alerts published this long after capture are marked Late, 30 s
	MaxDrones int           // remembered; beyond, the one not heard for longest is forgotten, 16384
	Remember  int           // alerts remembered per drone to drop repetitions, 1024

	Log *slog.Logger // slog.Default
}

func (o Options) withDefaults() Options {
	if o.Fleet == "" {
		o.Fleet = "+"
	}
	if o.ClientID == "" && !o.Persistent {
		o.ClientID = "ewg-" + wire.NewBoot()
	}
	if o.LateAfter <= 0 {
		o.LateAfter = 30 * time.Second
	}
	if o.MaxDrones <= 0 {
		o.MaxDrones = 16384
	}
	if o.Remember <= 0 {
		o.Remember = 1024
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Stats counts since the Receiver was made.
type Stats struct {
	Connected   bool
	Connections uint64
	Messages    uint64 // received, good or bad
	Bad         uint64 // not decodable, or not on their own topic
	Duplicates  uint64 // dropped: seen before
	StaleWills  uint64 // dropped: offline of a connection that is no longer the present one
	LastBad     string // why the latest bad message was
	LastError   string // why the latest connection ended or did not come up
}

// Receiver is the ground side of the feed. Make one with New.
type Receiver struct {
	opts Options
	link *link

	mu    sync.Mutex
	stats Stats
	fleet fleet

	lastBadLog time.Time // only used by the goroutine of Run
}

// New checks the options.
func New(opts Options) (*Receiver, error) {
	opts = opts.withDefaults()
	if opts.Handler == nil {
		return nil, errors.New("make receiver: no handler")
	}
	if opts.ClientID == "" {
		return nil, errors.New("make receiver: a persistent session needs a client id")
	}
	if err := opts.Broker.Validate(); err != nil {
		return nil, fmt.Errorf("make receiver: %w", err)
	}
	filters, err := wire.UplinkFilters(opts.Fleet)
	if err != nil {
		return nil, fmt.Errorf("make receiver: %w", err)
	}
	r := &Receiver{opts: opts, fleet: newFleet(opts.MaxDrones, opts.Remember)}
	r.link = newLink(linkOptions{
		broker: opts.Broker, clientID: opts.ClientID, persistent: opts.Persistent, filters: filters,
		backoff: opts.Backoff, lostAfter: opts.LostAfter, events: r, log: opts.Log,
	})
	return r, nil
}

// Stats returns the counters.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Receiver) count(f func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

// Drones returns what is known of each drone, sorted by fleet and name.
func (r *Receiver) Drones() []Drone {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fleet.list()
}

// Run receives until ctx ends, and returns nil then. It reconnects whenever the link
// breaks and returns ErrFeedLost, with the cause, when that takes longer than LostAfter.
func (r *Receiver) Run(ctx context.Context) error {
	return r.link.run(ctx, r.handle)
}

// linkUp and linkDown implement linkEvents.
func (r *Receiver) linkUp() {
	r.count(func(s *Stats) { s.Connected, s.LastError = true, ""; s.Connections++ })
}

func (r *Receiver) linkDown(err error) {
	r.count(func(s *Stats) { s.Connected, s.LastError = false, err.Error() })
}

// handle decodes one message, decides whether it is news, and passes it on.
func (r *Receiver) handle(m mqtt.Message) {
	now := time.Now()
	decoded, err := wire.Decode(m.Topic, m.Payload)
	if err != nil {
		r.bad(now, err)
		return
	}
	if a, ok := decoded.(*wire.Alert); ok {
		a.Late = a.Delay() > r.opts.LateAfter
	}
	r.mu.Lock()
	r.stats.Messages++
	drone := r.fleet.drone(decoded.Head())
	verdict := drone.judge(decoded, now)
	r.stats.note(verdict)
	missing := drone.alerts.Count()
	r.mu.Unlock()
	if verdict == fresh {
		r.opts.Handler.Handle(Received{Message: decoded, At: now, Bytes: len(m.Payload), Retained: m.Retained,
			Missing: missing})
	}
}

func (s *Stats) note(v verdict) {
	switch v {
	case duplicate:
		s.Duplicates++
	case staleWill:
		s.StaleWills++
	}
}

// bad counts every bad message and logs at most one a second.
func (r *Receiver) bad(now time.Time, err error) {
	r.count(func(s *Stats) {
		s.Messages++
		s.Bad++
		s.LastBad = err.Error()
	})
	if now.Sub(r.lastBadLog) >= time.Second {
		r.lastBadLog = now
		r.opts.Log.Warn("bad message", "err", err, "bad", r.Stats().Bad)
	}
}
