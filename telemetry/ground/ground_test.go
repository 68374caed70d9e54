package ground_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/telemetrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func receiver(t *testing.T, url string, lostAfter time.Duration) *ground.Receiver {
	t.Helper()
	r, err := ground.New(ground.Options{
		Broker: mqtt.Broker{URL: url}, Handler: ground.HandlerFunc(func(ground.Received) {}), LostAfter: lostAfter,
		Backoff: mqtt.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}, Log: telemetrytest.Quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFeedThatNeverCame(t *testing.T) {
	err := receiver(t, "tcp://127.0.0.1:1", 50*time.Millisecond).Run(t.Context())
	if !errors.Is(err, ground.ErrFeedLost) {
		t.Errorf("got %v, want ErrFeedLost", err)
	}
}

func TestFeedLost(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	r := receiver(t, b.URL(), 3*time.Second)
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	for range 2 { // a short outage is no loss
		telemetrytest.Eventually(t, "up", func() bool { return r.Stats().Connected })
		b.Kill()
		telemetrytest.Eventually(t, "down", func() bool { return !r.Stats().Connected })
		b.Start()
	}
	telemetrytest.Eventually(t, "up again", func() bool { return r.Stats().Connections == 3 })
	b.Kill()
	select {
	case err := <-done:
		if !errors.Is(err, ground.ErrFeedLost) {
			t.Errorf("got %v, want ErrFeedLost", err)
		}
	case <-time.After(telemetrytest.Patience):
		t.Fatal("Run goes on without a feed")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := receiver(t, "tcp://127.0.0.1:1", 0)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	telemetrytest.Eventually(t, "an attempt", func() bool { return r.Stats().LastError != "" })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// A station that was away gets what was published meanwhile if its session is persistent.
func TestPersistentSession(t *testing.T) {
	for name, start := range map[string]func(testing.TB) telemetrytest.Broker{
		"mosquitto": telemetrytest.NewMosquitto, "embedded": telemetrytest.NewEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			link := telemetrytest.NewLink(t, b.URL())
			s := telemetrytest.NewStation(t, link.URL(), func(o *ground.Options) { o.Persistent, o.ClientID = true, "hill1" })
			d := telemetrytest.NewDrone(t, b.URL())
			d.Raise("a")
			s.WaitLabels("a")
			link.Cut()
			d.Raise("b", "c")
			telemetrytest.Eventually(t, "published", func() bool { return d.Box.Stats().AlertDepth == 0 })
			link.Restore()
			s.WaitLabels("a", "b", "c")
		})
	}
}
