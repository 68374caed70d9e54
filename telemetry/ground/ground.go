// Package ground receives what drones send: it subscribes, decodes, drops repetitions and
// stale wills, notices missing alerts, and hands typed messages to a handler.
//
// It keeps everything in memory, within limits; a program that must remember alerts stores
// them itself. Like the sender it uses one connection per generation and reconnects with
// jitter.
package ground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"emberwing/telemetry/mqtt"
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
	opts    Options
	filters []string
	queue   chan mqtt.Message

	mu    sync.Mutex
	stats Stats
	fleet fleet

	lastBadLog time.Time // only used by the goroutine of Run
}

const queueLength = 1024

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
	return &Receiver{
		opts: opts, filters: filters, queue: make(chan mqtt.Message, queueLength),
		fleet: newFleet(opts.MaxDrones, opts.Remember),
	}, nil
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
	lastUp := time.Now()
	for failures := 0; ; failures++ {
		attempt, cancel := r.patience(ctx, lastUp)
		upFor, err := r.session(ctx, attempt)
		if upFor > 0 {
			lastUp = time.Now()
			cancel()
			attempt, cancel = r.patience(ctx, lastUp)
		}
		if upFor > usefulLife {
			failures = 0
		}
		if ctx.Err() == nil {
			r.noteFailure(err)
			r.opts.Backoff.Sleep(attempt, nil, failures)
		}
		lost := attempt.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if lost {
			return fmt.Errorf("%w for %v: %w", ErrFeedLost, r.opts.LostAfter, err)
		}
	}
}

const usefulLife = 2 * time.Second // a connection shorter than this does not reset the backoff

// patience returns a context that ends when the feed has been down for too long.
func (r *Receiver) patience(ctx context.Context, lastUp time.Time) (context.Context, context.CancelFunc) {
	if r.opts.LostAfter <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, lastUp.Add(r.opts.LostAfter))
}

func (r *Receiver) noteFailure(err error) {
	r.count(func(s *Stats) { s.Connected, s.LastError = false, err.Error() })
	r.opts.Log.Warn("feed down", "err", err)
}

// session is one connection; attempt limits the time until it is up. It returns how long
// it was up.
func (r *Receiver) session(ctx, attempt context.Context) (upFor time.Duration, err error) {
	closed := make(chan struct{})
	defer close(closed)
	conn, err := mqtt.Dial(attempt, r.opts.Broker, mqtt.Session{
		ClientID: r.opts.ClientID, Persistent: r.opts.Persistent,
		Receive: func(m mqtt.Message) {
			select {
			case r.queue <- m:
			case <-closed:
			}
		},
	})
	if err != nil {
		return 0, err
	}
	defer conn.Abort()
	err = r.serve(ctx, attempt, conn, &upFor)
	if ctx.Err() != nil {
		conn.Disconnect(disconnectTime)
	}
	return upFor, err
}

const disconnectTime = 250 * time.Millisecond

// serve subscribes and handles messages until something ends.
func (r *Receiver) serve(ctx, attempt context.Context, conn *mqtt.Conn, upFor *time.Duration) error {
	subscription := conn.Subscribe(r.filters...)
	subscribed, tooLate := subscription.Done(), attempt.Done()
	var up time.Time
	defer func() {
		if !up.IsZero() {
			*upFor = max(time.Since(up), 1)
		}
	}()
	for {
		select {
		case m := <-r.queue:
			r.handle(m)
		case <-subscribed:
			if err := subscription.Error(); err != nil {
				return fmt.Errorf("subscribe: %w", err)
			}
			subscribed, tooLate, up = nil, nil, time.Now()
			r.count(func(s *Stats) { s.Connected, s.LastError = true, ""; s.Connections++ })
			r.opts.Log.Info("feed up")
		case <-tooLate:
			return attempt.Err()
		case <-conn.Lost():
			return conn.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
		r.opts.Handler.Handle(Received{Message: decoded, At: now, Bytes: len(m.Payload), Retained: m.Retained, Missing: missing})
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
