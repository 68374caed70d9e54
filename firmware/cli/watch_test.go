package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// lockedBuffer is an output that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tool runs a command line until stop; its output can be read meanwhile.
func tool(t *testing.T, args ...string) (out, errs *lockedBuffer, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, errs = new(lockedBuffer), new(lockedBuffer)
	code := make(chan int, 1)
	go func() { code <- Run(ctx, args, Streams{In: strings.NewReader(""), Out: out, Err: errs}) }()
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return out, errs, stop
}

// feedUp waits until the log of a station says that alerts can arrive.
func feedUp(t *testing.T, log fmt.Stringer) {
	t.Helper()
	telemetrytest.Eventually(t, "the station is up",
		func() bool { return strings.Contains(log.String(), `"feed up" feed=alerts`) })
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func groundAlert(seq uint64, revision int) *wire.Alert {
	at := wire.At(time.Now())
	return &wire.Alert{
		Header: wire.Header{Fleet: "f", Drone: "kite", Boot: "b1", Seq: seq, Captured: at,
			Clock: wire.ClockGPS}, Event: "e1", Task: wire.TaskFire,
		Phase: wire.PhaseUpdate, Revision: revision, Label: "smoke", Started: at,
		Evidence: wire.Evidence{Window: 8, Agree: 6, Model: wire.Model{Name: "m", SHA256: strings.Repeat("a", 64),
			RequestedPrecision: "p", EffectivePrecision: "p", RequestedProvider: "c", EffectiveProvider: "c"}},
	}
}

// cursors returns the cursor and row of each line of JSON.
func cursors(t *testing.T, out string) (list []string, rows []int64) {
	t.Helper()
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var line struct {
			Cursor string
			Entry  struct{ Row int64 }
		}
		if err := dec.Decode(&line); err == io.EOF {
			return list, rows
		} else if err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		list, rows = append(list, line.Cursor), append(rows, line.Entry.Row)
	}
}

// The whole way: broker and station in one program, and watch as another sees it.
func TestWatchResumesAtItsCursor(t *testing.T) {
	mqttAt, pageAt := freePort(t), freePort(t)
	_, errs, stopGround := tool(t, "ground", "--mqtt-listen", mqttAt, "--listen", pageAt, "--store",
		filepath.Join(t.TempDir(), "g.db"), "--name", "hill")
	feedUp(t, errs)
	conn, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: "tcp://" + mqttAt}, mqtt.Session{ClientID: "kite"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	send := func(from, to int) {
		for n := from; n <= to; n++ {
			a := groundAlert(uint64(n), n)
			payload, err := wire.Append(nil, a)
			if err == nil {
				err = conn.Wait(t.Context(), conn.Publish(mqtt.Message{Topic: a.Topic().String(), Payload: payload, QoS: 1}))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1, 5)
	station := "http://" + pageAt
	out, _, stop := tool(t, "watch", "--station", station, "--json", "--since", "0")
	telemetrytest.Eventually(t, "five rows", func() bool { return strings.Count(out.String(), "\n") == 5 })
	stop()
	seen, _ := cursors(t, out.String())
	send(6, 9)
	out, _, stop = tool(t, "watch", "--station", station, "--json", "--since", seen[2])
	telemetrytest.Eventually(t, "the rest", func() bool { return strings.Count(out.String(), "\n") == 6 })
	stop()
	if _, rows := cursors(t, out.String()); rows[0] != 4 || rows[5] != 9 {
		t.Errorf("got rows %v after %s, want 4 to 9", rows, seen[2])
	}
	plain, watchErrs, lost := tool(t, "watch", "--station", station, "--since", "other-3", "--lost-after", "200ms")
	telemetrytest.Eventually(t, "lines", func() bool { return strings.Count(plain.String(), "f/kite fire") == 9 })
	if !strings.Contains(watchErrs.String(), "another store") {
		t.Errorf("got %q, want to be told that the cursor is of another store", watchErrs)
	}
	stopGround()
	telemetrytest.Eventually(t, "the loss is said", func() bool {
		return strings.Contains(watchErrs.String(),
			"feed lost")
	})
	if code := lost(); code != ExitFailed {
		t.Errorf("got exit code %d after the feed was lost, want %d", code, ExitFailed)
	}
}

// A station that vouches for itself is followed by those who have its certificate.
func TestWatchByHTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: hello\ndata: {\"epoch\":\"e\",\"last\":0,\"station\":\"hill\"}\n\n")
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{{nil, "certificate signed by unknown authority"}, {[]string{"--station-ca", ca}, "station hill"}} {
		args := append([]string{"watch", "--plain", "--station", server.URL}, c.args...)
		_, errs, stop := tool(t, args...)
		telemetrytest.Eventually(t, c.says, func() bool { return strings.Contains(errs.String(), c.says) })
		stop()
	}
	_, errs, _ := tool(t, "watch", "--station", server.URL, "--station-ca", filepath.Join(t.TempDir(), "none"))
	telemetrytest.Eventually(t, "a missing file is said", func() bool { return strings.Contains(errs.String(), "read authorities") })
}

// full is an output on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What cannot be written is lost to whoever reads it: watch says so at once, by its exit code.
func TestWatchEndsWhenItsOutputFails(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	d := telemetrytest.NewDrone(t, b.URL())
	d.WaitConnected() // its status is kept by the broker, so there is something to print
	errs := new(lockedBuffer)
	code := Run(t.Context(), []string{"watch", "--broker", b.URL(), "--json"}, Streams{Out: full{}, Err: errs})
	if code != ExitFailed || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("got exit code %d and %s, want %d and the reason", code, errs, ExitFailed)
	}
}

// Certificates for an address without TLS would be left unused without a word.
func TestCertificatesNeedTLS(t *testing.T) {
	for _, args := range [][]string{
		{"watch", "--broker", "tcp://127.0.0.1:1", "--ca-file", "../../telemetry/mqtt/testdata/none.pem"},
		{"watch", "--broker", "tcp://127.0.0.1:1", "--cert-key", "key.pem"},
	} {
		errs := new(lockedBuffer)
		if code := Run(t.Context(), args, Streams{Out: io.Discard, Err: errs}); code != ExitFailed {
			t.Errorf("%v: got exit code %d and %s", args, code, errs)
		}
	}
}

// Names of drones come from whoever may publish: they must not fill the memory of those who watch.
func TestPrinterForgets(t *testing.T) {
	p := newPrinter(io.Discard, false)
	for i := range maxHealth + 10 {
		h := &wire.Health{Header: wire.Header{Fleet: "f", Drone: fmt.Sprint(i)}, State: wire.HealthOK}
		p.Handle(ground.Received{Message: h, At: time.Now()})
	}
	if p.err != nil || len(p.health) > maxHealth {
		t.Errorf("got %d drones, %v, want at most %d", len(p.health), p.err, maxHealth)
	}
}
