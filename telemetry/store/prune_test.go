package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

const day = 24 * time.Hour

// putAt stores an alert with a picture as if it had come that long after t0, and acknowledges
// it if wanted. The event has that number.
func putAt(t *testing.T, s *store.Store, event int, after time.Duration, acknowledge bool) (id int64) {
	t.Helper()
	a := alertOf("a", event, 0, uint64(event))
	a.Evidence.Thumb = jpegOf(t, 3000)
	in := arrival(t, a)
	in.At = t0.Add(after)
	out, err := s.Put(t.Context(), []store.Arrival{in})
	if err != nil || out[0].Entry == nil {
		t.Fatalf("got %+v, %v", out, err)
	}
	id = out[0].Entry.Event.ID
	if acknowledge {
		acknowledged(t, s, id, nil)
	}
	return id
}

func acknowledged(t *testing.T, s *store.Store, id int64, order *store.Order) {
	t.Helper()
	a := store.Acknowledgement{Event: id, Verdict: "cloud", Operator: "ann", At: t0, Order: order}
	if _, err := s.Acknowledge(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func prune(t *testing.T, s *store.Store, after time.Duration, l store.Limits) store.Pruned {
	t.Helper()
	p, err := s.Prune(t.Context(), t0.Add(after), l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ids are the events that are left, oldest first, negative when the picture is gone.
func ids(t *testing.T, s *store.Store) (out []int64) {
	t.Helper()
	events, err := s.Events(t.Context(), store.Query{Limit: 5000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		e := events[len(events)-1-i]
		if e.Picture == nil {
			e.ID = -e.ID
		}
		out = append(out, e.ID)
	}
	return out
}

func wantIDs(t *testing.T, s *store.Store, what string, want ...int64) {
	t.Helper()
	got := ids(t, s)
	if len(got) != len(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}

func TestPruneByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	s := openQuiet(t, path)
	putAt(t, s, 1, 0, true)
	putAt(t, s, 2, 0, false) // nobody has looked at it
	putAt(t, s, 3, 5*day, true)
	pending := &store.Order{Fleet: "f", Drone: "a", Verb: "acknowledge"}
	acknowledged(t, s, putAt(t, s, 4, 0, false), pending)
	other := &wire.Result{Header: alertOf("a", 0, 0, 90).Header, Verb: "mute", Counter: 5, Outcome: "done"}
	put(t, s, other)
	putAt(t, s, 5, 6*day, false)

	l := store.Limits{Pictures: 2 * day, Events: 10 * day}
	if p := prune(t, s, day, l); p.Pictures+p.Events+p.Others != 0 {
		t.Errorf("after a day: got %+v, want nothing removed", p)
	}
	wantIDs(t, s, "after a day", 1, 2, 3, 4, 5)
	if p := prune(t, s, 3*day, l); p.Pictures != 2 || p.Events != 0 {
		t.Errorf("after 3 days: got %+v, want 2 pictures removed", p)
	}
	wantIDs(t, s, "after 3 days", -1, 2, 3, -4, 5)
	if p := prune(t, s, 11*day, l); p.Pictures != 1 || p.Events != 1 || p.Others != 1 {
		t.Errorf("after 11 days: got %+v, want a picture, an event and a result removed", p)
	}
	wantIDs(t, s, "after 11 days", 2, -3, -4, 5)
	for range 2 { // sent again, after a restart too
		again := alertOf("a", 1, 0, 1)
		again.Evidence.Thumb = jpegOf(t, 3000)
		if out := put(t, s, again, alertOf("a", 1, 1, 9)); fates(out) != "11" {
			t.Errorf("alerts of a removed event: got fates %s, want duplicates", fates(out))
		}
		s.Close()
		s = openQuiet(t, path)
	}
	if out := put(t, s, alertOf("a", 6, 0, 91)); out[0].Entry.Row != s.Last() || s.Last() < 9 {
		t.Errorf("got row %d, want the numbers to go on", out[0].Entry.Row)
	}
}

// The number of the newest row is never given to another, even when all could go.
func TestPruneKeepsTheNewestRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	s := openQuiet(t, path)
	putAt(t, s, 1, 0, true)
	putAt(t, s, 2, 0, true)
	last := s.Last()
	prune(t, s, 900*day, store.Limits{Events: day})
	wantIDs(t, s, "all but the last", 2)
	s.Close()
	if s = openQuiet(t, path); s.Last() != last {
		t.Errorf("got last row %d after opening again, want %d", s.Last(), last)
	}
}

// A store that takes in alerts for ever stays within its limit: pictures of what is
// acknowledged go first, then events; what is not acknowledged stays, and is said.
func TestPruneBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	s := openQuiet(t, path)
	const limit = 1 << 20
	l := store.Limits{Bytes: limit}
	putAt(t, s, 1, 0, false)
	var total store.Pruned
	for n := 2; n < 900; n++ {
		at := time.Duration(n) * time.Hour
		putAt(t, s, n, at, true)
		if n%25 == 0 {
			p := prune(t, s, at, l)
			total.Pictures, total.Events = total.Pictures+p.Pictures, total.Events+p.Events
			if p.Over || p.Used > limit || s.Size() > 2*limit+5<<20 {
				t.Fatalf("after %d events: got %+v and %d bytes on disk, want at most %d in use", n, p, s.Size(), limit)
			}
		}
	}
	if left := ids(t, s); left[0] != 1 || total.Pictures < 300 || total.Events < 100 || len(left)+total.Events != 899 {
		t.Errorf("got %+v and %d events left from %d, want 899 in all and the first unharmed", total, len(left), left[0])
	}
	crowd := openQuiet(t, filepath.Join(t.TempDir(), "crowd.db"))
	for n := 1; n < 200; n++ {
		putAt(t, crowd, n, 0, false)
	}
	if p := prune(t, crowd, 900*day, store.Limits{Pictures: day, Events: day,
		Bytes: limit / 4}); !p.Over || p.Events+p.Pictures != 0 {
		t.Errorf("got %+v of alerts that nobody acknowledged, want none removed and the limit passed", p)
	}
}

func TestPruneStopsWithItsContext(t *testing.T) {
	s := openQuiet(t, filepath.Join(t.TempDir(), "ground.db"))
	putAt(t, s, 1, 0, true)
	putAt(t, s, 2, 0, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Prune(ctx, t0.Add(900*day), store.Limits{Events: day}); err == nil {
		t.Error("got no error of a cancelled context")
	}
	wantIDs(t, s, "cancelled", 1, 2)
}

// A file of the first version gets what the second added.
func TestFirstVersionIsUpgraded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	s := openQuiet(t, path)
	putAt(t, s, 1, 0, true)
	putAt(t, s, 2, 0, true)
	s.Close()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("DROP TABLE removed; DROP INDEX commands_event; DROP INDEX commands_drone; DROP INDEX attempts_command; PRAGMA user_version = 1")
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	s, err = store.Open(path, store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if p := prune(t, s, 900*day, store.Limits{Events: day}); p.Events != 1 || s.Salvaged() != nil {
		t.Errorf("got %+v and %+v, want an event removed from a sound store", p, s.Salvaged())
	}
}
