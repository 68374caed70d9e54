package command_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emberwing/firmware/command"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// station runs a ground station whose commands expire after that time.
func station(t *testing.T, url string, expiry time.Duration) (*ground.Station, *store.Store) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "g.db"), store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ground.NewStation(ground.StationOptions{
		Broker: mqtt.Broker{URL: url}, Name: "hill", Store: db, Key: keyOf(1), Log: telemetrytest.Quiet(),
		Retry: 20 * time.Millisecond, Expiry: expiry,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, db.Close()); err != nil {
			t.Error(err)
		}
	})
	telemetrytest.Eventually(t, "the station is connected", func() bool { return s.Stats().Connected })
	return s, db
}

// inbox keeps the commands that come in.
type inbox struct {
	mu  sync.Mutex
	got []mqtt.Message
}

func (i *inbox) receive(m mqtt.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, m)
}

func (i *inbox) all() []mqtt.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]mqtt.Message(nil), i.got...)
}

// What a station sends is taken in time and refused when it comes too late, by a drone whose
// wall clock is years off: the expiry is an instant on its monotonic clock.
func TestLateCommandsAreRefusedWhateverTheClockSays(t *testing.T) {
	const expiry = 5 * time.Minute
	b := telemetrytest.NewEmbedded(t)
	s, db := station(t, b.URL(), expiry)
	started := time.Now().Add(-time.Hour) // of the daemon
	d, err := command.Open(command.Options{Boot: boot, Started: started, Trusted: []ed25519.PublicKey{public(keyOf(1))},
		State: filepath.Join(t.TempDir(), "state.json")})
	if err != nil {
		t.Fatal(err)
	}
	var in inbox
	conn, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: b.URL()}, mqtt.Session{ClientID: "d", Receive: in.receive})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	wrong := wire.At(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	status := &wire.Status{State: wire.Online, Generation: 1, Software: "x", Started: wrong, Ack: wire.AckReceipt,
		Keys: []string{wire.KeyID(public(keyOf(1)))}, Header: wire.Header{Fleet: "f", Drone: "d", Boot: boot, Captured: wrong,
			Published: wrong, Clock: wire.ClockNone, MonoNS: time.Since(started).Nanoseconds()}}
	payload, err := wire.Append(nil, status)
	if err == nil {
		err = conn.Wait(t.Context(), conn.Subscribe("ew/1/f/d/cmd/+"))
	}
	if err == nil {
		err = conn.Wait(t.Context(), conn.Publish(mqtt.Message{Topic: status.Topic().String(), Payload: payload, QoS: 1}))
	}
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Command(t.Context(), "f", "d", wire.VerbProfile, json.RawMessage(`{"name":"narrow"}`), "ann")
	if err != nil {
		t.Fatal(err)
	}
	telemetrytest.Eventually(t, "the command and a repetition", func() bool { return len(in.all()) >= 2 })
	first, second := in.all()[0], in.all()[1]
	if _, err := d.Check(second.Topic, second.Payload, false, time.Now().Add(expiry+time.Second)); err == nil ||
		!errors.Is(err, command.ErrRefused) || !strings.Contains(err.Error(), "stale: it expired") {
		t.Errorf("too late: got %v, want it refused as stale", err)
	}
	if _, err := d.Check(first.Topic, first.Payload, false, time.Now().Add(expiry-time.Minute)); err != nil {
		t.Errorf("in time: got %v, want it taken", err)
	}
	if o, err := db.Order(t.Context(), id); err != nil || o.State != store.OrderPending {
		t.Errorf("got %+v, %v, want it pending", o, err)
	}
}

// A drone that is not there when a command is made does not get it long afterwards.
func TestCommandsForAbsentDronesTimeOut(t *testing.T) {
	s, db := station(t, telemetrytest.NewEmbedded(t).URL(), 50*time.Millisecond)
	id, err := s.Command(t.Context(), "f", "d", wire.VerbProfile, json.RawMessage(`{"name":"narrow"}`), "ann")
	if err != nil {
		t.Fatal(err)
	}
	telemetrytest.Eventually(t, "the command has timed out", func() bool {
		o, err := db.Order(t.Context(), id)
		return err == nil && o.State == store.OrderExpired && strings.Contains(o.Text, "not connected within 50ms")
	})
}
