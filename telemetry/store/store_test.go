package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

var t0 = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func alertOf(drone string, event, revision int, seq uint64) *wire.Alert {
	phase := wire.PhaseUpdate
	if revision == 0 {
		phase = wire.PhaseBegin
	}
	return &wire.Alert{
		Header: wire.Header{Fleet: "f", Drone: drone, Boot: "b1", Seq: seq, Captured: wire.At(t0), Clock: wire.ClockGPS,
			Published: wire.At(t0)},
		Event: wire.EventID(drone, "b1",
			uint64(event)), Task: wire.TaskFire, Phase: phase, Revision: revision, Label: "smoke",
		Started: wire.At(t0),
		Evidence: wire.Evidence{Window: 8, Agree: 6, Calibrated: 0.5, Peak: min(0.5+float64(revision)/100, 1),
			Threshold: 0.4, Model: wire.Model{
				Name: "fire", SHA256: strings.Repeat("a", 64), RequestedPrecision: "int8", EffectivePrecision: "int8",
				RequestedProvider: "cpu", EffectiveProvider: "cpu"}},
	}
}

func arrival(t testing.TB, m wire.Message) store.Arrival {
	t.Helper()
	payload, err := wire.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return store.Arrival{Message: m, Payload: payload, At: t0}
}

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *store.Store, messages ...wire.Message) []store.Outcome {
	t.Helper()
	var in []store.Arrival
	for _, m := range messages {
		in = append(in, arrival(t, m))
	}
	out, err := s.Put(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fates(out []store.Outcome) string {
	var b strings.Builder
	for _, o := range out {
		fmt.Fprintf(&b, "%d", o.Fate)
	}
	return b.String()
}

func TestAlertsAreStoredOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	s := open(t, path)
	again := alertOf("a", 1, 0, 1)
	again.Published = wire.At(t0.Add(time.Hour)) // each attempt to send has its own
	other := alertOf("a", 1, 0, 1)
	other.Label = "fire"
	out := put(t, s, alertOf("a", 1, 0, 1), again, alertOf("b", 1, 0, 1), alertOf("a", 1, 2, 4), other, alertOf("a", 1,
		1, 2))
	if got, want := fates(out), "010020"; got != want {
		t.Errorf("got fates %s, want %s", got, want)
	}
	if out[3].Missing != 2 || out[5].Missing != 1 {
		t.Errorf("got %d and %d missing, want 2 and 1", out[3].Missing, out[5].Missing)
	}
	check := func(s *store.Store) {
		t.Helper()
		events, err := s.Events(t.Context(), store.Query{})
		if err != nil || len(events) != 2 {
			t.Fatalf("got %d events, %v, want 2", len(events), err)
		}
		e := events[1] // the newest comes first
		if e.Drone != "a" || e.Revision != 2 || e.Steps != 3 || e.Peak != 0.52 || e.Latest.Revision != 2 || e.Row != 4 {
			t.Errorf("got %+v, want revision 2 after 3 steps", e)
		}
		feed, err := s.Feed(t.Context(), 0, 100)
		if err != nil || len(feed) != 4 || s.Last() != 4 {
			t.Fatalf("got %d rows up to %d, %v, want 4", len(feed), s.Last(), err)
		}
		for i, e := range feed {
			if e.Row != int64(i+1) || e.Alert == nil || e.Event == nil {
				t.Errorf("row %d: got %+v", i+1, e)
			}
		}
	}
	check(s)
	epoch := s.Epoch()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	check(s)
	if s.Epoch() != epoch || s.Salvaged() != nil {
		t.Errorf("got epoch %s and %+v after opening again, want %s", s.Epoch(), s.Salvaged(), epoch)
	}
	if out := put(t, s, alertOf("a", 1, 0, 1), alertOf("a", 1, 3, 5)); fates(out) != "10" || out[1].Missing != 1 {
		t.Errorf("got %+v after opening again", out)
	}
}

// A backup as the runbook makes it, while the store is written to.
func TestBackupOfAnOpenStore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "ground.db"), filepath.Join(dir, "backup.db")
	s := open(t, path)
	put(t, s, alertOf("a", 1, 0, 1), alertOf("a", 2, 0, 2))
	other, err := sql.Open("sqlite", "file:"+path)
	if err == nil {
		_, err = other.Exec("VACUUM INTO ?", backup)
	}
	if err = errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	put(t, s, alertOf("a", 3, 0, 3))
	if other, err = sql.Open("sqlite", "file:"+backup); err == nil {
		_, err = other.Exec("UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = 'epoch'")
	}
	if err = errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	restored := open(t, backup)
	feed, err := restored.Feed(t.Context(), 0, 100)
	if err != nil || len(feed) != 2 || restored.Salvaged() != nil || restored.Epoch() == s.Epoch() {
		t.Errorf("got %d rows, %v, want the 2 of the moment of the backup", len(feed), err)
	}
	if out := put(t, restored, alertOf("a", 2, 0, 2), alertOf("a", 3, 0, 3)); fates(out) != "10" {
		t.Errorf("got fates %s, want what is in the backup known and the rest new", fates(out))
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	open(t, path)
	if _, err := store.Open(path, store.Options{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestVerdicts(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ground.db"))
	put(t, s, alertOf("a", 1, 0, 1), alertOf("a", 2, 0, 2))
	a := store.Acknowledgement{Event: 1, Verdict: "cloud", Note: "a 100% cloud", Operator: "ann", Station: "hill", At: t0,
		Order: &store.Order{Fleet: "f", Drone: "a", Verb: "acknowledge", Args: []byte(`{"x":1}`)}}
	entry, err := s.Acknowledge(t.Context(), a)
	if err != nil || entry.Row != 3 || entry.Event.Verdict.Delivery != store.OrderPending {
		t.Fatalf("got %+v, %v", entry, err)
	}
	if again, err := s.Acknowledge(t.Context(), a); err != nil || again.Row != 3 {
		t.Errorf("told again: got row %d, %v, want the first", again.Row, err)
	}
	a.Operator, a.Order = "bob", nil
	var known *store.AcknowledgedError
	if _, err := s.Acknowledge(t.Context(), a); !errors.As(err, &known) || known.Verdict.Operator != "ann" {
		t.Errorf("got %v, want an AcknowledgedError that names ann", err)
	}
	a.Event = 77
	if _, err := s.Acknowledge(t.Context(), a); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	count := func(q store.Query, want int) {
		t.Helper()
		if got, err := s.Events(t.Context(), q); err != nil || len(got) != want {
			t.Errorf("%+v: got %d events, %v, want %d", q, len(got), err, want)
		}
	}
	count(store.Query{Unacknowledged: true}, 1)
	count(store.Query{Acknowledged: true}, 1)
	count(store.Query{Text: "100%"}, 1)
	count(store.Query{Text: "1000"}, 0)
	count(store.Query{Text: "%"}, 1)
	count(store.Query{Text: "SMOKE"}, 2)
	count(store.Query{Drone: "a", Task: wire.TaskFire, Open: true, Since: t0, Until: t0.Add(1)}, 2-2)
	count(store.Query{Since: t0, Until: t0.Add(time.Second)}, 2)
	count(store.Query{Before: 2}, 1)
	count(store.Query{Limit: 1}, 1)
}

func TestOrdersEndWithTheirResult(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ground.db"))
	put(t, s, alertOf("a", 1, 0, 1))
	order := &store.Order{Fleet: "f", Drone: "a", Verb: "acknowledge"}
	if _, err := s.Acknowledge(t.Context(), store.Acknowledgement{Event: 1, Verdict: "fire", Operator: "ann", At: t0,
		Order: order}); err != nil {
		t.Fatal(err)
	}
	first, err := s.NextAttempt(t.Context(), 1, t0)
	if err != nil || first != uint64(t0.Unix()) {
		t.Fatalf("got counter %d, %v, want the clock", first, err)
	}
	second, _ := s.NextAttempt(t.Context(), 1, t0.Add(-time.Hour)) // the clock was set back
	if second != first+1 {
		t.Errorf("got counter %d, want %d", second, first+1)
	}
	result := &wire.Result{Header: wire.Header{Fleet: "f", Drone: "b", Boot: "b1", Seq: 2, Captured: wire.At(t0),
		Clock: wire.ClockGPS},
		Verb: "acknowledge", Counter: first, Outcome: "done"}
	put(t, s, result) // of another drone
	if pending, _ := s.PendingOrders(t.Context(), 10); len(pending) != 1 || pending[0].Attempts != 2 {
		t.Fatalf("got %+v, want one order after two attempts", pending)
	}
	mine := *result
	mine.Drone = "a"
	out := put(t, s, &mine, &mine)
	if fates(out) != "01" || out[0].Entry.Event == nil || out[0].Entry.Event.Verdict.Delivery != store.OrderDone {
		t.Errorf("got %+v, want the verdict delivered", out)
	}
	if o, err := s.Order(t.Context(), 1); err != nil || o.State != store.OrderDone {
		t.Errorf("got %+v, %v", o, err)
	}
}

func jpegOf(t testing.TB, width int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, 8)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWiderPicturesReplaceThumbnails(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ground.db"))
	a := alertOf("a", 1, 0, 1)
	a.Evidence.Thumb = jpegOf(t, 16)
	broken := alertOf("a", 2, 0, 2)
	broken.Evidence.Thumb = []byte{0xff, 0xd8, 0xff, 0}
	out := put(t, s, a, broken)
	if p := out[0].Entry.Event.Picture; p == nil || p.Width != 16 || out[1].Entry.Event.Picture != nil {
		t.Fatalf("got %+v and %+v, want a picture of 16 pixels and none", p, out[1].Entry.Event.Picture)
	}
	picture := &wire.Picture{Header: a.Header, Event: a.Event, Width: 32, Height: 8, JPEG: jpegOf(t, 32)}
	if e, err := s.PutPicture(t.Context(), picture,
		t0); err != nil || e == nil || e.Row != 3 || e.Event.Picture.Width != 32 {
		t.Fatalf("got %+v, %v", e, err)
	}
	if e, err := s.PutPicture(t.Context(), picture, t0); err != nil || e != nil {
		t.Errorf("again: got %+v, %v, want nothing", e, err)
	}
	if body, p, err := s.Picture(t.Context(), 1); err != nil || !bytes.Equal(body, picture.JPEG) || p.Width != 32 {
		t.Errorf("got %d bytes, %+v, %v", len(body), p, err)
	}
	picture.Drone = "other"
	if _, err := s.PutPicture(t.Context(), picture, t0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another drone's event: got %v, want ErrNotFound", err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ground.db"))
	put(t, s, alertOf("a", 1, 0, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, []store.Arrival{arrival(t, alertOf("a", 1, 1, 2))}); err == nil {
		t.Fatal("a cancelled write returned no error")
	}
	if _, err := s.Put(t.Context(), []store.Arrival{arrival(t, alertOf("a", 2, 0, 3)),
		{Message: new(wire.Stats)}}); err == nil {
		t.Fatal("a message that is neither alert nor result was accepted")
	}
	if out := put(t, s, alertOf("a", 1, 1, 2)); fates(out) != "0" || out[0].Entry.Row != 2 || out[0].Missing != 0 {
		t.Errorf("got %+v, want row 2 and nothing missing", out[0])
	}
}

func BenchmarkPut(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s, err := store.Open(filepath.Join(b.TempDir(), "ground.db"), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			revision := 0
			for b.Loop() {
				var in []store.Arrival
				for i := range n {
					in = append(in, arrival(b, alertOf("a", i, revision, 0)))
				}
				revision++
				if _, err := s.Put(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/alert")
		})
	}
}
