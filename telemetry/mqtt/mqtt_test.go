package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBrokerURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"tcp://h:1": true, "mqtt://h": true, "ssl://h:8883": true, "tls://h": true, "mqtts://[::1]:8883": true,
		"tcp://user:pw@h": true,
		"":                false, "h:1883": false, "http://h": false, "tcp://": false, "tcp://:1883": false, "tcp://h:port": false,
		"ws://h": false, "tcp://h\x7f": false,
	} {
		err := mqtt.Broker{URL: url}.Validate()
		if (err == nil) != ok || (err != nil && !errors.Is(err, mqtt.ErrURL)) {
			t.Errorf("%q: got %v, want valid %v", url, err, ok)
		}
	}
}

const secret = "s3cr3t-pa55"

func TestSecretsStayOutOfErrors(t *testing.T) {
	for _, url := range []string{
		"tcp://u:" + secret + "@", "http://u:" + secret + "@h", "tcp://u:" + secret + "@h:nope",
		"tcp://u:" + secret + "@127.0.0.1:1", "://" + secret,
	} {
		_, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: "x"})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want an error without the password", err)
		}
	}
}

func TestSecretsStayOutOfLogs(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{Username: "u", Password: "another", Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var log bytes.Buffer
	url := strings.Replace(b.URL(), "tcp://", "tcp://u:"+secret+"@", 1)
	d := telemetrytest.NewDrone(t, url, func(o *mqtt.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	telemetrytest.Eventually(t, "refused", func() bool { return d.Pipe.Stats().Failures > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), telemetrytest.Patience)
	defer cancel()
	if err := d.Pipe.Flush(ctx); err != nil {
		t.Fatal(err) // nothing waits, so there is nothing to go on for
	}
	last := d.Pipe.Stats().LastError
	if all := last + log.String(); strings.Contains(all, secret) || !strings.Contains(last, mqtt.ErrRefused.Error()) {
		t.Errorf("got %q and log\n%s\nwant a refusal without the password", last, log.String())
	}
}

func TestNewRefuses(t *testing.T) {
	box := telemetryBox(t)
	good := mqtt.Options{Broker: mqtt.Broker{URL: "tcp://h"}, Status: telemetrytest.Status("b00t")}
	if _, err := mqtt.New(good, box); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*mqtt.Options){
		"no url":    func(o *mqtt.Options) { o.Broker.URL = "" },
		"no status": func(o *mqtt.Options) { o.Status = nil },
		"bad drone": func(o *mqtt.Options) {
			o.Status = func() *wire.Status { return &wire.Status{Header: wire.Header{Fleet: "f", Drone: "a/b"}} }
		},
	} {
		o := good
		change(&o)
		if _, err := mqtt.New(o, box); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func telemetryBox(t *testing.T) *outbox.Box {
	t.Helper()
	box, err := outbox.Open(outbox.Options{Path: t.TempDir() + "/outbox.db"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return box
}

func TestRunOnlyOnce(t *testing.T) {
	p, err := mqtt.New(mqtt.Options{Broker: mqtt.Broker{URL: "tcp://127.0.0.1:1"}, Status: telemetrytest.Status("b"),
		Log: telemetrytest.Quiet()}, telemetryBox(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Errorf("Flush before Run: got %v, want nil", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Errorf("got %v, want nil at the end of ctx", err)
	}
	if err := p.Run(ctx); err == nil {
		t.Error("the second Run was accepted")
	}
}

func TestBackoff(t *testing.T) {
	b := mqtt.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for failures, limit := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
		limit *= time.Millisecond
		var low, high bool
		for range 2000 {
			d := b.Delay(failures)
			if d < 0 || d >= limit {
				t.Fatalf("after %d failures: got %v, want 0 to %v", failures, d, limit)
			}
			low, high = low || d < limit/10, high || d > limit*9/10
		}
		if !low || !high {
			t.Errorf("after %d failures: the waits do not spread over 0 to %v", failures, limit)
		}
	}
	if d := (mqtt.Backoff{}).Delay(1 << 40); d < 0 || d > 10*time.Second {
		t.Errorf("got %v, want at most the default of 10s", d)
	}
}

// deafServer accepts connections, hands each to serve, and closes all at the end.
func deafServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			serve(c) // one at a time
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "tcp://" + l.Addr().String()
}

func TestDialGivesUpOnASilentBroker(t *testing.T) {
	url := deafServer(t, func(net.Conn) {})
	_, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url, ConnectTimeout: 20 * time.Millisecond},
		mqtt.Session{ClientID: "x"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline exceeded", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := mqtt.Dial(ctx, mqtt.Broker{URL: url}, mqtt.Session{ClientID: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Two members of a cluster are dead: each connection is made at the first attempt all the same.
func TestDialTakesAnotherMember(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	url := "tcp://127.0.0.1:1," + b.URL() + ",tcp://127.0.0.1:2"
	for range 20 {
		c, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		c.Disconnect(time.Second)
	}
	_, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: "tcp://127.0.0.1:1,tcp://127.0.0.1:2"}, mqtt.Session{ClientID: "x"})
	for _, want := range []string{"127.0.0.1:1: ", "127.0.0.1:2: "} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line that names %s", err, want)
		}
	}
}

// connack answers the CONNECT packet and then reads nothing more.
func connack(c net.Conn) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, int64(head[1]))
	_, _ = c.Write([]byte{0x20, 2, 0, 0})
}

// A peer that reads nothing fills the send buffer; pings queue behind it.
func TestFullSendBufferIsNoticed(t *testing.T) {
	url := deafServer(t, connack)
	c, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url, WriteTimeout: 200 * time.Millisecond},
		mqtt.Session{ClientID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	payload := make([]byte, wire.MaxPayload)
	var tokens []mqtt.Token
	deadline := time.After(telemetrytest.Patience)
	for c.Err() == nil {
		select {
		case <-deadline:
			t.Fatal("nothing noticed")
		default:
			tokens = append(tokens, c.Publish(mqtt.Message{Topic: "t", Payload: payload, QoS: 1}))
		}
	}
	for i, token := range tokens {
		if err := c.Wait(t.Context(), token); err == nil {
			t.Fatalf("message %d counts as delivered to a peer that read nothing", i)
		}
	}
}

// The tokens of a connection that breaks must all say so: this is what the outbox rests on.
func TestTokensOfABrokenConnectionFail(t *testing.T) {
	url := deafServer(t, connack)
	c, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var tokens []mqtt.Token
	for range 20 {
		tokens = append(tokens, c.Publish(mqtt.Message{Topic: "t", Payload: []byte("x"), QoS: 1}))
	}
	c.Abort()
	for i, token := range tokens {
		select {
		case <-token.Done():
		case <-time.After(5 * time.Second): // well below the keepalive, after which paho notices anyway
			t.Fatalf("token %d hangs", i)
		}
		if token.Error() == nil {
			t.Errorf("token %d succeeded without an acknowledgement", i)
		}
	}
	select {
	case <-c.Lost():
	default:
		t.Error("Abort returned before the connection had ended")
	}
}
