package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// drone is one simulated drone: a connection of its own and the transport of the real
// daemon, over a box in memory.
type drone struct {
	name     string
	boot     string
	box      *box
	pipe     *mqtt.Pipe
	revision int
	event    int
}

// swarm is all drones.
type swarm struct {
	drones []*drone
	start  time.Time
	wg     sync.WaitGroup

	putLate latency.Histogram // how far the generator ran behind its plan
}

// newSwarm makes n drones for the broker; trusted is the key of the station.
func newSwarm(n int, broker string, trusted []ed25519.PublicKey) (*swarm, error) {
	s := &swarm{start: time.Now()}
	quiet := slog.New(slog.DiscardHandler)
	for i := range n {
		d := &drone{name: fmt.Sprintf("d%05d", i), boot: wire.NewBoot()}
		d.box = newBox(d.boot)
		var err error
		d.pipe, err = mqtt.New(mqtt.Options{
			Broker: mqtt.Broker{URL: broker, KeepAlive: 60 * time.Second, PingTimeout: 30 * time.Second,
				WriteTimeout:   30 * time.Second,
				ConnectTimeout: 30 * time.Second},
			Backoff: mqtt.Backoff{Min: time.Second, Max: 10 * time.Second}, Ack: wire.AckReceipt, Trusted: trusted,
			AckTimeout: 30 * time.Second, ReceiptTimeout: 20 * time.Second, Status: s.status(d, trusted), Log: quiet,
		}, d.box)
		if err != nil {
			return nil, err
		}
		s.drones = append(s.drones, d)
	}
	return s, nil
}

func (s *swarm) header(d *drone) wire.Header {
	now := time.Now()
	return wire.Header{Fleet: "sim", Drone: d.name, Boot: d.boot, Captured: wire.At(now),
		MonoNS: int64(now.Sub(s.start)), Clock: wire.ClockSystem}
}

func (s *swarm) status(d *drone, trusted []ed25519.PublicKey) func() *wire.Status {
	return func() *wire.Status {
		m := &wire.Status{Header: s.header(d), Software: "fleetsim", Board: "simulated", Started: wire.At(s.start),
			Ack: wire.AckReceipt}
		for _, k := range trusted {
			m.Keys = append(m.Keys, wire.KeyID(k))
		}
		return m
	}
}

// launch connects the drones, spread over a while, as no fleet is switched on at once.
func (s *swarm) launch(ctx context.Context, over time.Duration) {
	for _, d := range s.drones {
		wait := rand.N(over)
		s.wg.Go(func() {
			select {
			case <-time.After(wait):
				_ = d.pipe.Run(ctx) // has no error the first time
			case <-ctx.Done():
			}
		})
	}
}

// connected counts the drones that are.
func (s *swarm) connected() (n int) {
	for _, d := range s.drones {
		if d.pipe.Stats().Connected {
			n++
		}
	}
	return n
}

// generate queues messages at the given rate until ctx ends, each on the next drone in
// turn; a share of them are alerts. It returns how many of each there were.
func (s *swarm) generate(ctx context.Context, rate int, share float64) (alerts, bulk int, err error) {
	begin := time.Now()
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return alerts, bulk, nil
			}
		} else if ctx.Err() != nil {
			return alerts, bulk, nil
		}
		s.putLate.Since(due)
		d := s.drones[n%len(s.drones)]
		var m wire.Message
		if isAlert := float64(n+1)*share >= float64(alerts+1); isAlert {
			alerts++
			m = s.alert(d)
		} else {
			bulk++
			m = s.bulk(d, n)
		}
		if err := d.box.add(m); err != nil {
			return alerts, bulk, err
		}
	}
}

// alert is the next step of an event; every fifth ends it.
func (s *swarm) alert(d *drone) *wire.Alert {
	const steps = 5
	phase := wire.PhaseUpdate
	switch d.revision {
	case 0:
		phase = wire.PhaseBegin
	case steps - 1:
		phase = wire.PhaseEnd
	}
	h := s.header(d)
	a := &wire.Alert{
		Header: h, Event: wire.EventID(d.name, d.boot, uint64(d.event)), Task: wire.TaskFire, Phase: phase,
		Revision: d.revision, Label: "smoke",
		Started: h.Captured, Evidence: wire.Evidence{
			Agree: 6, Window: 8, Score: 2.25, Calibrated: 0.87, Peak: 0.9, Threshold: 0.6, Release: 0.4, DwellMS: 400,
			Scores:   wire.Scores{{Label: "nofire", Score: 0.13}, {Label: "smoke", Score: 0.8}, {Label: "fire", Score: 0.07}},
			Model:    model(),
			Position: &wire.Position{Lat: 46.5 + rand.Float64(), Lon: 7.25 + rand.Float64(), AltM: 1200, UncertaintyM: 4},
		}}
	if phase == wire.PhaseEnd {
		a.Ended = h.Captured
		d.event, d.revision = d.event+1, 0
		return a
	}
	d.revision++
	return a
}

func model() wire.Model {
	return wire.Model{Name: "fire", SHA256: strings.Repeat("0af9", 16), RequestedPrecision: "int8",
		EffectivePrecision: "int8",
		RequestedProvider:  "cpu", EffectiveProvider: "cpu"}
}

// bulk is statistics or health in turn.
func (s *swarm) bulk(d *drone, n int) wire.Message {
	if n/len(s.drones)%2 == 0 {
		return &wire.Health{Header: s.header(d), State: wire.HealthOK, Telemetry: wire.Delivery{Queued: 90},
			Sensors: []wire.Sensor{{Name: "CPU-therm", Kind: "temperature", Unit: "celsius", Value: 41.5}}}
	}
	counts := []uint64{10, 20, 200, 60, 9, 1}
	stage := wire.Histogram{SubBits: 4, Count: 300, SumNS: 3e9, MinNS: 9e6, MaxNS: 2e7, First: 300, Counts: counts}
	return &wire.Stats{Header: s.header(d), PeriodMS: 10_000, FPS: 29.9, Frames: wire.Frames{Captured: 300, Inferred: 299},
		Stages: []wire.Stage{{Name: "infer", Histogram: stage}, {Name: "total",
			Histogram: stage}}, Models: []wire.Model{model()}}
}

// waiting sums up what has not arrived.
func (s *swarm) waiting() (alerts, bulk int) {
	for _, d := range s.drones {
		a, b := d.box.waiting()
		alerts, bulk = alerts+a, bulk+b
	}
	return alerts, bulk
}

// laggard says how the link of one of the drones that hold something is doing; "" without any.
func (s *swarm) laggard() string {
	for _, d := range s.drones {
		if a, b := d.box.waiting(); a+b > 0 {
			st := d.pipe.Stats()
			return fmt.Sprintf("; %s holds %d and %d, is connected: %v, connections %d, unreceipted %d, last error %q",
				d.name, a, b, st.Connected, st.Connections, st.Unreceipted, st.LastError)
		}
	}
	return ""
}

// raised returns the names of every alert there was, as the feed gives them.
func (s *swarm) raised() map[string]bool {
	out := make(map[string]bool)
	for _, d := range s.drones {
		for n := uint64(1); n <= d.box.put[0]; n++ {
			out[alertName(d.name, d.boot, n)] = true
		}
	}
	return out
}

func alertName(drone, boot string, seq uint64) string {
	return fmt.Sprintf("%s/%s/%d", drone, boot, seq)
}
