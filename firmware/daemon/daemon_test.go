package daemon

import (
	"bufio"
	"bytes"
	gocmp "cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/firmware/firmwaretest"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// asDaemon makes the test binary be the daemon: a process that can be killed.
const asDaemon = "EMBERTEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := breakDisk(os.Getenv(diskFault), os.Getenv(diskDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitNoDisk)
	}
	os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// flight is a daemon process and what it wrote to its log.
type flight struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// launch starts the daemon with this configuration in dir.
func launch(t *testing.T, dir, text string) *flight {
	t.Helper()
	return launchAs(t, dir, text, func(*exec.Cmd) {})
}

// launchAs lets change the process before it starts.
func launchAs(t *testing.T, dir, text string, change func(*exec.Cmd)) *flight {
	t.Helper()
	file := filepath.Join(dir, "drone.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &flight{t: t, cmd: exec.Command(os.Args[0], "--config", file), done: make(chan struct{})}
	f.cmd.Env = append(os.Environ(), asDaemon+"=1")
	change(f.cmd)
	stderr, err := f.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(f.done)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			f.mu.Lock()
			fmt.Fprintln(&f.log, s.Text())
			f.mu.Unlock()
		}
		f.cmd.Wait()
	}()
	t.Cleanup(func() {
		f.cmd.Process.Kill()
		<-f.done
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", f.text())
		}
	})
	return f
}

func (f *flight) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

var raised = regexp.MustCompile(`msg=alert .*event=(\S+) revision=(\d+)`)

// raised lists the alerts that the daemon says it raised, as event/revision.
func (f *flight) raised() []string {
	var out []string
	for _, m := range raised.FindAllStringSubmatch(f.text(), -1) {
		out = append(out, m[1]+"/"+m[2])
	}
	return out
}

// exit waits for the process and returns its exit code.
func (f *flight) exit() int {
	f.t.Helper()
	select {
	case <-f.done:
	case <-time.After(telemetrytest.Patience):
		f.t.Fatal("the daemon did not end")
	}
	return f.cmd.ProcessState.ExitCode()
}

// configFor flies the synthetic flight, shortened, as fast as the machine can
// render, so that alerts come soon.
func configFor(dir, broker string) string {
	return fmt.Sprintf(`
[drone]
fleet = "test"
id = "d1"
[camera]
realtime = false
length = "12s"
[inference]
providers = ["cpu"]
[fire]
update = "100ms"
[mqtt]
broker = %q
ack = "broker"
backoff_min = "50ms"
backoff_max = "200ms"
[outbox]
path = %q
[telemetry]
stats_every = "300ms"
health_every = "300ms"
[snapshot]
dir = %q
keep = 5
`, broker, filepath.Join(dir, "outbox.db"), filepath.Join(dir, "pictures"))
}

// newStation receives what the daemon sends.
func newStation(t *testing.T, b telemetrytest.Broker) *telemetrytest.Station {
	t.Helper()
	return telemetrytest.NewStation(t, b.URL(), func(o *ground.Options) { o.Fleet = "test" })
}

// alerts lists what the station received, as event/revision.
func alerts(s *telemetrytest.Station) []string {
	var out []string
	for _, r := range s.Received() {
		if a, ok := r.Message.(*wire.Alert); ok {
			out = append(out, fmt.Sprintf("%s/%d", a.Event, a.Revision))
		}
	}
	return out
}

// kinds counts the messages of each kind.
func kinds(s *telemetrytest.Station) map[wire.Kind]int {
	out := make(map[wire.Kind]int)
	for _, r := range s.Received() {
		out[r.Message.Head().Kind]++
	}
	return out
}

func TestFlightThenKill(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	broker := telemetrytest.NewMosquitto(t)
	station := newStation(t, broker)
	dir := t.TempDir()
	f := launch(t, dir, configFor(dir, broker.URL()))
	telemetrytest.Eventually(t, "status, statistics, health and a fire from begin to end", func() bool {
		k := kinds(station)
		return k[wire.KindStatus] > 0 && k[wire.KindStats] > 1 && k[wire.KindHealth] > 1 && phases(station,
			wire.TaskFire) == "begin update end"
	})
	checkEvidence(t, station)
	checkPictures(t, filepath.Join(dir, "pictures"))

	if err := f.cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	station.WaitState("offline: connection lost")
	for _, r := range station.Received() {
		if r.Missing != 0 {
			t.Errorf("%v came with %d alerts missing before it", r.Message.Topic(), r.Missing)
		}
	}
}

