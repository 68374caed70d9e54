package ground_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

var start = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// rig is a station with its store, and what it has shown.
type rig struct {
	t       *testing.T
	path    string
	url     string
	key     ed25519.PrivateKey
	name    string
	trusted []ed25519.PublicKey

	station *ground.Station
	store   *store.Store
	stop    func()

	change func(*ground.StationOptions) // nil for none

	mu    sync.Mutex
	shown []ground.Received
}

func newRig(t *testing.T, url, name string, trusted ...ed25519.PublicKey) *rig {
	t.Helper()
	dir := t.TempDir()
	key, err := ground.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, path: filepath.Join(dir, "ground.db"), url: url, key: key, name: name, trusted: trusted}
}

// start opens the store and runs the station until stop, or the end of the test.
func (r *rig) start() *rig {
	r.t.Helper()
	var err error
	if r.store, err = store.Open(r.path, store.Options{Log: telemetrytest.Quiet()}); err != nil {
		r.t.Fatal(err)
	}
	opts := ground.StationOptions{
		Broker: mqtt.Broker{URL: r.url}, Name: r.name, Store: r.store, Key: r.key, Trusted: r.trusted, Handler: r,
		Backoff: mqtt.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}, Retry: 50 * time.Millisecond,
		Beacon: 20 * time.Millisecond, Log: telemetrytest.Quiet(),
	}
	if r.change != nil {
		r.change(&opts)
	}
	if r.station, err = ground.NewStation(opts); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.station.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run station: %v", err)
		}
		if err := r.store.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stop)
	r.until("the station is connected", func(s ground.StationStats) bool { return s.Connected })
	return r
}

// Handle implements ground.Handler.
func (r *rig) Handle(m ground.Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = append(r.shown, m)
}

func (r *rig) until(what string, ok func(ground.StationStats) bool) {
	r.t.Helper()
	telemetrytest.Eventually(r.t, what, func() bool { return ok(r.station.Stats()) })
}

// alertsShown returns "drone event revision" of the alerts that the handler has got.
func (r *rig) alertsShown() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.shown {
		if a, ok := m.Message.(*wire.Alert); ok {
			out = append(out, fmt.Sprintf("%s %s %d", a.Drone, a.Event, a.Revision))
		}
	}
	return out
}

// api calls the API and decodes the answer.
func (r *rig) api(method, path, body string, want int, into any) {
	r.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	r.station.API().ServeHTTP(rec, req)
	if rec.Code != want {
		r.t.Fatalf("%s %s: got %d %s, want %d", method, path, rec.Code, rec.Body, want)
	}
	if into != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, rec.Body)
		}
	}
}

// client is a bare connection that notes what comes in.
type client struct {
	t    *testing.T
	conn *mqtt.Conn
	mu   sync.Mutex
	got  []mqtt.Message
}

