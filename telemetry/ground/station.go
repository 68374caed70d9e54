package ground

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"emberwing/telemetry/export"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// StationOptions of a Station. Zero means the default, where there is one.
type StationOptions struct {
	Broker  mqtt.Broker
	Fleet   string              // "+", all fleets
	Name    string              // of this station, an id; the same over restarts, different from other stations'. Required
	Store   *store.Store        // required; the caller closes it after Run
	Key     ed25519.PrivateKey  // signs receipts and commands; required
	Trusted []ed25519.PublicKey // of other stations, whose verdicts count here too
	Handler Handler             // gets everything, stored or not; nil for none
	Backoff mqtt.Backoff

	LateAfter time.Duration // alerts published this long after capture are marked Late, 30 s
	MaxDrones int           // whose live state is remembered, 16384
	Retry     time.Duration // first wait for the result of a command, doubled up to 32 times it, 10 s
	GiveUp    time.Duration // after which the command of a verdict is given up, 24 h
	Expiry    time.Duration // after which the drone refuses any other command, 10 min
	Beacon    time.Duration // between signs of life to other stations, 2 s

	Keep  store.Limits     // of the store
	Tidy  time.Duration    // between looks at those, 10 min
	Clock func() time.Time // for those, time.Now

	Export export.Options // of the exports of the API

	Log *slog.Logger // slog.Default
}

func (o StationOptions) withDefaults() StationOptions {
	set := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&o.LateAfter, 30*time.Second)
	set(&o.Retry, 10*time.Second)
	set(&o.GiveUp, 24*time.Hour)
	set(&o.Expiry, 10*time.Minute)
	set(&o.Beacon, 2*time.Second)
	set(&o.Tidy, 10*time.Minute)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Fleet == "" {
		o.Fleet = "+"
	}
	if o.MaxDrones <= 0 {
		o.MaxDrones = 16384
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// validate also checks the name, by way of a message that bears it.
func (o *StationOptions) validate() error {
	if o.Store == nil || len(o.Key) != ed25519.PrivateKeySize {
		return errors.New("a store and a key are required")
	}
	if err := (wire.Topic{Fleet: "f", Drone: o.Name, Kind: wire.KindStatus}).Validate(); err != nil {
		return fmt.Errorf("station name %q: %w", o.Name, err)
	}
	if err := o.Export.Validate(); err != nil {
		return err
	}
	return o.Broker.Validate()
}

// Station receives for operators. An alert that comes in is stored, then answered with a
// receipt, then handed to the handler; several at a time share a transaction. Alerts have
// a connection and a session of their own, so that a backlog of statistics does not hold
// them up and none is kept at the broker while the station is away.
type Station struct {
	opts   StationOptions
	boot   string
	began  time.Time
	alerts *link // alerts, results and verdicts; kept by the broker while away
	bulk   *link // status, statistics, health, pictures, other stations

	arrivals chan arrived
	receipts chan []*wire.Receipt
	wake     chan struct{} // of the sender of commands
	peers    peers
	feed     *feedLog

	delivering sync.Mutex // of the handler

	mu      sync.Mutex
	fleet   fleet
	stats   StationStats
	alarms  map[string]wire.Condition
	exports []*export.Exporter // see Watch
	lastBad time.Time

	toDisk, toPage latency.Histogram // from arrival, of alerts
}

// StationStats counts since the Station was made.
type StationStats struct {
	Connected   bool // for alerts
	Connections uint64
	LastError   string // why the latest connection ended or did not come up

	Messages   uint64 // received, good or bad
	Bulk       uint64 // of them statistics, health and pictures, without repetitions
	Malformed  uint64 // not decodable
	Oversized  uint64 // larger than the schema allows
	Mismatched uint64 // sent under the topic of another drone than the one they name
	Stored     uint64 // alerts and results
	Replayed   uint64 // alerts and results stored before
	Conflicts  uint64 // alerts that contradict a stored one; kept aside
	StaleWills uint64 // offline of a connection that is no longer the present one
	Commits    uint64
	Unstored   uint64 // alerts and results waiting because the store does not take them
	Given      uint64 // of those, given up to stay within memory; the drone sends them again
	Receipts   uint64 // sent
	NoReceipt  uint64 // receipts not sent because the link was down or slow; the drone asks again
	Verdicts   uint64 // of operators, here and at other stations
	Orders     uint64 // commands sent, repetitions included
	Forged     uint64 // verdicts of other stations whose signature does not hold
	Pictures   uint64
	Removed    Removed // from the store, to stay within its limits
	// BulkReplayed are statistics, health and pictures received before, and dropped.
	BulkReplayed uint64
	Active       bool   // this station does what only one may do
	LastBad      string // why the latest bad message was
}

// NewStation checks the options. The station does nothing until Run.
func NewStation(opts StationOptions) (*Station, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make station: %w", err)
	}
	filter, err := wire.FleetFilter(opts.Fleet)
	if err != nil {
		return nil, fmt.Errorf("make station: %w", err)
	}
	s := &Station{
		opts: opts, boot: wire.NewBoot(), began: time.Now(), fleet: newFleet(opts.MaxDrones,
			0), alarms: make(map[string]wire.Condition),
		arrivals: make(chan arrived, queueLength), receipts: make(chan []*wire.Receipt,
			queueLength), wake: make(chan struct{}, 1),
		feed: newFeedLog(opts.Store),
	}
	s.peers = newPeers(peer{opts.Name, wire.KeyID(publicKey(opts.Key))}, opts.Beacon)
	s.makeLinks(strings.TrimSuffix(filter, "#"))
	return s, s.restoreFleet()
}

