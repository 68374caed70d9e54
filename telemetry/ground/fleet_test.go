package ground

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

func TestRecentIsBounded(t *testing.T) {
	r := newRecent(10)
	k := func(i int) key { return messageKey("alert", "b", fmt.Sprint(i), 0) }
	for i := range 1000 {
		if !r.add(k(i)) {
			t.Fatalf("key %d is new", i)
		}
		if r.add(k(i)) {
			t.Fatalf("key %d is known", i)
		}
	}
	if len(r.set) != 10 || len(r.order) != 10 {
		t.Errorf("got %d and %d keys, want 10", len(r.set), len(r.order))
	}
	if r.add(k(991)) || !r.add(k(5)) {
		t.Error("the newest must be known and the oldest forgotten")
	}
}

func TestKeysDiffer(t *testing.T) {
	a := &wire.Alert{Header: wire.Header{Boot: "b"}, Event: "e", Revision: 1}
	same := *a
	same.Seq = 99 // not part of the key
	if alertKey(a) != alertKey(&same) {
		t.Error("a repetition has another key")
	}
	for name, change := range map[string]func(*wire.Alert){
		"boot":     func(a *wire.Alert) { a.Boot = "c" },
		"event":    func(a *wire.Alert) { a.Event = "f" },
		"revision": func(a *wire.Alert) { a.Revision = 2 },
		"split":    func(a *wire.Alert) { a.Boot, a.Event = "b/e", "" },
	} {
		other := *a
		change(&other)
		if name != "split" && alertKey(a) == alertKey(&other) {
			t.Errorf("%s does not count", name)
		}
	}
}

// feed runs messages through a receiver without a broker.
type feed struct {
	t   *testing.T
	r   *Receiver
	got []Received
}

func newFeed(t *testing.T, change ...func(*Options)) *feed {
	f := &feed{t: t}
	opts := Options{Broker: mqtt.Broker{URL: "tcp://h"}, Handler: HandlerFunc(func(r Received) {
		f.got = append(f.got,
			r)
	})}
	for _, c := range change {
		c(&opts)
	}
	var err error
	if f.r, err = New(opts); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *feed) send(m wire.Message) {
	f.t.Helper()
	payload, err := wire.Append(nil, m)
	if err != nil {
		f.t.Fatal(err)
	}
	f.r.handle(mqtt.Message{Topic: m.Topic().String(), Payload: payload})
}

func head(drone, boot string, seq uint64) wire.Header {
	return wire.Header{Fleet: "f", Drone: drone, Boot: boot, Seq: seq, Captured: wire.At(time.Unix(1_700_000_000, 0)),
		Clock: wire.ClockGPS}
}

func status(drone, boot string, generation uint64, s wire.StatusState) *wire.Status {
	return &wire.Status{Header: head(drone, boot, 0), State: s, Generation: generation, Software: "x",
		Started: wire.At(time.Unix(1, 0))}
}

func alert(drone, boot string, seq uint64, revision int) *wire.Alert {
	return &wire.Alert{
		Header: head(drone, boot,
			seq), Event: "e", Task: wire.TaskFire, Phase: wire.PhaseUpdate, Revision: revision, Label: "fire",
		Started: wire.At(time.Unix(1, 0)), Evidence: wire.Evidence{Window: 1, Model: wire.Model{
			Name: "m", SHA256: strings.Repeat("a",
				64), RequestedPrecision: "p", EffectivePrecision: "p", RequestedProvider: "c", EffectiveProvider: "c"}},
	}
}

