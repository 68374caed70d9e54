package telemetrytest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// RunContract checks what drones and operators rely on, end to end: outbox, pipe, the
// broker that start returns, and receiver.
func RunContract(t *testing.T, start func(testing.TB) Broker) {
	tests := map[string]func(*testing.T, Broker){
		"everything arrives typed and in order": everythingArrives,
		"alerts wait for a stopped broker":      stoppedBroker,
		"alerts wait for late subscribers":      lateSubscriber,
		"a cut link brings the last will":       lastWill,
		"a black hole is noticed":               blackHole,
		"lost acknowledgements repeat nothing":  lostAcknowledgements,
		"status is retained":                    retainedStatus,
		"flush leaves nothing behind":           flushing,
		"flush gives up in time":                flushTimeout,
		"commands arrive":                       commands,
		"bulk never holds up alerts":            alertsFirst,
		"hostile messages are counted":          hostile,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// Quiet is a logger that discards.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Header returns the header of the one drone of the contract, at this moment.
func Header(boot string) wire.Header {
	return wire.Header{Fleet: "valley", Drone: "kite.7", Boot: boot, Captured: wire.At(time.Now()),
		Clock: wire.ClockSystem}
}

// Alert returns a valid alert that begins an event.
func Alert(boot, label string) *wire.Alert {
	h := Header(boot)
	return &wire.Alert{
		Header: h, Task: wire.TaskFire, Phase: wire.PhaseBegin, Label: label, Started: h.Captured,
		Evidence: wire.Evidence{Agree: 6, Window: 8, Model: wire.Model{
			Name: "fire", SHA256: strings.Repeat("a", 64),
			RequestedPrecision: "fp32", EffectivePrecision: "fp32", RequestedProvider: "cpu", EffectiveProvider: "cpu",
		}},
	}
}

// Status returns a status for mqtt.Options.Status.
func Status(boot string) func() *wire.Status {
	return func() *wire.Status {
		return &wire.Status{Header: Header(boot), Software: "emberwing test", Board: "bench", Started: wire.At(time.Now())}
	}
}

// Drone is an outbox and a pipe that is running.
type Drone struct {
	t    testing.TB
	Box  *outbox.Box
	Pipe *mqtt.Pipe
	Boot string
	stop context.CancelFunc
	done chan error
}

// NewDrone starts a drone with short timeouts; options may change them.
func NewDrone(t testing.TB, url string, change ...func(*mqtt.Options)) *Drone {
	t.Helper()
	box, err := outbox.Open(outbox.Options{Path: filepath.Join(t.TempDir(), "outbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	d := &Drone{t: t, Box: box, Boot: wire.NewBoot(), done: make(chan error, 1)}
	opts := mqtt.Options{
		Broker:  mqtt.Broker{URL: url, KeepAlive: 2 * time.Second, WriteTimeout: 2 * time.Second},
		Backoff: mqtt.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
		Status:  Status(d.Boot), AckTimeout: Patience, Log: Quiet(),
	}
	for _, f := range change {
		f(&opts)
	}
	if d.Pipe, err = mqtt.New(opts, box); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() { d.done <- d.Pipe.Run(ctx) }()
	t.Cleanup(d.close)
	return d
}

func (d *Drone) close() {
	d.stop()
	if err := <-d.done; err != nil {
		d.t.Error(err)
	}
	if err := d.Box.Close(); err != nil {
		d.t.Error(err)
	}
}

// Raise puts alerts with these labels.
func (d *Drone) Raise(labels ...string) {
	d.t.Helper()
	for _, l := range labels {
		if err := d.Box.Put(Alert(d.Boot, l)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// WaitConnected waits until the pipe has a working connection.
func (d *Drone) WaitConnected() {
	d.t.Helper()
	Eventually(d.t, "pipe connected", func() bool { return d.Pipe.Stats().Connected })
}

// Station is a receiver that is running and remembers what it received.
type Station struct {
	t        testing.TB
	Receiver *ground.Receiver

	mu  sync.Mutex
	got []ground.Received
}

// NewStation starts a receiver and waits until it is subscribed.
func NewStation(t testing.TB, url string, change ...func(*ground.Options)) *Station {
	t.Helper()
	s := &Station{t: t}
	opts := ground.Options{
		Broker: mqtt.Broker{URL: url}, Fleet: "valley", Handler: s, Log: Quiet(),
		Backoff: mqtt.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	if s.Receiver, err = ground.New(opts); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Receiver.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s.WaitConnected()
	return s
}

// Handle implements ground.Handler.
func (s *Station) Handle(r ground.Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r)
}

// WaitConnected waits until the receiver is subscribed.
func (s *Station) WaitConnected() {
	s.t.Helper()
	Eventually(s.t, "receiver connected", func() bool { return s.Receiver.Stats().Connected })
}

// Received returns everything received so far.
func (s *Station) Received() []ground.Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Labels returns the labels of the alerts received so far.
func (s *Station) Labels() []string {
	labels := []string{}
	for _, r := range s.Received() {
		if a, ok := r.Message.(*wire.Alert); ok {
			labels = append(labels, a.Label)
		}
	}
	return labels
}

// States returns the states received so far, as "online" or "offline: reason".
func (s *Station) States() []string {
	states := []string{}
	for _, r := range s.Received() {
		if m, ok := r.Message.(*wire.Status); ok {
			states = append(states, strings.TrimSuffix(string(m.State)+": "+m.Reason, ": "))
		}
	}
	return states
}

// WaitLabels waits until these alerts, and no others, have arrived in this order.
func (s *Station) WaitLabels(want ...string) {
	s.t.Helper()
	Eventually(s.t, fmt.Sprintf("%d alerts", len(want)), func() bool { return len(s.Labels()) >= len(want) })
	if diff := cmp.Diff(want, s.Labels()); diff != "" {
		s.t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// WaitState waits until the latest state is the given one.
func (s *Station) WaitState(want string) {
	s.t.Helper()
	Eventually(s.t, "state "+want, func() bool {
		states := s.States()
		return len(states) > 0 && states[len(states)-1] == want
	})
}

func labelsUpTo(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprint("alert-", i)
	}
	return labels
}

func everythingArrives(t *testing.T, b Broker) {
	s := NewStation(t, b.URL())
	d := NewDrone(t, b.URL())
	s.WaitState("online")
	for _, m := range []wire.Message{
		Alert(d.Boot, "smoke"), &wire.Stats{Header: Header(d.Boot), PeriodMS: 1000}, &wire.Health{Header: Header(d.Boot),
			State: wire.HealthOK},
		&wire.Result{Header: Header(d.Boot), Verb: "mute", Outcome: "done"},
	} {
		if err := d.Box.Put(m); err != nil {
			t.Fatal(err)
		}
	}
	Eventually(t, "four messages and the status", func() bool { return len(s.Received()) == 5 })
	kinds := map[wire.Kind]int{}
	for _, r := range s.Received() {
		kinds[r.Message.Head().Kind]++
		if r.Message.Head().Published.IsZero() {
			t.Errorf("%s has no publish time", r.Message.Head().Kind)
		}
	}
	want := map[wire.Kind]int{wire.KindStatus: 1, wire.KindAlert: 1, wire.KindStats: 1, wire.KindHealth: 1,
		wire.KindResult: 1}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	labels := labelsUpTo(200)
	d.Raise(labels...)
	s.WaitLabels(append([]string{"smoke"}, labels...)...)
	Eventually(t, "all acknowledged", func() bool { return d.Pipe.Stats().Acked == 204 })
	if got := d.Pipe.Stats(); got.Resent != 0 || d.Box.Stats().AlertDepth != 0 {
		t.Errorf("got %+v, want none sent twice and an empty outbox", got)
	}
}

func stoppedBroker(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	s, d := NewStation(t, b.URL()), NewDrone(t, link.URL())
	d.Raise("before")
	s.WaitLabels("before")
	link.Cut() // so that the drone comes back after the station has subscribed again
	b.Kill()
	d.Raise(labelsUpTo(50)...)
	Eventually(t, "the drone has tried in vain", func() bool { return d.Pipe.Stats().Failures > 2 })
	b.Start()
	s.WaitConnected()
	Eventually(t, "station back", func() bool { return s.Receiver.Stats().Connections == 2 })
	link.Restore()
	s.WaitLabels(append([]string{"before"}, labelsUpTo(50)...)...)
}

// lateSubscriber comes back to a returned broker only after the drone has.
func lateSubscriber(t *testing.T, b Broker) {
	d := NewDrone(t, b.URL(), func(o *mqtt.Options) { o.Settle = 3 * time.Second })
	d.WaitConnected()
	b.Kill()
	d.Raise(labelsUpTo(5)...)
	Eventually(t, "the drone has tried in vain", func() bool { return d.Pipe.Stats().Failures > 2 })
	b.Start()
	Eventually(t, "drone back", func() bool { return d.Pipe.Stats().Connections == 2 })
	NewStation(t, b.URL()).WaitLabels(labelsUpTo(5)...)
}

func lastWill(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	s, d := NewStation(t, b.URL()), NewDrone(t, link.URL())
	s.WaitState("online")
	link.Cut()
	s.WaitState("offline: connection lost")
	link.Restore()
	s.WaitState("online")
	Eventually(t, "second connection", func() bool { return d.Pipe.Stats().Connections == 2 })
	if got := d.Pipe.Stats(); got.Generation < 2 {
		t.Errorf("got %+v, want a number for each attempt", got)
	}
}

func blackHole(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	s := NewStation(t, b.URL())
	d := NewDrone(t, link.URL(), func(o *mqtt.Options) { o.AckTimeout = time.Second })
	s.WaitState("online")
	link.BlackHole()
	d.Raise("lost in the hills")
	Eventually(t, "the pipe gives the link up", func() bool { return d.Pipe.Stats().Failures > 0 })
	link.Restore()
	s.WaitLabels("lost in the hills")
}

func lostAcknowledgements(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	s, d := NewStation(t, b.URL()), NewDrone(t, link.URL())
	d.WaitConnected()
	link.HoldReplies()
	d.Raise("a", "b", "c")
	s.WaitLabels("a", "b", "c")
	if depth := d.Box.Stats().AlertDepth; depth != 3 {
		t.Errorf("got %d alerts in the outbox, want 3 until they are acknowledged", depth)
	}
	link.Break()
	link.Restore()
	Eventually(t, "outbox empty", func() bool { return d.Box.Stats().AlertDepth == 0 })
	Eventually(t, "repetitions noticed", func() bool { return s.Receiver.Stats().Duplicates >= 3 })
	d.Raise("d")
	s.WaitLabels("a", "b", "c", "d")
	if got := d.Pipe.Stats().Resent; got != 3 {
		t.Errorf("resent: got %d, want 3", got)
	}
}

func retainedStatus(t *testing.T, b Broker) {
	d := NewDrone(t, b.URL())
	d.WaitConnected()
	s := NewStation(t, b.URL())
	s.WaitState("online")
	r := s.Received()[0]
	if m := r.Message.(*wire.Status); !r.Retained || m.Boot != d.Boot || m.Generation != 1 {
		t.Errorf("got %+v, want the retained status of this boot", r)
	}
}

func flushing(t *testing.T, b Broker) {
	s, d := NewStation(t, b.URL()), NewDrone(t, b.URL())
	d.WaitConnected()
	d.Raise(labelsUpTo(100)...)
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := d.Pipe.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	s.WaitLabels(labelsUpTo(100)...)
	s.WaitState("offline: shutdown")
	if diff := cmp.Diff([]string{"online", "offline: shutdown"}, s.States()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if got := d.Pipe.Stats(); got.Connected || got.Failures != 0 {
		t.Errorf("got %+v, want an orderly end", got)
	}
}

func flushTimeout(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	d := NewDrone(t, link.URL())
	d.WaitConnected()
	link.Cut()
	Eventually(t, "link down", func() bool { return !d.Pipe.Stats().Connected })
	d.Raise("stays")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Pipe.Flush(ctx); err == nil {
		t.Error("Flush says all was delivered over a link that is cut")
	}
	if depth := d.Box.Stats().AlertDepth; depth != 1 {
		t.Errorf("got %d alerts in the outbox, want 1", depth)
	}
}

func commands(t *testing.T, b Broker) {
	got := make(chan string, 8)
	d := NewDrone(t, b.URL(), func(o *mqtt.Options) {
		o.Command = func(topic wire.Topic, m mqtt.Message) { got <- topic.Sub + " " + string(m.Payload) }
	})
	d.WaitConnected()
	publish(t, b.URL(), "ew/1/valley/kite.7/cmd/result", "{}") // an answer, not a command
	publish(t, b.URL(), "ew/1/valley/kite.8/cmd/mute", "for another drone")
	publish(t, b.URL(), "ew/1/valley/kite.7/cmd/mute", "for this one")
	select {
	case c := <-got:
		if c != "mute for this one" {
			t.Errorf("got command %q", c)
		}
	case <-time.After(Patience):
		t.Fatal("no command")
	}
	if n := d.Pipe.Stats().Commands; n != 1 {
		t.Errorf("commands: got %d, want 1", n)
	}
}

func publish(t *testing.T, url, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	c, err := mqtt.Dial(ctx, mqtt.Broker{URL: url}, mqtt.Session{ClientID: "publisher-" + wire.NewBoot()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(time.Second)
	if err := c.Wait(ctx, c.Publish(mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: 1})); err != nil {
		t.Fatal(err)
	}
}

// alertsFirst fills the bulk lane while the link is down; alerts must arrive before all
// bulk but a little: MQTT promises an order within one topic only, and a broker may deliver
// bulk published after the alerts before them.
func alertsFirst(t *testing.T, b Broker) {
	link := NewLink(t, b.URL())
	s, d := NewStation(t, b.URL()), NewDrone(t, link.URL())
	d.WaitConnected()
	link.Cut()
	Eventually(t, "link down", func() bool { return !d.Pipe.Stats().Connected })
	for range 100 {
		if err := d.Box.Put(&wire.Health{Header: Header(d.Boot), State: wire.HealthOK}); err != nil {
			t.Fatal(err)
		}
	}
	d.Raise(labelsUpTo(3)...)
	link.Restore()
	Eventually(t, "everything", func() bool { return d.Box.Stats().BulkDepth == 0 && len(s.Received()) >= 104 })
	before := 0
	for _, r := range s.Received() {
		switch m := r.Message.(type) {
		case *wire.Health:
			before++
		case *wire.Alert:
			if before > 20 {
				t.Errorf("%s came after %d bulk messages", m.Label, before)
			}
		}
	}
}

func hostile(t *testing.T, b Broker) {
	s := NewStation(t, b.URL())
	a := Alert("b00t", "spoof")
	a.Event = "an event"
	payload, err := wire.Append(nil, a)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b.URL(), "ew/1/valley/other/alert/fire", string(payload))
	publish(t, b.URL(), "ew/1/valley/kite.7/alert/fire", "{{{")
	publish(t, b.URL(), "ew/1/valley/kite.7/alert/fire", strings.Repeat("x", wire.MaxPayload+1))
	Eventually(t, "three bad messages", func() bool { return s.Receiver.Stats().Bad == 3 })
	if got := s.Labels(); len(got) > 0 {
		t.Errorf("handler got %v, want nothing", got)
	}
}