// phases lists the distinct phases of a task in the order they first came.
func phases(s *telemetrytest.Station, task wire.Task) string {
	var seen []string
	for _, r := range s.Received() {
		if a, ok := r.Message.(*wire.Alert); ok && a.Task == task && !strings.Contains(strings.Join(seen, " "), string(a.Phase)) {
			seen = append(seen, string(a.Phase))
		}
	}
	return strings.Join(seen, " ")
}

// checkEvidence: what an operator acts on is in every alert.
func checkEvidence(t *testing.T, s *telemetrytest.Station) {
	t.Helper()
	for _, r := range s.Received() {
		a, ok := r.Message.(*wire.Alert)
		if !ok {
			continue
		}
		e := a.Evidence
		if a.Phase == wire.PhaseBegin && (e.Agree < 5 || e.Calibrated < e.Threshold || e.Peak < e.Calibrated) {
			t.Errorf("begin without support: %+v", e)
		}
		if len(e.Scores) < 3 || e.Model.EffectiveProvider != "cpu" || e.Model.EffectivePrecision != "int8" || len(e.Model.SHA256) != 64 {
			t.Errorf("evidence is not complete: %+v", e)
		}
		if e.Snapshot == nil || e.Snapshot.Width != 640 {
			t.Errorf("%v has no picture: %+v", a, e.Snapshot)
		}
	}
}

func checkPictures(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil || len(files) == 0 || len(files) > 6 { // one may be new since the oldest was removed
		t.Errorf("got %d pictures (%v), want 1..5 kept", len(files), err)
	}
}

// TestEveryAlertOfAnOutageArrives: the broker is gone while the drone sees
// fire; whatever the daemon raised meanwhile arrives after the broker is back.
func TestEveryAlertOfAnOutageArrives(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	broker := telemetrytest.NewMosquitto(t)
	dir := t.TempDir()
	f := launch(t, dir, configFor(dir, broker.URL()))
	telemetrytest.Eventually(t, "the link", func() bool { return strings.Contains(f.text(), "mqtt link up") })
	broker.Kill()
	telemetrytest.Eventually(t, "alerts raised without a broker", func() bool {
		return strings.Contains(f.text(), "mqtt link down") && len(f.raised()) >= 6
	})
	broker.Start()
	station := newStation(t, broker)
	want := f.raised()
	telemetrytest.Eventually(t, "every alert of the outage", func() bool { return len(alerts(station)) >= len(want) })
	got := alerts(station)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("alert %d: got %s, want %s: all of %v", i, got[i], want[i], want)
		}
	}
}

// TestInterruptFlushes: Ctrl-C ends the flight, with nothing left behind.
func TestInterruptFlushes(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	broker := telemetrytest.NewMosquitto(t)
	station := newStation(t, broker)
	dir := t.TempDir()
	f := launch(t, dir, configFor(dir, broker.URL()))
	telemetrytest.Eventually(t, "an alert", func() bool { return len(f.raised()) > 0 })
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := f.exit(); code != ExitOK {
		t.Errorf("got exit code %d, want %d", code, ExitOK)
	}
	station.WaitState("offline: shutdown")
	if got, want := alerts(station), f.raised(); len(got) != len(want) {
		t.Errorf("got %d alerts, want the %d raised: %v", len(got), len(want), want)
	}
	if active := open(station); len(active) > 0 {
		t.Errorf("events still open after the end of the flight: %v", active)
	}
}

// TestInterruptWithoutBroker: alerts that could not leave stay on disk, and the
// exit says so; they are the first to go in the next flight.
func TestInterruptWithoutBroker(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	broker := telemetrytest.NewMosquitto(t)
	broker.Kill()
	dir := t.TempDir()
	f := launch(t, dir, configFor(dir, broker.URL()))
	telemetrytest.Eventually(t, "an alert", func() bool { return len(f.raised()) > 0 })
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := f.exit(); code != ExitFailed || !strings.Contains(f.text(), "alert(s) stay in") {
		t.Errorf("got exit code %d, want %d and the number of alerts left", code, ExitFailed)
	}
	broker.Start()
	station := newStation(t, broker)
	launch(t, dir, configFor(dir, broker.URL()))
	want := f.raised()
	telemetrytest.Eventually(t, "the alerts of the flight before",
		func() bool { return len(alerts(station)) >= len(want) })
	if got := alerts(station)[:len(want)]; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v first", got, want)
	}
}

