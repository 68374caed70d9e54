package mqtt_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/telemetrytest/link"
	"emberwing/telemetry/wire"
)

// logbook is a broker that acknowledges everything and writes down what came, when.
type logbook struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct {
	kind  string // last but one level of an alert's topic, else the last
	bytes int
	at    time.Time
}

func newLogbook(t testing.TB) (*logbook, string) {
	b := &logbook{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); b.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return b, l.Addr().String()
}

func (b *logbook) serve(c net.Conn) {
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			_ = packets.NewControlPacket(packets.Connack).Write(c)
		case *packets.PingreqPacket:
			_ = packets.NewControlPacket(packets.Pingresp).Write(c)
		case *packets.PublishPacket:
			b.note(p)
			a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			a.MessageID = p.MessageID
			_ = a.Write(c)
		}
	}
}

func (b *logbook) note(p *packets.PublishPacket) {
	kind := p.TopicName[strings.LastIndex(p.TopicName, "/")+1:]
	if strings.Contains(p.TopicName, "/alert/") {
		kind = "alert"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry{kind, len(p.Payload), time.Now()})
}

// since returns what came after the first n entries.
func (b *logbook) since(n int) []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries[n:])
}

// backlog fills the bulk lane with statistics of a real size.
func backlog(t testing.TB, box *outbox.Box, boot string, size int) {
	t.Helper()
	for box.Stats().BulkBytes < size {
		m := &wire.Stats{Header: telemetrytest.Header(boot), PeriodMS: 3_600_000} // too long to be merged
		for _, stage := range []string{"capture", "wait", "preprocess", "infer", "decide", "capture-decision", "enqueue", "publish"} {
			var h latency.Histogram
			for i := range 300 {
				h.Record(time.Duration(1+i%40) * time.Millisecond)
			}
			m.Stages = append(m.Stages, wire.Stage{Name: stage, Histogram: h.Wire()})
		}
		if err := box.Put(m); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	slowLink    = 256_000  // bits per second
	bigBacklog  = 10 << 20 // bytes
	alertBudget = 500 * time.Millisecond
)

// slowDrone sends a backlog of 10 MB over a link of 256 kbit/s.
func slowDrone(t testing.TB) (*logbook, *outbox.Box, string) {
	t.Helper()
	book, address := newLogbook(t)
	slow, err := link.New("127.0.0.1:0", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slow.Close)
	slow.Throttle(slowLink)
	box, err := outbox.Open(outbox.Options{Path: filepath.Join(t.TempDir(), "outbox.db"), BulkBytes: 2 * bigBacklog})
	if err != nil {
		t.Fatal(err)
	}
	boot := wire.NewBoot()
	backlog(t, box, boot, bigBacklog)
	pipe, err := mqtt.New(mqtt.Options{Broker: mqtt.Broker{URL: slow.URL()}, Status: telemetrytest.Status(boot),
		Log: telemetrytest.Quiet()}, box)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pipe.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done; box.Close() })
	telemetrytest.Eventually(t, "the backlog is under way", func() bool { return len(book.since(0)) > 2 })
	return book, box, boot
}

// overtake raises an alert and returns what arrived before it and how long it took.
func overtake(t testing.TB, book *logbook, box *outbox.Box, boot string) (before int, took time.Duration) {
	t.Helper()
	seen, start := len(book.since(0)), time.Now()
	if err := box.Put(telemetrytest.Alert(boot, "smoke")); err != nil {
		t.Fatal(err)
	}
	at := -1
	telemetrytest.Eventually(t, "the alert arrives", func() bool {
		at = slices.IndexFunc(book.since(seen), func(e entry) bool { return e.kind == "alert" })
		return at >= 0
	})
	entries := book.since(seen)
	for _, e := range entries[:at] {
		before += e.bytes
	}
	return before, entries[at].at.Sub(start)
}

// However busy the machine is: what goes before an alert is so little that the link takes
// less than the budget for it. BenchmarkAlertOvertakesBacklog measures the time itself.
func TestAlertOvertakesBacklog(t *testing.T) {
	book, box, boot := slowDrone(t)
	for range 5 {
		before, _ := overtake(t, book, box, boot)
		if onTheWire := time.Duration(before) * 8 * time.Second / slowLink; onTheWire > alertBudget {
			t.Errorf("got %d bytes of statistics before the alert, which take %v, want at most %v", before, onTheWire,
				alertBudget)
		}
	}
	if left := box.Stats().BulkBytes; left < bigBacklog/2 {
		t.Errorf("got %d bytes of backlog left, want it to have been there all the time", left)
	}
}

