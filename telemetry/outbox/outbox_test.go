package outbox_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("EMBERWING_OUTBOX_CHILD"); mode != "" {
		os.Exit(child(mode, os.Getenv("EMBERWING_OUTBOX_PATH")))
	}
	goleak.VerifyTestMain(m)
}

func header() wire.Header {
	return wire.Header{
		Fleet: "valley", Drone: "kite-7", Boot: "b00t", Captured: wire.At(time.Unix(1_700_000_000, 0)), Clock: wire.ClockNTP,
	}
}

func alert(label string) *wire.Alert {
	return &wire.Alert{
		Header: header(), Task: wire.TaskFire, Phase: wire.PhaseBegin, Label: label,
		Started: wire.At(time.Unix(1_700_000_000, 0)),
		Evidence: wire.Evidence{Agree: 6, Window: 8, Model: wire.Model{
			Name: "fire", SHA256: strings.Repeat("a", 64),
			RequestedPrecision: "fp32", EffectivePrecision: "fp32", RequestedProvider: "cpu", EffectiveProvider: "cpu",
		}},
	}
}

func health() *wire.Health { return &wire.Health{Header: header(), State: wire.HealthOK} }

// memoryDir is for tests that sync thousands of times and do not care for durability.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "outbox-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func open(t testing.TB, opts outbox.Options) *outbox.Box {
	t.Helper()
	if opts.Path == "" {
		opts.Path = filepath.Join(t.TempDir(), "outbox.db")
	}
	b, err := outbox.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func put(t testing.TB, b *outbox.Box, ms ...wire.Message) {
	t.Helper()
	for _, m := range ms {
		if err := b.Put(m); err != nil {
			t.Fatal(err)
		}
	}
}

// labels returns what waits in the alert lane, decoded, in order, as "seq label".
func labels(t testing.TB, b *outbox.Box) []string {
	t.Helper()
	got := []string{}
	for item, ok := b.Next(outbox.Alerts, 0); ok; item, ok = b.Next(outbox.Alerts, item.Seq) {
		m, err := wire.Decode(item.Topic, item.Payload)
		if err != nil {
			t.Fatal(err)
		}
		a := m.(*wire.Alert)
		if a.Seq != item.Seq || a.Event != wire.EventID("kite-7", "b00t", a.Seq) {
			t.Fatalf("got seq %d and event %s for record %d", a.Seq, a.Event, item.Seq)
		}
		got = append(got, fmt.Sprint(a.Seq, " ", a.Label))
	}
	return got
}

func bulkSeqs(b *outbox.Box) []uint64 {
	got := []uint64{}
	for item, ok := b.Next(outbox.Bulk, 0); ok; item, ok = b.Next(outbox.Bulk, item.Seq) {
		got = append(got, item.Seq)
	}
	return got
}

func wantLabels(t testing.TB, b *outbox.Box, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, labels(t, b)); diff != "" {
		t.Errorf("waiting alerts (-want +got):\n%s", diff)
	}
}

func TestAlertsSurviveReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "outbox.db")
	b := open(t, outbox.Options{Path: path})
	put(t, b, alert("a"), alert("b"), alert("c"))
	if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: 2}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, outbox.Options{Path: path})
	put(t, b, alert("d"))
	wantLabels(t, b, "1 a", "3 c", "4 d")
	if s := b.Stats(); s.AlertDepth != 3 || s.MemoryAlerts != 0 || s.Err != nil {
		t.Errorf("got %+v, want 3 alerts on disk", s)
	}
}

func TestNumbersGoOnWhenAllWasAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	b := open(t, outbox.Options{Path: path})
	put(t, b, alert("a"), health(), health())
	if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: 1}, outbox.ID{Lane: outbox.Bulk, Seq: 1}, outbox.ID{Lane: outbox.Bulk, Seq: 2}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = open(t, outbox.Options{Path: path})
	put(t, b, alert("b"), health())
	wantLabels(t, b, "2 b")
	if diff := cmp.Diff([]uint64{3}, bulkSeqs(b)); diff != "" {
		t.Errorf("bulk numbers (-want +got):\n%s", diff)
	}
}

