package ground_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// nasty is what a broken or hostile drone sends, as topic and payload.
func nasty(t *testing.T) [][2]string {
	good := string(encode(t, alertOf("mallory", "b1", 1, 0, 1)))
	own := "ew/1/f/mallory/"
	return [][2]string{
		{own + "alert/fire", ""},
		{own + "alert/fire", "\x00\xff\xfe"},
		{own + "alert/fire", strings.Repeat("[", 60_000)},
		{own + "alert/fire", `{"v":1,"seq":1e999}`},
		{own + "alert/fire", good[:len(good)/2]},
		{own + "alert/fire", strings.Replace(good, `"v":1`, `"v":99`, 1)},
		{own + "alert/fire", `{"x":"` + strings.Repeat("a", wire.MaxPayload) + `"}`},
		{own + "alert/fire", strings.Replace(good, `"drone":"mallory"`, `"drone":"victim"`, 1)},
		{own + "alert/gesture", good},
		{own + "cmd/result", `{"verb":"mute"}`},
		{own + "picture", `{"jpeg":"AAAA"}`},
		{own + "status", `{"state":"online"}`},
		{own + "stats", `{"stages":[{"histogram":{"counts":[9e300]}}]}`},
		{"ew/ground/1/hill", `{"station":"hill","gone":true}`},
		{"ew/ground/1/aaa", `{"station":"zzz"}`},
		{"ew/ground/1/aaa", strings.Repeat("{", 5000)},
	}
}

// The broker without accounts lets everybody say everything; the station still takes
// nothing that is wrong in itself, and goes on.
func TestHostilePublisherIsCountedAndIgnored(t *testing.T) {
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		r := newRig(t, b.URL(), "hill").start()
		victim := dial(t, b.URL(), "victim", "ew/1/f/victim/receipt", "ew/1/f/victim/cmd/acknowledge")
		victim.send(alertOf("victim", "b1", 1, 0, 1))
		r.until("the alert of the victim",
			func(s ground.StationStats) bool { return s.Stored == 1 && len(r.alertsShown()) == 1 })

		mallory := dial(t, b.URL(), "mallory")
		for _, m := range nasty(t) {
			mallory.publish(m[0], []byte(m[1]))
		}
		replay := encode(t, alertOf("victim", "b1", 1, 0, 1))
		mallory.publish("ew/1/f/victim/alert/fire", replay)
		contradiction := alertOf("victim", "b1", 1, 0, 1)
		contradiction.Label = "nothing to see"
		mallory.publish("ew/1/f/victim/alert/fire", encode(t, contradiction))
		for _, verb := range []wire.Verb{wire.VerbAcknowledge} { // signed with a key of her own
			mallory.send(forgedVerdict(t, verb))
		}
		mallory.send(alertOf("mallory", "b1", 2, 0, 2)) // the last one, and a good one

		r.until("everything was seen",
			func(s ground.StationStats) bool { return s.Stored == 2 && s.Malformed+s.Mismatched+s.Oversized >= 13 })
		s := r.station.Stats()
		if s.Mismatched < 2 || s.Oversized < 1 || s.Malformed < 8 || s.Replayed != 1 || s.Conflicts != 1 || s.Forged != 1 {
			t.Errorf("got %+v", s)
		}
		e, err := r.store.EventByKey(t.Context(), "f", "victim", "b1", alertOf("victim", "b1", 1, 0, 1).Event)
		if err != nil || e.Label != "smoke" || e.Steps != 1 || e.Verdict != nil {
			t.Errorf("got %+v, %v, want the alert of the victim as it was", e, err)
		}
		if !r.station.Stats().Active {
			r.until("false beacons put nobody out of work", func(s ground.StationStats) bool { return s.Active })
		}
		var page struct{ Events []store.Event }
		if r.api("GET", "/api/v1/events?drone=victim", "", http.StatusOK, &page); len(page.Events) != 1 {
			t.Errorf("got %d events of the victim, want 1", len(page.Events))
		}
	})
}

func forgedVerdict(t *testing.T, verb wire.Verb) *wire.Command {
	t.Helper()
	key, err := ground.LoadKey(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Command{Header: header("victim", "b1", 0), Verb: verb, Counter: 1,
		Acknowledge: &wire.Acknowledge{Event: alertOf("victim", "b1", 1, 0, 1).Event, Verdict: wire.VerdictCloud,
			By: "mallory"}}
	if err := wire.Sign(c, key); err != nil {
		t.Fatal(err)
	}
	return c
}

// With accounts the broker itself keeps everybody within their own topics.
func TestAccountsConfineDrones(t *testing.T) {
	accounts, err := broker.ReadAccounts(strings.NewReader("# drones\nf/victim:v\nf/mal.lory:m\nwatch:w\nstation:s\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(context.Background(), broker.Options{Accounts: accounts, Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	as := func(name, password string) string {
		return strings.Replace(b.URL(), "tcp://", "tcp://"+strings.ReplaceAll(name, "/", "%2F")+":"+password+"@", 1)
	}
	r := newRig(t, as("station", "s"), "hill").start()
	victim := dial(t, as("f/victim", "v"), "victim", "ew/1/f/victim/receipt")
	watcher := dial(t, as("watch", "w"), "watcher", "ew/1/+/+/alert/+")

	// The server ends the connection, or answers nothing, when it refuses a message.
	for i, topic := range []string{"ew/1/f/victim/alert/fire", "ew/1/f/victim/receipt", "ew/1/f/victim/cmd/mute",
		"ew/1/f/mal.lory/cmd/mute", "ew/ground/1/a"} {
		m := dial(t, as("f/mal.lory", "m"), fmt.Sprintf("m%d", i))
		m.conn.Publish(mqtt.Message{Topic: topic, Payload: encode(t, alertOf("victim", "b1", 1, 0, 1)), QoS: 1})
		m.conn.Publish(mqtt.Message{Topic: "ew/1/f/mal.lory/alert/fire", Payload: encode(t, alertOf("mal.lory", "b1", i, 0,
			uint64(i+1))), QoS: 1})
		telemetrytest.Eventually(t, "what comes after is seen, or the connection has ended", func() bool {
			return m.conn.Err() != nil || r.station.Stats().Stored > uint64(i)
		})
	}
	victim.send(alertOf("victim", "b1", 7, 0, 1))
	telemetrytest.Eventually(t, "the victim gets a receipt", func() bool {
		return len(receipted(t, victim, "b1",
			public(r.key))) == 1
	})
	if _, err := r.store.EventByKey(t.Context(), "f", "victim", "b1", alertOf("victim", "b1", 1, 0, 1).Event); err == nil {
		t.Error("another drone's alert was taken for the victim's")
	}
	telemetrytest.Eventually(t, "a reader sees the alert", func() bool { return len(watcher.messages()) > 0 })
	for _, m := range victim.messages() {
		if _, ok := m.(*wire.Receipt); !ok {
			t.Errorf("the victim got %+v", m)
		}
	}
	if _, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: as("f/victim", "wrong")},
		mqtt.Session{ClientID: "x"}); err == nil {
		t.Error("a wrong password was accepted")
	}
}