// open lists events that have begun and not ended.
func open(s *telemetrytest.Station) map[string]bool {
	active := make(map[string]bool)
	for _, r := range s.Received() {
		if a, ok := r.Message.(*wire.Alert); ok {
			active[a.Event] = true
			if a.Phase == wire.PhaseEnd {
				delete(active, a.Event)
			}
		}
	}
	return active
}

// TestFallbackIsAnAlarm: without strict mode a missing GPU is an alarm in
// health and the effective provider is in every message.
func TestFallbackIsAnAlarm(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	firmwaretest.OnlyCPU(t)
	broker := telemetrytest.NewMosquitto(t)
	station := newStation(t, broker)
	dir := t.TempDir()
	launch(t, dir, strings.Replace(configFor(dir, broker.URL()), `["cpu"]`, `["tensorrt", "cuda", "cpu"]`, 1))
	telemetrytest.Eventually(t, "an alarm that names the missing library", func() bool {
		for _, r := range station.Received() {
			if h, ok := r.Message.(*wire.Health); ok && h.State == wire.HealthAlarm && h.Models[0].EffectiveProvider == "cpu" &&
				h.Models[0].RequestedProvider == "tensorrt" && strings.Contains(fmt.Sprint(h.Conditions), "libonnxruntime_providers_tensorrt.so") {
				return true
			}
		}
		return false
	})
}

func TestExitCodesAndErrors(t *testing.T) {
	dir := t.TempDir()
	broker := "tcp://127.0.0.1:1" // nothing listens there
	good := configFor(dir, broker)
	cases := []struct {
		name, text string
		code       int
		say        []string
		runtime    bool
	}{
		{"three faults", "[camera]\nfsp = 3\n[fire]\nagree = \"x\"\n[mqtt]\nbroker = \"http://x\"\n", ExitUsage,
			[]string{":2: camera.fsp", ":4: fire.agree", ":6: mqtt.broker"}, false},
		{"strict without a GPU", strings.Replace(good, `["cpu"]`, "[\"tensorrt\"]\nstrict = true", 1), ExitFailed,
			[]string{"libonnxruntime_providers_tensorrt.so"}, true},
		{"missing video", good + "[gesture]\nenabled = false\n", ExitFailed, []string{"camera.source", "no such file"}, true},
		{"unknown model", strings.Replace(good, "[fire]", "[fire]\nmodel = \"flame\"", 1), ExitFailed, []string{"flame",
			"one of fire fire-gate fire-nano fire-seg gesture hand"}, true},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			if c.runtime {
				firmwaretest.NeedRuntime(t)
			}
			if strings.HasPrefix(c.name, "strict") {
				firmwaretest.OnlyCPU(t)
			}
			if c.name == "missing video" {
				c.text = strings.Replace(c.text, "[camera]", "[camera]\nkind = \"video\"\nsource = \"gone.mp4\"", 1)
			}
			f := launch(t, t.TempDir(), c.text)
			if code := f.exit(); code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			for _, s := range c.say {
				if !strings.Contains(f.text(), s) {
					t.Errorf("got %q, want %q in it", f.text(), s)
				}
			}
		})
	}
}

func TestHelpAndUsage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"--help"}, &out, &errs); code != ExitOK || !strings.Contains(out.String(), "emberwingd --config /etc/emberwing.toml") {
		t.Errorf("got exit code %d and %q, want help with an example", code, out.String())
	}
	for _, args := range [][]string{{}, {"--config", "/does/not/exist"}, {"--colour"}, {"extra"}} {
		errs.Reset()
		if code := Run(t.Context(), args, &out, &errs); code != ExitUsage || errs.Len() == 0 {
			t.Errorf("%v: got exit code %d and %q, want %d and a reason", args, code, errs.String(), ExitUsage)
		}
	}
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte("[drone]\nid = \"x\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := Run(t.Context(), []string{"--check", "--config", file}, &out, &errs); code != ExitOK || out.String() != file+": ok\n" {
		t.Errorf("got exit code %d and %q of a right configuration", code, out.String())
	}
}