func dial(t *testing.T, url, id string, filters ...string) *client {
	t.Helper()
	c := &client{t: t}
	var err error
	c.conn, err = mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: id, Receive: func(m mqtt.Message) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, m)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Abort)
	if len(filters) > 0 {
		if err := c.conn.Wait(t.Context(), c.conn.Subscribe(filters...)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *client) publish(topic string, payload []byte) {
	c.t.Helper()
	c.publishAs(mqtt.Message{Topic: topic, Payload: payload, QoS: 1})
}

func (c *client) publishAs(m mqtt.Message) {
	c.t.Helper()
	if err := c.conn.Wait(c.t.Context(), c.conn.Publish(m)); err != nil {
		c.t.Fatal(err)
	}
}

// send publishes as a drone does: a status is retained.
func (c *client) send(m wire.Message) {
	c.t.Helper()
	_, retained := m.(*wire.Status)
	c.publishAs(mqtt.Message{Topic: m.Topic().String(), Payload: encode(c.t, m), QoS: 1, Retained: retained})
}

func encode(t *testing.T, m wire.Message) []byte {
	t.Helper()
	payload, err := wire.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// messages returns what has come in, decoded.
func (c *client) messages() (out []wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		decoded, err := wire.Decode(m.Topic, m.Payload)
		if err != nil {
			c.t.Errorf("%s: %v", m.Topic, err)
			continue
		}
		out = append(out, decoded)
	}
	return out
}

func header(drone, boot string, seq uint64) wire.Header {
	return wire.Header{Fleet: "f", Drone: drone, Boot: boot, Seq: seq, Captured: wire.At(start),
		Published: wire.At(start), Clock: wire.ClockGPS}
}

func alertOf(drone, boot string, event, revision int, seq uint64) *wire.Alert {
	return &wire.Alert{
		Header: header(drone, boot, seq), Event: wire.EventID(drone, boot,
			uint64(event)), Task: wire.TaskFire, Phase: wire.PhaseUpdate,
		Revision: revision, Label: "smoke", Started: wire.At(start),
		Evidence: wire.Evidence{Window: 8, Agree: 6, Calibrated: 0.5, Peak: 0.5, Threshold: 0.4, Model: wire.Model{
			Name: "fire", SHA256: strings.Repeat("a", 64), RequestedPrecision: "int8", EffectivePrecision: "int8",
			RequestedProvider: "cpu", EffectiveProvider: "cpu"}},
	}
}

func onlineStatus(drone, boot string, keys ...string) *wire.Status {
	return &wire.Status{Header: header(drone, boot, 0), State: wire.Online, Generation: 1, Software: "x",
		Started: wire.At(start),
		Ack:     wire.AckReceipt, Keys: keys}
}

// receipted returns the numbers that receipts for a boot cover, checking each signature.
func receipted(t *testing.T, c *client, boot string, key ed25519.PublicKey) map[uint64]bool {
	t.Helper()
	out := make(map[uint64]bool)
	for _, m := range c.messages() {
		r, ok := m.(*wire.Receipt)
		if !ok {
			continue
		}
		if err := wire.Verify(r, []ed25519.PublicKey{key}); err != nil {
			t.Errorf("receipt: %v", err)
		}
		for _, run := range r.Stored {
			for n := run.From; run.Boot == boot && n <= run.To; n++ {
				out[n] = true
			}
		}
	}
	return out
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// eachBroker runs a test against a real mosquitto and the built-in broker.
func eachBroker(t *testing.T, f func(t *testing.T, b telemetrytest.Broker)) {
	t.Run("mosquitto", func(t *testing.T) { f(t, telemetrytest.NewMosquitto(t)) })
	t.Run("embedded", func(t *testing.T) { f(t, telemetrytest.NewEmbedded(t)) })
}

func TestStationStoresAnswersAndShowsOnce(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		r := newRig(t, b.URL(), "hill").start()
		drone := dial(t, b.URL(), "drone-a", "ew/1/f/a/receipt")
		for i := range 20 {
			drone.send(alertOf("a", "b1", i/4, i%4, uint64(i+1)))
		}
		drone.send(alertOf("a", "b1", 0, 0, 1)) // repeated, as if the receipt had been lost
		r.until("everything is in", func(s ground.StationStats) bool {
			return s.Stored == 20 && s.Replayed == 1 && len(r.alertsShown()) >= 20
		})
		telemetrytest.Eventually(t, "receipts for everything", func() bool {
			return len(receipted(t, drone, "b1",
				public(r.key))) == 20
		})
		if got := r.alertsShown(); len(got) != 20 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 20 {
			t.Errorf("got %v, want 20 alerts, each once", got)
		}
		r.stop()

		again := newRig(t, b.URL(), "hill")
		again.path, again.key = r.path, r.key
		again.start()
		drone.send(alertOf("a", "b1", 0, 3, 4))
		drone.send(alertOf("a", "b1", 9, 0, 22))
		again.until("a new one and a known one", func(s ground.StationStats) bool {
			return s.Stored == 1 && s.Replayed == 1 && len(again.alertsShown()) > 0
		})
		if d := again.station.Drones(); len(d) != 1 || d[0].Alerts != 21 || d[0].Missing != 1 || d[0].LastAlertSeq != 22 {
			t.Errorf("got %+v, want 21 alerts and number 21 missing", d)
		}
		if got := again.alertsShown(); len(got) != 1 {
			t.Errorf("got %v shown after the restart, want the new one", got)
		}
	})
}

// The broker keeps alerts, and nothing else, for a station that is away.
func TestStationIsServedWhatItMissed(t *testing.T) {
	b := telemetrytest.NewMosquitto(t)
	r := newRig(t, b.URL(), "hill").start()
	r.stop()
	drone := dial(t, b.URL(), "drone-a")
	drone.send(alertOf("a", "b1", 1, 0, 1))
	for i := range 50 {
		drone.send(&wire.Stats{Header: header("a", "b1", uint64(i+1))})
	}
	r.start()
	r.until("the alert", func(s ground.StationStats) bool { return s.Stored == 1 })
	if s := r.station.Stats(); s.Messages != 1 {
		t.Errorf("got %d messages after the absence, want the alert only", s.Messages)
	}
}