func TestBulkDropsTheOldest(t *testing.T) {
	b := open(t, outbox.Options{BulkBytes: 1500})
	for i := range 10 {
		h := health() // one that says something new each time
		h.Conditions = []wire.Condition{{Code: fmt.Sprint("c", i), Severity: wire.SeverityInfo, Since: wire.At(time.Unix(1,
			0))}}
		put(t, b, h)
	}
	s := b.Stats()
	if s.BulkBytes > 1500 || s.BulkDepth == 0 || s.BulkDepth+int(s.BulkDropped) != 10 {
		t.Fatalf("got %+v, want at most 1500 bytes and every message waiting or counted", s)
	}
	got := bulkSeqs(b)
	if got[len(got)-1] != 10 || got[0] != uint64(10-len(got)+1) {
		t.Errorf("got %v, want the newest", got)
	}
	big := health()
	for range 10 {
		big.Conditions = append(big.Conditions, wire.Condition{Code: "x", Severity: wire.SeverityInfo,
			Text: strings.Repeat("x", 200), Since: wire.At(time.Unix(1, 0))})
	}
	if err := b.Put(big); err == nil || b.Stats().BulkDropped != s.BulkDropped+1 {
		t.Errorf("a message larger than the lane: got error %v, want one and the drop counted", err)
	}
}

func TestRefusals(t *testing.T) {
	b := open(t, outbox.Options{})
	if err := b.Put(&wire.Status{Header: header()}); err == nil {
		t.Error("status was accepted")
	}
	bad := alert("x")
	bad.Evidence.Window = 0
	if err := b.Put(bad); !errors.Is(err, wire.ErrValue) {
		t.Errorf("invalid alert: got %v, want wire.ErrValue", err)
	}
	put(t, b, alert("y"))
	wantLabels(t, b, "1 y") // the refused one took no number
	b.Close()
	if err := b.Put(alert("z")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: got %v, want os.ErrClosed", err)
	}
	if _, err := outbox.Open(outbox.Options{}); err == nil {
		t.Error("Open without a path succeeded")
	}
}

func TestNextGivesCopies(t *testing.T) {
	b := open(t, outbox.Options{})
	put(t, b, alert("a"), health())
	for _, lane := range []outbox.Lane{outbox.Alerts, outbox.Bulk} {
		item, _ := b.Next(lane, 0)
		clear(item.Payload)
		again, ok := b.Next(lane, 0)
		if _, err := wire.Decode(again.Topic, again.Payload); !ok || err != nil {
			t.Errorf("%s: writing to a payload changed the box: %v", lane, err)
		}
	}
}

func TestReady(t *testing.T) {
	b := open(t, outbox.Options{})
	<-b.Ready() // Open may have found something
	put(t, b, alert("a"), alert("b"))
	select {
	case <-b.Ready():
	default:
		t.Error("nothing after Put")
	}
	select {
	case <-b.Ready():
		t.Error("one value per batch is enough")
	default:
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	open(t, outbox.Options{Path: path})
	if _, err := outbox.Open(outbox.Options{Path: path}); !errors.Is(err, outbox.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
}

// A directory that cannot be made stands for every disk that cannot be written.
func TestAlertsWaitInMemoryForTheDisk(t *testing.T) {
	dir := t.TempDir()
	blocker := filepath.Join(dir, "mnt")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(blocker, "outbox.db")
	b := open(t, outbox.Options{Path: path, MemoryAlerts: 3})
	if b.Stats().Err == nil {
		t.Error("Open does not say that the disk is out of reach")
	}
	for _, label := range []string{"a", "b", "c", "d"} {
		if err := b.Put(alert(label)); !errors.Is(err, outbox.ErrNotDurable) {
			t.Fatalf("put: got %v, want ErrNotDurable", err)
		}
	}
	wantLabels(t, b, "2 b", "3 c", "4 d")
	if s := b.Stats(); s.MemoryAlerts != 3 || s.AlertsLost != 1 || s.Err == nil {
		t.Errorf("got %+v, want 3 in memory, 1 lost and an error", s)
	}
	if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: 3}); err != nil {
		t.Fatal(err)
	}
	put(t, b, health())
	if b.Stats().Err == nil {
		t.Error("bulk cleared the error of the alert lane")
	}

	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	put(t, b, alert("e"))
	if s := b.Stats(); s.MemoryAlerts != 0 || s.Err != nil {
		t.Errorf("got %+v, want everything on disk again", s)
	}
	b.Close()
	wantLabels(t, open(t, outbox.Options{Path: path}), "2 b", "4 d", "5 e")
}

