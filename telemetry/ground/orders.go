package ground

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Errors of operators' doings.
var (
	ErrVerdict  = errors.New("unknown verdict")
	ErrOperator = errors.New("no operator named")
	ErrCommand  = errors.New("bad command")
)

// Acknowledgement is an operator's verdict over an event.
type Acknowledgement struct {
	Event    int64        `json:"event"` // number in the store
	Verdict  wire.Verdict `json:"verdict"`
	Note     string       `json:"note,omitempty"`
	Operator string       `json:"operator"`
	Replace  bool         `json:"replace,omitempty"` // an earlier verdict, else that is a *store.AcknowledgedError
}

// Acknowledge stores a verdict and the command that tells the drone, which is sent until
// the drone has answered. Both are on disk when Acknowledge returns. The error is
// store.ErrNotFound, ErrVerdict, ErrOperator or a *store.AcknowledgedError, unless the store
// has failed.
func (s *Station) Acknowledge(ctx context.Context, a Acknowledgement) (store.Event, error) {
	if !slices.Contains(wire.Verdicts(), a.Verdict) {
		return store.Event{}, fmt.Errorf("%w: got %q, want one of %v", ErrVerdict, a.Verdict, wire.Verdicts())
	}
	if a.Operator == "" {
		return store.Event{}, ErrOperator
	}
	e, err := s.opts.Store.Event(ctx, a.Event)
	if err != nil {
		return store.Event{}, err
	}
	args := wire.Acknowledge{Event: e.Event, Verdict: a.Verdict, By: a.Operator, Note: a.Note}
	order, err := newOrder(e.Fleet, e.Drone, wire.VerbAcknowledge, args, a.Operator)
	if err != nil {
		return store.Event{}, err
	}
	now := time.Now()
	entry, err := s.opts.Store.Acknowledge(ctx, store.Acknowledgement{
		Event: a.Event, Verdict: string(a.Verdict), Note: a.Note, Operator: a.Operator, Station: s.opts.Name, At: now,
		Replace: a.Replace, Order: order,
	})
	if err != nil {
		return store.Event{}, err
	}
	s.count(func(c *StationStats) { c.Verdicts++ })
	s.publishEntry(&entry, nil, now)
	s.wakeSender()
	return *entry.Event, nil
}

// newOrder checks the arguments by making a command of them.
func newOrder(fleet, drone string, verb wire.Verb, args any, operator string) (*store.Order, error) {
	body, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	o := &store.Order{Fleet: fleet, Drone: drone, Verb: string(verb), Args: body, Operator: operator}
	if _, err := commandOf(o); err != nil {
		return nil, err
	}
	return o, nil
}

