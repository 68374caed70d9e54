// Package mqtt carries messages from the outbox of a drone to a broker.
//
// The paho client is used as a dumb pipe. Left to itself it reports messages as
// delivered that were not, loses stored ones when it restarts, and does not notice a dead
// link behind a full buffer. So there is one client per connection (a generation), without
// reconnecting, storing or retrying of its own. What is to be sent stays in the outbox, and
// goes from there only when it has arrived; a lost connection means that everything that has
// not is sent again, in order.
//
// What "arrived" means is the ack mode. A PUBACK of the same generation says that the broker
// has the message, not that the broker has made it durable, let alone that anyone has read
// it: mode "broker" stops there. In mode "receipt" a PUBACK only frees a place in the window,
// and an alert stays in the outbox until a ground station says that it is on its disk;
// without that it is sent again, at growing intervals. Statistics are done with the PUBACK
// in both modes.
//
// A message that ends connection after connection is set aside (see letters.go).
package mqtt

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// Outbox is where messages wait. *outbox.Box is one.
type Outbox interface {
	// Next returns the first message of the lane with a number above after.
	Next(lane outbox.Lane, after uint64) (outbox.Item, bool)
	// Ack forgets messages.
	Ack(ids ...outbox.ID) error
	// Receive forgets the alerts that a station has stored and returns which these were.
	Receive(stored []wire.Range) ([]outbox.ID, error)
	// Bury forgets a message that no broker takes.
	Bury(id outbox.ID) error
	// Ready receives a value after something was put.
	Ready() <-chan struct{}
}

// Options of a Pipe. Zero means the default, where there is one.
type Options struct {
	Broker   Broker
	ClientID string // made of fleet and drone; the same for every run, so that a broker ends the old session
	Backoff  Backoff

	// Ack is what deletes an alert; "" is AckBroker. See the package comment.
	Ack wire.AckMode
	// ReceiptTimeout is how long a receipt may take before the alert is sent again; the
	// wait doubles each time, up to eight times this. 10 s.
	ReceiptTimeout time.Duration
	// Trusted are the keys of ground stations. With any, only signed receipts count.
	Trusted []ed25519.PublicKey

	// Status returns a status message for this moment with everything filled in but
	// State, Reason, Generation and Published. Required.
	Status func() *wire.Status

	// Command is called for each command received, by the goroutine of Run; nil means
	// that commands are not subscribed to.
	Command func(topic wire.Topic, m Message)

	AlertWindow int           // alerts under way at a time, 16
	BulkWindow  int           // bytes of bulk under way at a time, 4 KiB (but at least one message)
	AckTimeout  time.Duration // after which a silent broker counts as lost, 15 s

	// DeadRetry is how long an alert that ends connections is left alone, 10 min.
	DeadRetry time.Duration

	// Settle is how long a connection after the first waits before it drains the outbox.
	// When a broker returns, subscribers need a moment to do so too, and what it
	// acknowledges without one is lost to them. 0 does not wait.
	Settle time.Duration

	Log *slog.Logger // slog.Default
}

