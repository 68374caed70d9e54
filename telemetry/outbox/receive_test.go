package outbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

func TestReceiptDeletesWhatItNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	b := open(t, outbox.Options{Path: path})
	put(t, b, alert("a"), alert("b"), alert("c"))
	other := alert("d")
	other.Boot = "other"
	other.Event = "an event"
	put(t, b, other, alert("e"))

	got, err := b.Receive([]wire.Range{{Boot: "b00t", From: 2, To: 4}, {Boot: "b00t", From: 3, To: 3}, {Boot: "nobody",
		From: 1, To: wire.MaxSeq}})
	if err != nil {
		t.Fatal(err)
	}
	want := []outbox.ID{{Lane: outbox.Alerts, Seq: 2}, {Lane: outbox.Alerts, Seq: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	if again, err := b.Receive([]wire.Range{{Boot: "b00t", From: 2, To: 3}}); len(again) > 0 || err != nil {
		t.Errorf("a repeated receipt: got %v, %v, want nothing", again, err)
	}
	b.Close()
	b = open(t, outbox.Options{Path: path})
	var seqs []uint64
	for item, ok := b.Next(outbox.Alerts, 0); ok; item, ok = b.Next(outbox.Alerts, item.Seq) {
		seqs = append(seqs, item.Seq)
	}
	if diff := cmp.Diff([]uint64{1, 4, 5}, seqs); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

func TestReceiptForAlertsInMemory(t *testing.T) {
	blocker := filepath.Join(t.TempDir(), "mnt")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, outbox.Options{Path: filepath.Join(blocker, "outbox.db"), MemoryBytes: 2000})
	for _, label := range []string{"a", "b", "c", "d"} {
		if err := b.Put(alert(label)); !errors.Is(err, outbox.ErrNotDurable) {
			t.Fatal(err)
		}
	}
	s := b.Stats()
	if s.MemoryAlerts == 0 || s.MemoryAlerts == 4 || s.MemoryAlerts+int(s.AlertsLost) != 4 {
		t.Fatalf("got %+v, want the newest within 2000 bytes and the rest counted", s)
	}
	if got, err := b.Receive([]wire.Range{{Boot: "b00t", From: 4, To: 4}}); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want alert 4", got, err)
	}
	if got := b.Stats().MemoryAlerts; got != s.MemoryAlerts-1 {
		t.Errorf("got %d alerts in memory, want %d", got, s.MemoryAlerts-1)
	}
}

func statistics(boot string, n int) *wire.Stats {
	var h latency.Histogram
	for i := range n {
		h.Record(1000 << (i % 8))
	}
	head := header()
	head.Boot = boot
	return &wire.Stats{Header: head, PeriodMS: 10_000, Frames: wire.Frames{Captured: uint64(n), Inferred: uint64(n)},
		Stages: []wire.Stage{{Name: "infer", Histogram: h.Wire()}, {Name: "decide", Histogram: h.Wire()}}}
}