func TestFileLimit(t *testing.T) {
	b := open(t, outbox.Options{MaxFileBytes: 256 << 10})
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		err = b.Put(alert("x"))
	}
	if !errors.Is(err, outbox.ErrNotDurable) {
		t.Fatalf("after %d alerts: got %v, want ErrNotDurable", n, err)
	}
	if got := len(labels(t, b)); got != n {
		t.Errorf("got %d alerts, want %d", got, n)
	}
	for seq := range uint64(n) {
		if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: seq + 1}); err != nil {
			t.Fatalf("a full box must still let go: %v", err)
		}
	}
	put(t, b, alert("y"))
	if s := b.Stats(); s.AlertDepth != 1 || s.MemoryAlerts != 0 || s.Err != nil {
		t.Errorf("got %+v, want one alert on disk", s)
	}
}

// The damage a file can suffer, and what must be left. None may panic, hang or keep the
// box from working.
func TestDamagedFiles(t *testing.T) {
	const n = 50
	cases := []struct {
		name   string
		damage func(file []byte) []byte
		moved  bool
		atMost int // alerts missing afterwards
	}{
		{"empty", func([]byte) []byte { return nil }, false, n},
		{"text", func([]byte) []byte { return []byte("not a database\n") }, true, n},
		{"zeros", func(f []byte) []byte { return make([]byte, len(f)) }, true, n},
		{"cut to one page", func(f []byte) []byte { return f[:4096] }, true, n},
		{"cut in the middle", func(f []byte) []byte { return f[:len(f)/2] }, true, n},
		{"both meta pages", func(f []byte) []byte { clear(f[:8192]); return f }, true, 0},
		{"headers of all pages", func(f []byte) []byte {
			for at := 0; at < len(f); at += 4096 {
				clear(f[at : at+16])
			}
			return f
		}, true, 0},
		{"one meta page", func(f []byte) []byte { clear(f[:4096]); return f }, false, 1},
		{"flipped payload bit", flipPayload, false, 1},
		{"pages of noise", func(f []byte) []byte {
			for i := 16384; i < len(f); i++ {
				f[i] = byte(i * 7)
			}
			return f
		}, true, n},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(memoryDir(t), "outbox.db")
			fillAndDamage(t, path, n, c.damage)
			b := open(t, outbox.Options{Path: path})
			before := labels(t, b)
			if missing := n - len(before); missing > c.atMost {
				t.Errorf("got %d alerts, want at least %d", len(before), n-c.atMost)
			}
			s := b.Stats()
			if (s.FilesMoved == 1) != c.moved || s.Err != nil {
				t.Errorf("got %+v, want moved aside %v and no error", s, c.moved)
			}
			if c.moved {
				if _, err := os.Stat(s.MovedTo); err != nil {
					t.Error(err)
				}
			}
			put(t, b, alert("new"))
			b.Close()
			b = open(t, outbox.Options{Path: path})
			if after := labels(t, b); len(after) != len(before)+1 {
				t.Errorf("after reopening: got %d alerts, want %d: %+v", len(after), len(before)+1, b.Stats())
			}
		})
	}
}

func fillAndDamage(t *testing.T, path string, n int, damage func([]byte) []byte) {
	t.Helper()
	b := open(t, outbox.Options{Path: path})
	for i := range n {
		put(t, b, alert(fmt.Sprint("marker-", i)))
	}
	b.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, damage(file), 0o600); err != nil {
		t.Fatal(err)
	}
}

// flipPayload damages every copy of one record, as free pages hold older ones.
func flipPayload(f []byte) []byte {
	return []byte(strings.ReplaceAll(string(f), `"label":"marker-7"`, `"label":"mArker-7"`))
}