func (o Options) withDefaults() Options {
	if o.AlertWindow <= 0 {
		o.AlertWindow = 16
	}
	if o.BulkWindow <= 0 {
		o.BulkWindow = 4 << 10
	}
	if o.AckTimeout <= 0 {
		o.AckTimeout = 15 * time.Second
	}
	if o.ReceiptTimeout <= 0 {
		o.ReceiptTimeout = 10 * time.Second
	}
	if o.DeadRetry <= 0 {
		o.DeadRetry = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Stats counts since the Pipe was made.
type Stats struct {
	Connected   bool
	Generation  uint64 // number of the latest connection attempt
	Connections uint64 // attempts that succeeded
	Failures    uint64 // attempts that failed, and connections lost
	Published   uint64 // messages from the outbox handed to a connection
	Acked       uint64 // of those, acknowledged
	Resent      uint64 // of those published, not for the first time
	Commands    uint64 // commands received
	CommandLost uint64 // commands dropped because the program did not keep up
	LastError   string // why the latest connection ended or did not come up
	LastAck     time.Time

	Receipts    uint64    // receipts that deleted something
	Misdirected uint64    // commands and receipts for another drone
	BadReceipts uint64    // receipts that were not signed by a trusted key, or unreadable
	Unreceipted int       // alerts that the broker has taken and no station has confirmed
	WaitingFrom time.Time // when the oldest of those was first published; zero without any
	Dead        uint64    // messages set aside, see DeadRetry
	LastDead    string    // which, and why
}

// Pipe drains an outbox. Make one with New.
type Pipe struct {
	opts Options
	box  Outbox

	mu       sync.Mutex
	stats    Stats
	highest  [2]uint64          // per lane: highest number ever published, to tell a resend
	letters  letters            // only used by the goroutine of Run
	waiting  map[uint64]*wait   // alerts published and not confirmed; likewise
	cancel   context.CancelFunc // of Run; nil before
	finished chan struct{}      // closed when Run has returned
	flush    chan struct{}      // closed by Flush
	flushing bool
}

// New checks the options and returns a Pipe that does nothing until Run.
func New(opts Options, box Outbox) (*Pipe, error) {
	opts = opts.withDefaults()
	if opts.Status == nil || box == nil {
		return nil, errors.New("make mqtt pipe: status and outbox are required")
	}
	if _, err := opts.Broker.parse(); err != nil {
		return nil, fmt.Errorf("make mqtt pipe: %w", err)
	}
	status := opts.Status()
	if err := status.Topic().Validate(); err != nil {
		return nil, fmt.Errorf("make mqtt pipe: %w", err)
	}
	if opts.ClientID == "" {
		opts.ClientID = clientID(status.Fleet, status.Drone)
	}
	return &Pipe{
		opts: opts, box: box, finished: make(chan struct{}), flush: make(chan struct{}),
		letters: newLetters(), waiting: make(map[uint64]*wait),
	}, nil
}

// clientID makes 23 letters and digits, which is what every broker must accept; some
// refuse dots and other things that ids of drones may have.
func clientID(fleet, drone string) string {
	sum := sha256.Sum256([]byte(fleet + "/" + drone))
	return "ew-" + hex.EncodeToString(sum[:10])
}

// Stats returns the counters.
func (p *Pipe) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *Pipe) count(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// Run connects, drains the outbox, and connects again whenever the link breaks, until ctx
// ends or Flush is through. It leaves with an offline status if the link still works. It
// may be called once; the error is nil unless it was called before.
func (p *Pipe) Run(ctx context.Context) error {
	ctx, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer close(p.finished)
	defer p.cancel()
	for failures := 0; ; failures++ {
		productive, err := p.generation(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		p.noteFailure(err)
		if productive {
			failures = 0
		}
		if !p.pause(ctx, failures) {
			return nil
		}
	}
}

// pause waits before the next attempt; it returns false when there is no need for one.
func (p *Pipe) pause(ctx context.Context, failures int) bool {
	if p.opts.Backoff.Sleep(ctx, p.flush, failures) {
		return true
	}
	return ctx.Err() == nil && !p.empty() && p.opts.Backoff.Sleep(ctx, nil, 0)
}

func (p *Pipe) begin(ctx context.Context) (context.Context, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		return nil, errors.New("run mqtt pipe: called twice")
	}
	ctx, p.cancel = context.WithCancel(ctx)
	return ctx, nil
}

func (p *Pipe) noteFailure(err error) {
	p.count(func(s *Stats) {
		s.Connected = false
		s.Failures++
		s.LastError = err.Error()
	})
	p.opts.Log.Warn("mqtt link down", "err", err)
}

// Flush publishes what is in the outbox, then the offline status, disconnects and ends
// Run. It returns nil when everything was acknowledged and the error of ctx when that ended
// first; either way Run has returned. It is meant for shutting down.
func (p *Pipe) Flush(ctx context.Context) error {
	p.mu.Lock()
	if p.cancel == nil {
		p.mu.Unlock()
		return nil // Run was never called
	}
	if !p.flushing {
		p.flushing = true
		close(p.flush)
	}
	p.mu.Unlock()
	defer context.AfterFunc(ctx, p.cancel)()
	<-p.finished
	if p.empty() {
		return nil
	}
	return fmt.Errorf("flush mqtt pipe: messages remain: %w", context.Cause(ctx))
}

func (p *Pipe) empty() bool {
	_, alert := p.box.Next(outbox.Alerts, 0)
	_, bulk := p.box.Next(outbox.Bulk, 0)
	return !alert && !bulk
}

// generation is one connection from start to end. It returns nil when the work is done,
// and whether the connection was of use, which resets the backoff.
func (p *Pipe) generation(ctx context.Context) (productive bool, err error) {
	p.count(func(s *Stats) { s.Generation++ })
	g := &generation{pipe: p, number: p.Stats().Generation, inbox: make(chan Message, inboxSize)}
	if err := g.connect(ctx); err != nil {
		return false, err
	}
	defer g.conn.Abort()
	if err = g.announce(ctx); err == nil {
		p.count(func(s *Stats) { s.Connected = true; s.Connections++; s.LastError = "" })
		p.opts.Log.Info("mqtt link up", "generation", g.number)
		start := time.Now()
		if err = g.settle(ctx); err == nil {
			err = g.drain(ctx)
		}
		productive = time.Since(start) > usefulLife
		if ctx.Err() == nil && err != nil {
			g.blame()
		}
	}
	if err == nil || ctx.Err() != nil {
		g.farewell()
		p.count(func(s *Stats) { s.Connected = false })
	}
	return productive, err
}

const (
	inboxSize  = 256                    // commands and receipts not looked at yet
	usefulLife = 2 * time.Second        // a connection shorter than this does not reset the backoff
	grace      = 250 * time.Millisecond // for the offline status
)