func (s *Station) makeLinks(base string) {
	options := linkOptions{broker: s.opts.Broker, backoff: s.opts.Backoff, log: s.opts.Log}
	options.clientID, options.persistent, options.events = s.clientID("a"), true, alertEvents{s}
	options.log = s.opts.Log.With("feed", "alerts")
	options.filters = []string{base + "alert/+", base + "cmd/result", base + "cmd/acknowledge"}
	s.alerts = newLink(options)
	// What a broken link leaves behind is kept for this session, too, but not beyond a stop:
	// statistics of a day in which nobody listened are not worth the broker's disk.
	options.clientID, options.forget, options.events = s.clientID("b"), true, quietEvents{}
	options.log = s.opts.Log.With("feed", "reports")
	options.filters = []string{base + "status", base + "stats", base + "health", base + "picture", beaconTopic + "+"}
	options.will = s.peers.farewell()
	s.bulk = newLink(options)
}

// clientID makes 23 letters and digits, which is what every broker must accept. It is of name and
// key: two stations with the same name, that of their host perhaps, would end each other's
// sessions otherwise, and each get a part of the alerts.
func (s *Station) clientID(lane string) string {
	sum := sha256.Sum256([]byte(s.opts.Name + "/" + wire.KeyID(publicKey(s.opts.Key))))
	return "ewg" + lane + hex.EncodeToString(sum[:9])
}

type alertEvents struct{ s *Station }

func (e alertEvents) linkUp() {
	e.s.count(func(s *StationStats) { s.Connected, s.LastError = true, ""; s.Connections++ })
	e.s.clearAlarm("broker-down")
}

func (e alertEvents) linkDown(err error) {
	e.s.count(func(s *StationStats) { s.Connected, s.LastError = false, err.Error() })
	e.s.raise("broker-down", wire.SeverityAlarm, "no connection to the broker, nothing can arrive: "+err.Error())
}

type quietEvents struct{}

func (quietEvents) linkUp()        {}
func (quietEvents) linkDown(error) {}

// restoreFleet takes over what the store knows of the drones.
func (s *Station) restoreFleet() error {
	drones, err := s.opts.Store.Drones(context.Background())
	if err != nil {
		return fmt.Errorf("make station: %w", err)
	}
	for _, known := range drones {
		d := s.fleet.drone(&wire.Header{Fleet: known.Fleet, Drone: known.Drone})
		d.alerts, d.Alerts, d.Boot, d.LastSeen = known.Sequence, known.Alerts, known.Sequence.Boot, known.Heard
	}
	if old := s.opts.Store.Salvaged(); old != nil {
		s.raise("store-salvaged", wire.SeverityAlarm, fmt.Sprintf("the store was damaged: %d rows were carried over, "+
			"%d numbers are missing; look at the damaged file, then move it away: %s", old.Rows, old.Missing, old.Kept))
	}
	return nil
}