// What was published while the link was broken arrives and repetitions are dropped; what was
// published while the station was stopped does not pile up in the broker.
func TestStatisticsOfABrokenLink(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		link := telemetrytest.NewLink(t, b.URL())
		r := newRig(t, link.URL(), "alpha").start()
		drone := dial(t, b.URL(), "drone-a")
		stats := func(seq uint64) *wire.Stats {
			return &wire.Stats{Header: header("a", "b1", seq), PeriodMS: 10_000, FPS: 30}
		}
		// The second session of the station is up once something has come through it.
		telemetrytest.Eventually(t, "the first arrives", func() bool {
			drone.send(stats(1))
			return r.station.Stats().Bulk == 1
		})
		link.Cut()
		r.until("the link is lost", func(s ground.StationStats) bool { return !s.Connected })
		for _, seq := range []uint64{2, 3, 3, 4, 2} {
			drone.send(stats(seq))
		}
		link.Restore()
		r.until("all arrive", func(s ground.StationStats) bool { return s.Bulk == 4 && s.BulkReplayed >= 2 })
		r.stop()
		drone.send(stats(5))
		r.start()
		telemetrytest.Eventually(t, "a later one arrives", func() bool {
			drone.send(stats(6))
			return r.station.Stats().Bulk > 0
		})
		if got := r.station.Drones()[0].Work.Seq; got != 6 || r.station.Stats().Bulk != 1 {
			t.Errorf("got number %d as the latest of %d, want only number 6", got, r.station.Stats().Bulk)
		}
	})
}

func TestVerdictsReachTheDroneAndComeBack(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		r := newRig(t, b.URL(), "hill").start()
		drone := dial(t, b.URL(), "drone-a", "ew/1/f/a/cmd/acknowledge")
		drone.send(onlineStatus("a", "b1", wire.KeyID(public(r.key))))
		drone.send(alertOf("a", "b1", 1, 0, 1))
		r.until("the alert", func(s ground.StationStats) bool { return s.Stored == 1 })
		var answer struct{ Event store.Event }
		r.api("POST", "/api/v1/events/1/acknowledge", `{"verdict":"glare","operator":"ann","note":"sun"}`, http.StatusOK,
			&answer)
		if v := answer.Event.Verdict; v == nil || v.Delivery != store.OrderPending || v.Note != "sun" {
			t.Fatalf("got %+v, want a verdict under way", v)
		}
		telemetrytest.Eventually(t, "the command is repeated", func() bool { return len(drone.messages()) >= 2 })
		c := drone.messages()[0].(*wire.Command)
		if err := wire.Verify(c,
			[]ed25519.PublicKey{public(r.key)}); err != nil || c.Boot != "b1" || c.Acknowledge.Verdict != "glare" {
			t.Errorf("got %+v, %v", c, err)
		}
		drone.send(&wire.Result{Header: header("a", "b1", 2), Verb: string(c.Verb), Counter: c.Counter, Outcome: "done"})
		telemetrytest.Eventually(t, "the verdict is delivered", func() bool {
			e, err := r.store.Event(t.Context(), 1)
			return err == nil && e.Verdict.Delivery == store.OrderDone
		})
		r.api("POST", "/api/v1/events/1/acknowledge", `{"verdict":"fire","operator":"bob"}`, http.StatusConflict, nil)
		r.api("POST", "/api/v1/events/1/acknowledge", `{"verdict":"fire","operator":"bob","replace":true}`, http.StatusOK,
			nil)
		r.api("POST", "/api/v1/events/1/acknowledge", `{"verdict":"aliens","operator":"bob"}`, http.StatusBadRequest, nil)
		r.api("POST", "/api/v1/events/1/acknowledge", `{"verdict":"fire"}`, http.StatusBadRequest, nil)
		r.api("POST", "/api/v1/events/9/acknowledge", `{"verdict":"fire","operator":"bob"}`, http.StatusNotFound, nil)
		r.api("GET", "/api/v1/events/one", "", http.StatusBadRequest, nil)
		r.api("GET", "/api/v1/events?unacknowledgd=1", "", http.StatusBadRequest, nil)
	})
}