// Any damage at all, anywhere: the box opens, what it returns is what was put.
func TestRandomDamage(t *testing.T) {
	pristine := filepath.Join(memoryDir(t), "outbox.db")
	var file []byte
	fillAndDamage(t, pristine, 40, func(f []byte) []byte { file = f; return f })
	dir := memoryDir(t)
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		damaged := append([]byte{}, file...)
		for range rapid.IntRange(1, 5).Draw(rt, "places") {
			at := rapid.IntRange(0, len(damaged)-1).Draw(rt, "at")
			length := min(rapid.IntRange(1, 4096).Draw(rt, "length"), len(damaged)-at)
			value := rapid.Byte().Draw(rt, "value")
			for i := range length {
				damaged[at+i] = value
			}
		}
		damaged = damaged[:rapid.IntRange(0, len(damaged)).Draw(rt, "cut")]
		count++
		path := filepath.Join(dir, fmt.Sprint(count))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			rt.Fatal(err)
		}
		b, err := outbox.Open(outbox.Options{Path: path})
		if err != nil {
			rt.Fatal(err)
		}
		defer b.Close()
		for _, l := range labels(t, b) {
			var seq, marker int
			if n, err := fmt.Sscanf(l, "%d marker-%d", &seq, &marker); n != 2 || err != nil || seq != marker+1 {
				rt.Fatalf("phantom record %q", l)
			}
		}
		if err := b.Put(alert("new")); err != nil {
			rt.Fatal(err)
		}
	})
}

// The box against a model: a list of alerts and reopening at any time.
func TestModel(t *testing.T) {
	dir := memoryDir(t)
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		count++
		path := filepath.Join(dir, fmt.Sprint(count))
		b, err := outbox.Open(outbox.Options{Path: path})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { b.Close() }()
		want := []string{}
		last := 0
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				last++
				put(t, b, alert("x"))
				want = append(want, fmt.Sprint(last, " x"))
			},
			"ack": func(rt *rapid.T) {
				if len(want) == 0 {
					rt.Skip("nothing waits")
				}
				i := rapid.IntRange(0, len(want)-1).Draw(rt, "which")
				var seq uint64
				fmt.Sscan(want[i], &seq)
				if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: seq}); err != nil {
					rt.Fatal(err)
				}
				want = append(want[:i:i], want[i+1:]...)
			},
			"reopen": func(rt *rapid.T) {
				b.Close()
				if b, err = outbox.Open(outbox.Options{Path: path}); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				if diff := cmp.Diff(want, labels(t, b)); diff != "" {
					rt.Fatalf("waiting alerts (-want +got):\n%s", diff)
				}
				if depth := b.Stats().AlertDepth; depth != len(want) {
					rt.Fatalf("depth: got %d, want %d", depth, len(want))
				}
			},
		})
	})
}

// BenchmarkPut measures what an alert costs: the time until it is durable, and the bytes that
// this process makes the disk write for it, by the kernel's account; those are 0 in memory.
func BenchmarkPut(b *testing.B) {
	b.Run("alert", func(b *testing.B) { benchmarkAlerts(b, 0) })
	b.Run("alert-with-thumbnail", func(b *testing.B) { benchmarkAlerts(b, 8<<10) })
	b.Run("bulk", func(b *testing.B) {
		box := open(b, outbox.Options{})
		b.ReportAllocs()
		for b.Loop() {
			put(b, box, health())
		}
	})
}

func benchmarkAlerts(b *testing.B, thumb int) {
	box := open(b, outbox.Options{})
	var times []time.Duration
	written := writtenBytes(b)
	for b.Loop() {
		a := alert("x")
		if thumb > 0 {
			a.Evidence.Thumb = append([]byte{0xff, 0xd8, 0xff}, make([]byte, thumb-3)...)
		}
		start := time.Now()
		put(b, box, a)
		times = append(times, time.Since(start))
	}
	b.ReportMetric(float64(writtenBytes(b)-written)/float64(len(times)), "disk-B/alert")
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// writtenBytes is what this process has made the disk write.
func writtenBytes(b *testing.B) (n int64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("no account of disk writes on this machine: ", err)
	}
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "write_bytes: %d", &n)
	}
	return n
}