// Run receives, stores, answers and sends until ctx ends. What has arrived by then is
// stored before Run returns nil.
func (s *Station) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // the rest outlives the links
	defer stop()
	var links, rest sync.WaitGroup
	rest.Go(func() { s.ingest(working) })
	rest.Go(func() { s.sendReceipts(working) })
	rest.Go(func() { s.sendOrders(working) })
	rest.Go(func() { s.beacon(working) })
	rest.Go(func() { s.tidy(working) })
	links.Go(func() { _ = s.bulk.run(ctx, s.handleBulk) })    // without lostAfter it has no error
	links.Go(func() { _ = s.alerts.run(ctx, s.handleAlert) }) //
	links.Wait()
	stop()
	rest.Wait()
	s.feed.close()
	return nil
}

// Active reports whether this station is the one, of all on the broker, that hands alerts
// on to other systems.
func (s *Station) Active() bool { return s.peers.active(time.Now()) }

// Store returns the store, for queries.
func (s *Station) Store() *store.Store { return s.opts.Store }

// Name returns the name of the station.
func (s *Station) Name() string { return s.opts.Name }

// PublicKey returns the key that drones must know, as it belongs into their configuration.
func (s *Station) PublicKey() string {
	return wire.FormatKey(s.opts.Key.Public().(ed25519.PublicKey))
}

// Stats returns the counters.
func (s *Station) Stats() StationStats {
	active := s.peers.active(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Active = active
	return stats
}

func (s *Station) count(f func(*StationStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// Drones returns what is known of each drone, sorted by fleet and name.
func (s *Station) Drones() []Drone {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fleet.list()
}

// Count says how the drones are, which costs less than Drones.
func (s *Station) Count() FleetCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fleet.count(time.Now())
}

// Alarms returns what is wrong with the station now, sorted by code; that of exports comes last.
// It is never nil.
func (s *Station) Alarms() []wire.Condition {
	s.mu.Lock()
	alarms := append([]wire.Condition{}, sortedConditions(s.alarms)...)
	s.mu.Unlock()
	return append(alarms, s.exportAlarms()...)
}

func (s *Station) raise(code string, severity wire.Severity, text string) {
	s.mu.Lock()
	known, ok := s.alarms[code]
	if !ok {
		known = wire.Condition{Code: code, Severity: severity, Since: wire.At(time.Now())}
	}
	known.Text = clipTo(text, wire.MaxText)
	s.alarms[code] = known
	s.mu.Unlock()
	if !ok {
		s.opts.Log.Error("station alarm", "code", code, "text", text)
	}
}

func (s *Station) clearAlarm(code string) {
	s.mu.Lock()
	_, ok := s.alarms[code]
	delete(s.alarms, code)
	s.mu.Unlock()
	if ok {
		s.opts.Log.Info("station alarm is over", "code", code)
	}
}

// Latency returns how long alerts took from their arrival until they were on disk, and
// until the handler had them.
func (s *Station) Latency() (toDisk, toPage *latency.Histogram) { return &s.toDisk, &s.toPage }

// Changed returns a channel that is closed when the feed has a new row.
func (s *Station) Changed() <-chan struct{} { return s.feed.changed() }

// deliver hands something to the handler.
func (s *Station) deliver(r Received) {
	if s.opts.Handler == nil {
		return
	}
	s.delivering.Lock()
	defer s.delivering.Unlock()
	s.opts.Handler.Handle(r)
}

// header starts a message of this station to a drone.
func (s *Station) header(fleet, drone, boot string) wire.Header {
	now := wire.At(time.Now())
	return wire.Header{Fleet: fleet, Drone: drone, Boot: boot, Captured: now, Published: now, Clock: wire.ClockSystem}
}