func TestCommandsAreCheckedAndGivenUp(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	r := newRig(t, b.URL(), "hill").start()
	drone := dial(t, b.URL(), "drone-a", "ew/1/f/a/cmd/+")
	for _, bad := range []string{
		`{"fleet":"f","drone":"a","verb":"land","args":{},"operator":"ann"}`,
		`{"fleet":"f","drone":"a","verb":"profile","args":{"name":"loud"}}`,
		`{"fleet":"f","drone":"a/b","verb":"profile","args":{"name":"narrow"}}`,
		`{"fleet":"f","drone":"a","verb":"profile","args":{"name":"narrow","also":1}}`,
		`{"fleet":"f","drone":"a","verb":"profile"}`,
	} {
		r.api("POST", "/api/v1/commands", bad, http.StatusBadRequest, nil)
	}
	good := `{"fleet":"f","drone":"a","verb":"profile","args":{"name":"narrow"},"operator":"ann"}`
	r.api("POST", "/api/v1/commands", good, http.StatusAccepted, nil)
	var o store.Order
	if r.api("GET", "/api/v1/commands/1", "", http.StatusOK, &o); o.State != store.OrderPending || o.Attempts != 0 {
		t.Errorf("got %+v, want it to wait for the drone", o)
	}
	drone.send(onlineStatus("a", "b1", "0123456789abcdef"))
	telemetrytest.Eventually(t, "the command is given up", func() bool {
		r.api("GET", "/api/v1/commands/1", "", http.StatusOK, &o)
		return o.State == store.OrderFailed && strings.Contains(o.Text, "commands.keys")
	})
	drone.send(onlineStatus("a", "b2", wire.KeyID(public(r.key))))
	r.api("POST", "/api/v1/commands", good, http.StatusAccepted, nil)
	telemetrytest.Eventually(t, "the command is sent", func() bool { return len(drone.messages()) > 0 })
	if c := drone.messages()[0].(*wire.Command); c.Boot != "b2" || c.Profile == nil || c.Profile.Name != "narrow" {
		t.Errorf("got %+v", c)
	}
}

func TestTwoStationsAgree(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		one, two := newRig(t, b.URL(), "alpha"), newRig(t, b.URL(), "beta")
		one.trusted, two.trusted = []ed25519.PublicKey{public(two.key)}, []ed25519.PublicKey{public(one.key)}
		one.start()
		two.start()
		one.until("the first by name is active",
			func(s ground.StationStats) bool { return s.Active && !two.station.Stats().Active })
		drone := dial(t, b.URL(), "drone-a", "ew/1/f/a/receipt")
		drone.send(onlineStatus("a", "b1", wire.KeyID(public(one.key)), wire.KeyID(public(two.key))))
		drone.send(alertOf("a", "b1", 1, 0, 1))
		for _, r := range []*rig{one, two} {
			r.until("both store", func(s ground.StationStats) bool { return s.Stored == 1 && len(r.alertsShown()) > 0 })
			if got := r.alertsShown(); len(got) != 1 {
				t.Errorf("%s: got %v, want one alert", r.name, got)
			}
		}
		if _, err := one.station.Acknowledge(t.Context(), ground.Acknowledgement{Event: 1, Verdict: wire.VerdictDust,
			Operator: "ann"}); err != nil {
			t.Fatal(err)
		}
		two.until("the verdict arrives", func(s ground.StationStats) bool { return s.Verdicts == 1 })
		if e, err := two.store.Event(t.Context(),
			1); err != nil || e.Verdict.Verdict != "dust" || e.Verdict.Operator != "ann" {
			t.Errorf("got %+v, %v", e.Verdict, err)
		}
		one.stop()
		two.until("the other takes over", func(s ground.StationStats) bool { return s.Active })
	})
}

// Two stations that were both left to the name of their host: neither takes alerts from the
// other, one of them is active, and both say what is wrong.
func TestTwoStationsOfOneName(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		one, two := newRig(t, b.URL(), "hill").start(), newRig(t, b.URL(), "hill").start()
		drone := dial(t, b.URL(), "drone-a")
		for n := 1; n <= 5; n++ {
			drone.send(alertOf("a", "b1", n, 0, uint64(n)))
		}
		for _, r := range []*rig{one, two} {
			r.until("it stores everything", func(s ground.StationStats) bool { return s.Stored == 5 })
			telemetrytest.Eventually(t, "it says that the name is taken", func() bool {
				alarms := r.station.Alarms()
				return len(alarms) == 1 && alarms[0].Code == "name-taken"
			})
		}
		telemetrytest.Eventually(t, "one is active",
			func() bool { return one.station.Active() != two.station.Active() })
		two.stop()
		telemetrytest.Eventually(t, "the other goes on alone",
			func() bool { return one.station.Active() && len(one.station.Alarms()) == 0 })
		if s := one.station.Stats(); s.Connections != 1 {
			t.Errorf("got %d connections, want 1: the other has ended its session", s.Connections)
		}
	})
}