// TestStationAndDroneAgree: a real station stores the alerts of a real drone, whose outbox is
// empty then and not before, and its commands are done and answered.
func TestStationAndDroneAgree(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	broker := telemetrytest.NewMosquitto(t)
	db, station := startStation(t, broker.URL())
	dir, metrics := t.TempDir(), freeAddress(t)
	small := strings.NewReplacer(`ack = "broker"`, `ack = "receipt"`, "[camera]\n", "[camera]\nwidth = 320\nheight = 240\n")
	text := small.Replace(configFor(dir, broker.URL())) + "[gesture]\nenabled = false\n" +
		fmt.Sprintf("[commands]\nkeys = [%q]\nstate = %q\n[metrics]\nlisten = %q\n", station.PublicKey(), filepath.Join(dir,
			"commands.json"), metrics)
	f := launch(t, dir, text)
	telemetrytest.Eventually(t, "the link", func() bool { return strings.Contains(f.text(), "mqtt link up") })
	for _, c := range []struct{ verb, args, want string }{
		{"snapshot", `{"max_bytes":20000}`, store.OrderDone},
		{"profile", `{"name":"detailed"}`, store.OrderDone},
		{"threshold", `{"task":"fire","value":0.9}`, store.OrderDone},
		{"threshold", `{"task":"fire","value":0.99}`, store.OrderRefused},
		{"mute", `{"id":"east","seconds":60,"sector":{"from_deg":80,"to_deg":100}}`, store.OrderDone},
	} {
		id, err := station.Command(t.Context(), "test", "d1", wire.Verb(c.verb), json.RawMessage(c.args), "ana")
		if err != nil {
			t.Fatal(err)
		}
		telemetrytest.Eventually(t, c.verb+" is answered", func() bool {
			o, err := db.Order(t.Context(), id)
			return err == nil && o.State != store.OrderPending
		})
		if o, err := db.Order(t.Context(), id); err != nil || o.State != c.want {
			t.Errorf("%s %s: got %+v, %v, want %s", c.verb, c.args, o, err, c.want)
		}
	}
	telemetrytest.Eventually(t, "a picture", func() bool { return station.Stats().Pictures > 0 })
	t.Run("prometheus", func(t *testing.T) {
		p := telemetrytest.NewPrometheus(t, metrics)
		p.Wants("emberwing_link_connected", "1")
		p.Wants(`emberwing_frames_total{fate="inferred"} > bool 0`, "1")
	})
	if got := scrape(t, metrics); !strings.Contains(got, "emberwing_link_connected 1") || !strings.Contains(got, `emberwing_frames_total{fate="inferred"}`) {
		t.Errorf("got metrics %.300s", got)
	}
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := f.exit(); code != ExitOK && !strings.Contains(f.text(), "alert(s) stay in") {
		t.Errorf("got exit code %d", code)
	}
	want := f.raised()
	telemetrytest.Eventually(t, "every alert is in the store", func() bool {
		return len(storedAlerts(t,
			db)) >= len(want)
	})
	if diff := cmp.Diff(want, storedAlerts(t, db)); diff != "" {
		t.Errorf("raised and stored (-want +got):\n%s", diff)
	}
}

// startStation runs a ground station until the test ends.
func startStation(t *testing.T, url string) (*store.Store, *ground.Station) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ground.db"), store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ground.NewStation(ground.StationOptions{Broker: mqtt.Broker{URL: url}, Name: "hill", Store: db, Key: key,
		Log:   telemetrytest.Quiet(),
		Retry: time.Second, Backoff: mqtt.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return db, s
}

// storedAlerts lists the alerts in a store in the order of the drone, as event/revision.
func storedAlerts(t *testing.T, db *store.Store) []string {
	t.Helper()
	rows, err := db.Feed(t.Context(), 0, 5000)
	if err != nil {
		t.Fatal(err)
	}
	var alerts []*wire.Alert
	for _, r := range rows {
		if r.Alert != nil {
			alerts = append(alerts, r.Alert)
		}
	}
	slices.SortFunc(alerts, func(a, b *wire.Alert) int { return gocmp.Compare(a.Seq, b.Seq) })
	var out []string
	for _, a := range alerts {
		out = append(out, fmt.Sprintf("%s/%d", a.Event, a.Revision))
	}
	return out
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