// waitingStats decodes the statistics that wait.
func waitingStats(t *testing.T, b *outbox.Box) (all []*wire.Stats) {
	t.Helper()
	for item, ok := b.Next(outbox.Bulk, 0); ok; item, ok = b.Next(outbox.Bulk, item.Seq) {
		m, err := wire.Decode(item.Topic, item.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := m.(*wire.Stats); ok {
			all = append(all, s)
		}
	}
	return all
}

func TestBackloggedStatisticsAreMerged(t *testing.T) {
	const n, limit = 100, 24 << 10
	b := open(t, outbox.Options{BulkBytes: limit})
	for i := range n {
		put(t, b, statistics("b00t", 100))
		if i%10 == 0 {
			put(t, b, health())
		}
		if size := b.Stats().BulkBytes; size > limit {
			t.Fatalf("got %d bytes, want at most %d", size, limit)
		}
	}
	if s := b.Stats(); s.BulkDropped != 0 || s.BulkMerged == 0 {
		t.Fatalf("got %+v, want everything merged and nothing dropped", s)
	}
	var frames, timed uint64
	var period int64
	all := waitingStats(t, b)
	for _, s := range all {
		frames += s.Frames.Captured
		period += s.PeriodMS
		timed += s.Stages[0].Histogram.Count
	}
	if frames != 100*n || timed != 100*n || period != 10_000*n || len(all) >= n {
		t.Errorf("got %d frames, %d of them timed, over %d ms in %d messages, want all of %d in fewer messages", frames,
			timed, period, len(all), n)
	}
	if last := all[len(all)-1]; last.Seq != b.Stats().Queued {
		t.Errorf("got %d as the newest number, want %d", last.Seq, b.Stats().Queued)
	}
}

func TestMergingHasLimits(t *testing.T) {
	b := open(t, outbox.Options{BulkBytes: 6000})
	for range 2000 {
		put(t, b, statistics("b00t", 10))
	}
	s := b.Stats()
	if s.BulkBytes > 6000 || s.BulkDropped == 0 {
		t.Errorf("got %+v, want old statistics to go when an hour is full", s)
	}
	for _, m := range waitingStats(t, b) {
		if m.PeriodMS > 3_600_000 {
			t.Errorf("got statistics over %d ms, want at most an hour", m.PeriodMS)
		}
	}
	b = open(t, outbox.Options{BulkBytes: 6000})
	for i := range 20 {
		put(t, b, statistics([]string{"one", "two"}[i%2], 10))
	}
	if s := b.Stats(); s.BulkMerged != 0 {
		t.Errorf("got %+v, want no statistics of two boots joined", s)
	}
}

// What the link may be sending is not changed under it.
func TestStatisticsUnderWayAreNotMerged(t *testing.T) {
	b := open(t, outbox.Options{BulkBytes: 6000})
	put(t, b, statistics("b00t", 10))
	sent, _ := b.Next(outbox.Bulk, 0)
	for range 20 {
		put(t, b, statistics("b00t", 10))
	}
	if first, ok := b.Next(outbox.Bulk, 0); ok && first.Seq == sent.Seq && string(first.Payload) != string(sent.Payload) {
		t.Error("a message under way was changed")
	}
	var frames uint64
	for _, s := range waitingStats(t, b) {
		if s.Seq != sent.Seq {
			frames += s.Frames.Captured
		}
	}
	if dropped := b.Stats().BulkDropped; frames+10*dropped < 200 {
		t.Errorf("got %d frames and %d dropped, want the rest to be complete", frames, dropped)
	}
}

func TestUnchangedHealthIsToldOnce(t *testing.T) {
	b := open(t, outbox.Options{BulkBytes: 4000})
	alarm := health()
	alarm.State = wire.HealthAlarm
	for i := range 40 {
		if i == 20 {
			put(t, b, alarm)
		}
		put(t, b, health())
	}
	s := b.Stats()
	if s.BulkBytes > 4000 || s.BulkMerged == 0 || s.BulkDepth+int(s.BulkMerged+s.BulkDropped) != 41 {
		t.Fatalf("got %+v, want every message waiting, merged or dropped", s)
	}
	alarms := 0
	for item, ok := b.Next(outbox.Bulk, 0); ok; item, ok = b.Next(outbox.Bulk, item.Seq) {
		if m, err := wire.Decode(item.Topic, item.Payload); err == nil && m.(*wire.Health).State == wire.HealthAlarm {
			alarms++
		}
	}
	if alarms != 1 {
		t.Errorf("got %d messages with the alarm, want the one that was put", alarms)
	}
}

func TestBuriedMessagesAreCounted(t *testing.T) {
	b := open(t, outbox.Options{})
	put(t, b, alert("a"), health())
	for _, lane := range []outbox.Lane{outbox.Alerts, outbox.Bulk} {
		if err := b.Bury(outbox.ID{Lane: lane, Seq: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Stats(); s.Buried != 2 || s.AlertDepth != 0 || s.BulkDepth != 0 {
		t.Errorf("got %+v", s)
	}
}