// commandOf turns an order into a command with a placeholder for what is filled in when it
// is sent, and validates it. Arguments that the verb does not have are errors.
func commandOf(o *store.Order) (*wire.Command, error) {
	c := &wire.Command{Verb: wire.Verb(o.Verb), Counter: 1, Key: "0000000000000000", Signature: make([]byte, 64)}
	c.Header = wire.Header{V: wire.Version, Kind: wire.KindCommand, Fleet: o.Fleet, Drone: o.Drone, Boot: "unknown",
		Captured: wire.At(time.Now()), Clock: wire.ClockSystem}
	args := argumentsOf(c)
	if args == nil {
		return nil, fmt.Errorf("%w: got verb %q, want one of %v", ErrCommand, o.Verb, wire.Verbs())
	}
	dec := json.NewDecoder(bytes.NewReader(o.Args))
	dec.DisallowUnknownFields()
	if err := dec.Decode(args); err != nil {
		return nil, fmt.Errorf("%w: arguments of %s: %w", ErrCommand, o.Verb, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	return c, nil
}

// argumentsOf makes the arguments of the verb of a command and returns them, nil when it has
// none.
func argumentsOf(c *wire.Command) any {
	switch c.Verb {
	case wire.VerbAcknowledge:
		c.Acknowledge = new(wire.Acknowledge)
		return c.Acknowledge
	case wire.VerbMute:
		c.Mute = new(wire.Mute)
		return c.Mute
	case wire.VerbThreshold:
		c.Threshold = new(wire.Threshold)
		return c.Threshold
	case wire.VerbSnapshot:
		c.Snapshot = new(wire.Request)
		return c.Snapshot
	case wire.VerbProfile:
		c.Profile = new(wire.Profile)
		return c.Profile
	}
	return nil
}

// Command makes a command durable and returns its number; it is sent until the drone has
// answered. The error is ErrCommand unless the store has failed.
func (s *Station) Command(ctx context.Context, fleet, drone string, verb wire.Verb, args json.RawMessage,
	operator string) (int64, error) {
	order, err := newOrder(fleet, drone, verb, args, operator)
	if err != nil {
		return 0, err
	}
	id, err := s.opts.Store.AddOrder(ctx, *order, time.Now())
	if err == nil {
		s.wakeSender()
	}
	return id, err
}

func (s *Station) wakeSender() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sendOrders sends what has no result yet, each in its own rhythm.
func (s *Station) sendOrders(ctx context.Context) {
	due := make(map[int64]time.Time)
	tick := time.NewTicker(min(time.Second, s.opts.Retry))
	defer tick.Stop()
	for {
		s.sendPending(ctx, due)
		select {
		case <-tick.C:
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

const maxPending = 1000 // commands looked at in one round

func (s *Station) sendPending(ctx context.Context, due map[int64]time.Time) {
	pending, err := s.opts.Store.PendingOrders(ctx, maxPending)
	if err != nil {
		if ctx.Err() == nil {
			s.opts.Log.Error("commands cannot be sent", "err", err)
		}
		return
	}
	waiting := make(map[int64]bool, len(pending))
	for i := range pending {
		waiting[pending[i].ID] = true
		s.sendOrder(ctx, &pending[i], due)
	}
	for id := range due {
		if !waiting[id] {
			delete(due, id)
		}
	}
}

// Times of commands.
const (
	resultGrace = 10 * time.Second // for the result of what the drone took at the last moment
	clockWait   = time.Minute      // for a sign of life that tells the clock of the drone
)

// lifetime is how long after its making a command may be carried out. A verdict is still
// true tomorrow; what somebody wanted of a drone ten minutes ago may not be wanted now.
func (s *Station) lifetime(o *store.Order) time.Duration {
	if wire.Verb(o.Verb) == wire.VerbAcknowledge {
		return s.opts.GiveUp
	}
	return s.opts.Expiry
}

// sendOrder sends an order if it is due and its drone can take it.
func (s *Station) sendOrder(ctx context.Context, o *store.Order, due map[int64]time.Time) {
	now := time.Now()
	left := s.lifetime(o) - max(0, now.Sub(o.Created.Time)) // 0 when the clock of the station was set back
	if left < -resultGrace || left <= 0 && o.Attempts == 0 {
		s.endOrder(ctx, o, store.OrderExpired, expired(o, s.lifetime(o)))
		return
	}
	ready, refusal := s.readiness(o, now)
	switch {
	case refusal != "":
		s.endOrder(ctx, o, store.OrderFailed, refusal)
		return
	case ready == nil || left <= 0 || now.Before(due[o.ID]):
		return
	}
	due[o.ID] = now.Add(s.opts.Retry << min(o.Attempts, 5))
	if err := s.transmit(ctx, o, ready, left); err != nil {
		s.opts.Log.Warn("command not sent", "command", o.ID, "verb", o.Verb, "drone", o.Drone, "err", err)
		return
	}
	s.count(func(c *StationStats) { c.Orders++ })
}

func expired(o *store.Order, lifetime time.Duration) string {
	if o.Attempts == 0 {
		return fmt.Sprintf("not sent: the drone was not connected within %v", lifetime)
	}
	return fmt.Sprintf("no result within %v of %d attempts; the drone refuses it from now on", lifetime, o.Attempts)
}

// readyDrone is a drone that can take a command.
type readyDrone struct {
	boot string        // that the command has to name
	mono time.Duration // its clock now, 0 when it does not tell
}

// readiness says whether a drone can take a command now, or why it never will.
func (s *Station) readiness(o *store.Order, now time.Time) (ready *readyDrone, refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.fleet.find(o.Fleet, o.Drone)
	if !ok || d.Status == nil || d.Status.State != wire.Online {
		return nil, ""
	}
	switch keys := d.Status.Keys; {
	case len(keys) == 0:
		return nil, "the drone takes no commands: add the key of this station to commands.keys of its configuration"
	case !slices.Contains(keys, wire.KeyID(publicKey(s.opts.Key))):
		return nil, "the drone does not know the key of this station: add it to commands.keys of its configuration"
	}
	mono, known := d.clock.at(d.Status.Boot, now.Sub(s.began))
	if !known && d.Status.MonoNS > 0 && now.Sub(o.Created.Time) < clockWait {
		return nil, "" // its status was kept by the broker; the next message tells
	}
	return &readyDrone{d.Status.Boot, mono}, ""
}

func (s *Station) endOrder(ctx context.Context, o *store.Order, state, text string) {
	if err := s.opts.Store.EndOrder(ctx, o.ID, state, text, time.Now()); err != nil {
		s.opts.Log.Error("command not ended", "command", o.ID, "err", err)
		return
	}
	s.opts.Log.Warn("command given up", "command", o.ID, "verb", o.Verb, "drone", o.Drone, "reason", text)
}

// transmit sends a command that expires on the drone when the time that is left has passed
// there, by the monotonic clock of the drone; without a clock it does with the drone's run.
func (s *Station) transmit(ctx context.Context, o *store.Order, to *readyDrone, left time.Duration) error {
	c, err := commandOf(o)
	if err != nil {
		return err
	}
	counter, err := s.opts.Store.NextAttempt(ctx, o.ID, time.Now())
	if err != nil {
		return err
	}
	c.Header, c.Counter = s.header(o.Fleet, o.Drone, to.boot), counter
	if to.mono > 0 {
		c.ExpiresNS = (to.mono + left).Nanoseconds()
	}
	if err := wire.Sign(c, s.opts.Key); err != nil {
		return err
	}
	return s.send(c, 1) // other stations take the verdict from it
}

// handleVerdict takes over the verdict of another station, which travels as its command to
// the drone. Of two verdicts the later one counts, so that stations agree in the end.
func (s *Station) handleVerdict(c *wire.Command) {
	if c.Verb != wire.VerbAcknowledge || c.Key == wire.KeyID(publicKey(s.opts.Key)) {
		return
	}
	if err := wire.Verify(c, s.opts.Trusted); err != nil {
		s.count(func(st *StationStats) { st.Forged++ })
		s.opts.Log.Warn("verdict ignored", "drone", c.Drone, "err", err)
		return
	}
	a := c.Acknowledge
	e, err := s.opts.Store.EventByName(context.Background(), c.Fleet, c.Drone, a.Event)
	if err != nil || e.Verdict != nil && (sameJudgement(e.Verdict, a) || !c.Captured.After(e.Verdict.At.Time)) {
		return
	}
	entry, err := s.opts.Store.Acknowledge(context.Background(), store.Acknowledgement{
		Event: e.ID, Verdict: string(a.Verdict), Note: a.Note, Operator: cmp.Or(a.By,
			"?"), Station: "key " + c.Key, At: c.Captured.Time, Replace: true,
	})
	if err != nil {
		s.opts.Log.Error("verdict of another station not stored", "err", err)
		return
	}
	s.count(func(st *StationStats) { st.Verdicts++ })
	s.publishEntry(&entry, nil, time.Now())
}

func sameJudgement(known *store.Verdict, a *wire.Acknowledge) bool {
	return known.Verdict == string(a.Verdict) && known.Note == a.Note && known.Operator == cmp.Or(a.By, "?")
}