func TestStaleWillsAreIgnored(t *testing.T) {
	f := newFeed(t)
	f.send(status("d", "boot1", 1, wire.Online))
	f.send(status("d", "boot2", 1, wire.Online))
	f.send(status("d", "boot1", 1, wire.Offline)) // the broker noticed late
	f.send(status("d", "boot2", 2, wire.Online))
	f.send(status("d", "boot2", 1, wire.Offline)) // and again
	f.send(status("d", "boot2", 2, wire.Online))  // retained, after a reconnect
	f.send(status("d", "boot2", 2, wire.Offline))
	got := []string{}
	for _, r := range f.got {
		s := r.Message.(*wire.Status)
		got = append(got, fmt.Sprint(s.Boot, s.Generation, s.State))
	}
	want := []string{"boot11online", "boot21online", "boot22online", "boot22offline"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := f.r.Stats(); s.StaleWills != 2 || s.Duplicates != 1 || s.Messages != 7 {
		t.Errorf("got %+v, want 2 stale wills and 1 duplicate", s)
	}
	if d := f.r.Drones(); len(d) != 1 || d[0].Status.State != wire.Offline || d[0].Boot != "boot2" {
		t.Errorf("got %+v", d)
	}
}

func TestRepetitionsAndGaps(t *testing.T) {
	f := newFeed(t)
	f.send(alert("d", "b", 1, 0))
	f.send(alert("d", "b", 4, 3))
	f.send(alert("d", "b", 1, 0))
	f.send(alert("other", "b", 1, 0))
	f.send(alert("d", "b", 2, 1))
	missing := []uint64{}
	for _, r := range f.got {
		missing = append(missing, r.Missing)
	}
	if diff := cmp.Diff([]uint64{0, 2, 0, 1}, missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	d := f.r.Drones()[0]
	if d.Alerts != 3 || d.LastAlertSeq != 4 || d.Missing != 1 {
		t.Errorf("got %+v, want 3 alerts up to 4 and 1 missing", d)
	}
}

func TestDronesAreBounded(t *testing.T) {
	f := newFeed(t, func(o *Options) { o.MaxDrones = 3 })
	for _, name := range []string{"a", "b", "c", "a", "d"} {
		f.send(status(name, name+fmt.Sprint(len(f.got)), 1, wire.Online))
	}
	got := []string{}
	for _, d := range f.r.Drones() {
		got = append(got, d.Drone)
	}
	if diff := cmp.Diff([]string{"a", "c", "d"}, got); diff != "" {
		t.Errorf("the one not heard for longest must go (-want +got):\n%s", diff)
	}
}

func TestLateAlertsAreMarked(t *testing.T) {
	f := newFeed(t, func(o *Options) { o.LateAfter = time.Minute })
	for i, delay := range []time.Duration{0, time.Minute, time.Minute + time.Millisecond, -time.Hour} {
		a := alert("d", "b", uint64(i+1), i)
		a.Late = true // what a sender claims does not count
		a.Published = wire.At(a.Captured.Add(delay))
		f.send(a)
	}
	got := []bool{}
	for _, r := range f.got {
		got = append(got, r.Message.(*wire.Alert).Late)
	}
	if diff := cmp.Diff([]bool{false, false, true, false}, got); diff != "" {
		t.Errorf("late (-want +got):\n%s", diff)
	}
}

func TestNewRefuses(t *testing.T) {
	handler := HandlerFunc(func(Received) {})
	for name, o := range map[string]Options{
		"no handler":               {Broker: mqtt.Broker{URL: "tcp://h"}},
		"no url":                   {Handler: handler},
		"bad fleet":                {Broker: mqtt.Broker{URL: "tcp://h"}, Handler: handler, Fleet: "a/b"},
		"persistent without an id": {Broker: mqtt.Broker{URL: "tcp://h"}, Handler: handler, Persistent: true},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClockOfADroneIsReckonedFromBelow(t *testing.T) {
	var c droneClock
	note := func(boot string, mono, at time.Duration) {
		c.note(&wire.Header{Boot: boot, MonoNS: mono.Nanoseconds()}, at)
	}
	if _, ok := c.at("b1", time.Second); ok {
		t.Error("a clock is known before any message")
	}
	note("b1", 100*time.Second, 10*time.Second)
	note("b1", 101*time.Second, 20*time.Second) // was 9 s under way
	note("b1", 0, 30*time.Second)               // does not say
	if got, ok := c.at("b1", 40*time.Second); !ok || got != 130*time.Second {
		t.Errorf("got %v, want what the fastest message says", got)
	}
	note("b1", 132*time.Second, 41*time.Second) // faster still
	if got, _ := c.at("b1", 41*time.Second); got != 132*time.Second {
		t.Errorf("got %v, want 2m12s", got)
	}
	note("b2", time.Second, 50*time.Second)
	if got, ok := c.at("b2", 51*time.Second); !ok || got != 2*time.Second {
		t.Errorf("after a restart: got %v, want 2s", got)
	}
	if _, ok := c.at("b1", 51*time.Second); ok {
		t.Error("the clock of the earlier run is still known")
	}
}

func TestFleetIsCounted(t *testing.T) {
	f, now := newFleet(10, 0), time.Now()
	for name, d := range map[string]Drone{
		"live":    {LastSeen: now.Add(-time.Second), Status: &wire.Status{State: wire.Online}},
		"silent":  {LastSeen: now.Add(-2 * silentAfter), Status: &wire.Status{State: wire.Online}},
		"unheard": {},
		"offline": {LastSeen: now, Status: &wire.Status{State: wire.Offline}},
	} {
		known := f.drone(&wire.Header{Fleet: "f", Drone: name})
		known.LastSeen, known.Status = d.LastSeen, d.Status
	}
	if got, want := f.count(now), (FleetCount{Known: 4, Offline: 1, Silent: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// After a restart ages come from the store, by the wall clock. One that was set back since must
// not make silent drones look alive.
func TestAgesFromTheFuture(t *testing.T) {
	now := time.Now()
	f := newFleet(10, 1)
	for name, heard := range map[string]time.Time{"ahead": now.Add(24 * time.Hour).Round(0), "fresh": now, "never": {}} {
		f.drone(&wire.Header{Fleet: "f", Drone: name}).LastSeen = heard
	}
	if got, want := f.count(now), (FleetCount{Known: 3, Silent: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, d := range f.list() {
		if v, known := viewOf(d, now), d.Drone == "fresh"; (v.AgeMS >= 0) != known {
			t.Errorf("%s: got an age of %d ms", d.Drone, v.AgeMS)
		}
	}
}