func BenchmarkAlertOvertakesBacklog(b *testing.B) {
	book, box, boot := slowDrone(b)
	var times []time.Duration
	for b.Loop() {
		_, took := overtake(b, book, box, boot)
		times = append(times, took)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// A link that swallows everything while the send buffer is full: the case in which the
// client by itself notices nothing for ever.
func TestDeadLinkWithAFullBuffer(t *testing.T) {
	const keepAlive, grace = time.Second, 5 * time.Second
	_, address := newLogbook(t)
	hole, err := link.New("127.0.0.1:0", address)
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	d := telemetrytest.NewDrone(t, hole.URL(), func(o *mqtt.Options) {
		o.Broker.KeepAlive, o.AlertWindow, o.AckTimeout = keepAlive, 10_000, time.Hour
		o.Backoff = mqtt.Backoff{Min: time.Hour, Max: time.Hour}
	})
	d.WaitConnected()
	hole.BlackHole()
	start := time.Now()
	a := telemetrytest.Alert(d.Boot, "smoke")
	a.Evidence.Thumb = append([]byte{0xff, 0xd8, 0xff}, make([]byte, wire.MaxThumb-3)...)
	for range 400 { // 13 MB, more than the kernel buffers
		a.Event = ""
		if err := d.Box.Put(a); err != nil {
			t.Fatal(err)
		}
		if d.Pipe.Stats().Failures > 0 {
			break
		}
	}
	telemetrytest.Eventually(t, "the link is given up", func() bool { return d.Pipe.Stats().Failures > 0 })
	if took := time.Since(start); took > keepAlive+grace+filling(d) {
		t.Errorf("got %v until the dead link was noticed, want at most %v", took, keepAlive+grace)
	}
}

// filling is the time that the alerts of the test took to become durable, at most: it is not
// the link's.
func filling(d *telemetrytest.Drone) time.Duration {
	return time.Duration(d.Box.Stats().Queued) * 20 * time.Millisecond
}

// A day without a link, by a simulated clock, in a process of its own whose memory the
// kernel measures: the file stays within its limit, resident memory hardly grows, nothing
// durable is lost, and alerts are the first to go when it is over.
func TestADayOffline(t *testing.T) {
	if os.Getenv(dayChild) != "" {
		dayOffline(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestADayOffline$", "-test.v")
	cmd.Env = append(os.Environ(), dayChild+"=1", "GOCOVERDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("resident memory grew by ")) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

const dayChild = "EMBERWING_DAY_OFFLINE"

func dayOffline(t *testing.T) {
	const fileLimit, bulkLimit, residentLimit = 16 << 20, 1 << 20, 8 << 20
	box, err := outbox.Open(outbox.Options{Path: filepath.Join(memoryDir(t), "outbox.db"), BulkBytes: bulkLimit,
		MaxFileBytes: fileLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	boot := wire.NewBoot()
	var before, most int64 // resident memory after ten minutes, when all code has run once, and later
	alerts := 0
	synctest.Test(t, func(t *testing.T) {
		alerts = offline(t, box, boot, 24*time.Hour, func(at time.Duration) {
			if now := resident(t); at == 10*time.Minute {
				before = now
			} else {
				most = max(most, now)
			}
		})
	})
	if t.Logf("resident memory grew by %d bytes from %d", most-before, before); most-before > residentLimit && !raceDetector {
		t.Errorf("resident memory has grown by %d bytes, want at most %d", most-before, residentLimit)
	}
	s := box.Stats()
	if s.FileBytes > fileLimit || s.AlertDepth != alerts || s.AlertsLost != 0 || s.MemoryAlerts != 0 || s.Err != nil {
		t.Errorf("got %+v, want %d alerts in a file of at most %d bytes", s, alerts, fileLimit)
	}
	if s.BulkBytes > bulkLimit || s.BulkMerged == 0 {
		t.Errorf("got %+v, want statistics merged within %d bytes", s, bulkLimit)
	}
	t.Logf("%d alerts, file %d bytes; statistics: %d waiting in %d bytes, %d merged, %d dropped", alerts, s.FileBytes,
		s.BulkDepth, s.BulkBytes, s.BulkMerged, s.BulkDropped)
	alertsLeaveFirst(t, box, boot, alerts)
}

// resident returns what the process has in memory, mapped files included, and what the heap
// may still grow by before it is collected. The runtime gives memory back by the real clock,
// of which a simulated day takes seconds: here it is told to.
func resident(t *testing.T) (n int64) {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return n<<10 + int64(m.NextGC) - int64(m.HeapAlloc)
}

// memoryDir is for a test that syncs a thousand times and pulls no plug.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "mqtt-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// offline flies for a while with nobody listening: statistics and health every 10 s, an event
// of a begin with a picture, five updates and an end every 10 minutes, before which look is
// called. It returns the number of alerts.
func offline(t *testing.T, box *outbox.Box, boot string, length time.Duration, look func(time.Duration)) (alerts int) {
	pipe, err := mqtt.New(mqtt.Options{
		Broker:  mqtt.Broker{URL: "tcp://127.0.0.1:1"}, // refused at once
		Backoff: mqtt.Backoff{Min: time.Second, Max: 5 * time.Minute}, Status: telemetrytest.Status(boot),
		Log: telemetrytest.Quiet(),
	}, box)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- pipe.Run(ctx) }()
	for at := time.Duration(0); at < length; at += 10 * time.Second {
		time.Sleep(10 * time.Second)
		putAll(t, box, smallStats(boot), &wire.Health{Header: telemetrytest.Header(boot), State: wire.HealthOK})
		if at%(10*time.Minute) == 0 {
			look(at)
			alerts += putEvent(t, box, boot)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := pipe.Stats(); s.Connections != 0 || s.Failures < 100 {
		t.Errorf("got %+v, want many attempts and no connection", s)
	}
	return alerts
}

func putAll(t *testing.T, box *outbox.Box, ms ...wire.Message) {
	t.Helper()
	for _, m := range ms {
		if err := box.Put(m); err != nil {
			t.Fatal(err)
		}
	}
}

func smallStats(boot string) *wire.Stats {
	var h latency.Histogram
	for i := range 150 {
		h.Record(time.Duration(5+i%7) * time.Millisecond)
	}
	m := &wire.Stats{Header: telemetrytest.Header(boot), PeriodMS: 10_000, Frames: wire.Frames{Captured: 150,
		Inferred: 150}}
	for _, stage := range []string{"capture", "preprocess", "infer", "decide", "capture-decision", "enqueue"} {
		m.Stages = append(m.Stages, wire.Stage{Name: stage, Histogram: h.Wire()})
	}
	return m
}

func putEvent(t *testing.T, box *outbox.Box, boot string) int {
	t.Helper()
	const steps = 7
	event := ""
	for i := range steps {
		a := telemetrytest.Alert(boot, "smoke")
		a.Event, a.Revision, a.Phase = event, i, wire.PhaseUpdate
		switch i {
		case 0:
			a.Phase = wire.PhaseBegin
			a.Evidence.Thumb = append([]byte{0xff, 0xd8, 0xff}, make([]byte, 8<<10)...)
		case steps - 1:
			a.Phase = wire.PhaseEnd
		}
		putAll(t, box, a)
		event = a.Event
	}
	return steps
}

// alertsLeaveFirst lets the box drain and looks at the order.
func alertsLeaveFirst(t *testing.T, box *outbox.Box, boot string, alerts int) {
	t.Helper()
	book, address := newLogbook(t)
	pipe, err := mqtt.New(mqtt.Options{Broker: mqtt.Broker{URL: "tcp://" + address}, Status: telemetrytest.Status(boot),
		Log: telemetrytest.Quiet()}, box)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- pipe.Run(ctx) }()
	defer func() { stop(); <-done }()
	telemetrytest.Eventually(t, "everything is sent", func() bool {
		s := box.Stats()
		return s.AlertDepth == 0 &&
			s.BulkDepth == 0
	})
	const window = 16 // the last alerts may be under way when the first statistics go
	got, first := map[string]int{}, ""
	for _, e := range book.since(0) {
		got[e.kind]++
		if got["alert"] < alerts-window && e.kind != "alert" && e.kind != "status" {
			first += fmt.Sprint(e.kind, " after ", got["alert"], " alerts; ")
		}
	}
	if first != "" || got["alert"] != alerts {
		t.Errorf("got %v, and statistics before the last alert: %.200s", got, first)
	}
}
