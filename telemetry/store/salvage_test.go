package store_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

const pageSize = 4096

// wreck is a store as kill -9 leaves it, and what was in it.
type wreck struct {
	main, wal []byte
	payloads  map[string][]byte // by name of the alert
	verdicts  int
}

// newWreck fills a store. What comes last is in the write-ahead log only.
func newWreck(t *testing.T) *wreck {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ground.db")
	s, err := store.Open(path, store.Options{Checkpoint: 60, Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &wreck{payloads: make(map[string][]byte)}
	seq := uint64(0)
	for n := range 90 {
		seq++
		a := alertOf("a", n/3, n%3, seq)
		if n%10 == 0 { // longer than a page
			a.Evidence.Thumb = jpegOf(t, 4000+n)
		}
		w.payloads[nameOf(a)] = arrival(t, a).Payload
		put(t, s, a)
	}
	for event := range 3 {
		_, err := s.Acknowledge(t.Context(), store.Acknowledgement{Event: int64(event + 1), Verdict: "cloud",
			Operator: "ann", At: t0})
		if err != nil {
			t.Fatal(err)
		}
		w.verdicts++
	}
	picture := &wire.Picture{Header: alertOf("a", 0, 0, 0).Header, Event: alertOf("a", 0, 0, 0).Event, Width: 9000,
		Height: 8,
		JPEG:   jpegOf(t, 9000)}
	if _, err := s.PutPicture(t.Context(), picture, t0); err != nil {
		t.Fatal(err)
	}
	for _, side := range []struct {
		into *[]byte
		path string
	}{{&w.main, path}, {&w.wal, path + "-wal"}} {
		if *side.into, err = os.ReadFile(side.path); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// write lays the wreck down in a folder of its own.
func (w *wreck) write(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(memoryDir(t), "ground.db")
	for name, content := range map[string][]byte{path: w.main, path + "-wal": w.wal} {
		if content == nil {
			continue
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// merged is the wreck with its log moved into the main file, and no log.
func (w *wreck) merged(t *testing.T) *wreck {
	t.Helper()
	path := w.write(t)
	openQuiet(t, path).Close()
	main, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &wreck{main: main, payloads: w.payloads, verdicts: w.verdicts}
}

// pagesOf returns the pages that hold a payload, in pieces that one page surely holds.
func (w *wreck) pagesOf(payload []byte) (pages []int) {
	const piece = 64
	for i := 0; i+piece <= len(payload); i += piece {
		if at := bytes.Index(w.main, payload[i:i+piece]); at >= 0 {
			pages = append(pages, at/pageSize, (at+piece-1)/pageSize)
		}
	}
	return slices.Compact(pages)
}

func openQuiet(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path, store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// found returns the alerts and the number of verdicts in the feed.
func found(t *testing.T, s *store.Store) (alerts map[string]bool, verdicts int) {
	t.Helper()
	feed, err := s.Feed(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	alerts = make(map[string]bool)
	for _, e := range feed {
		switch {
		case e.Verdict != nil:
			verdicts++
		case e.Alert != nil && alerts[nameOf(e.Alert)]:
			t.Errorf("%s is there twice", nameOf(e.Alert))
		case e.Alert != nil:
			alerts[nameOf(e.Alert)] = true
		}
	}
	return alerts, verdicts
}

// Whichever page is overwritten, every alert that was not in it survives, in a store that
// takes new ones.
func TestSalvageKeepsEveryIntactRow(t *testing.T) {
	w := newWreck(t).merged(t)
	pages, salvaged := len(w.main)/pageSize, 0
	for page := range pages {
		broken := *w
		broken.main = slices.Clone(w.main)
		for i := range pageSize {
			broken.main[page*pageSize+i] = byte(page % 2 * 0xa5) // zeros, or rubbish
		}
		s, err := store.Open(broken.write(t), store.Options{Log: telemetrytest.Quiet()})
		if err != nil {
			t.Fatalf("page %d: %v", page+1, err)
		}
		if s.Salvaged() != nil {
			salvaged++
		}
		wantIntact(t, s, w, page)
		if out := put(t, s, alertOf("new", 1, 0, 1)); fates(out) != "0" {
			t.Errorf("page %d: a new alert met fate %s", page+1, fates(out))
		}
		s.Close()
	}
	if salvaged < pages/2 {
		t.Errorf("got %d salvages of %d files with a broken page, want most", salvaged, pages)
	}
}

func wantIntact(t *testing.T, s *store.Store, w *wreck, broken int) {
	t.Helper()
	alerts, verdicts := found(t, s)
	for name, payload := range w.payloads {
		if !alerts[name] && !slices.Contains(w.pagesOf(payload), broken) {
			t.Errorf("page %d: %s was lost", broken+1, name)
		}
	}
	if extra := len(alerts) - len(w.payloads); extra > 0 || verdicts > w.verdicts {
		t.Errorf("page %d: %d alerts and %d verdicts that never were", broken+1, extra, verdicts-w.verdicts)
	}
}

func TestSalvageOfOtherDamage(t *testing.T) {
	w := newWreck(t)
	merged := w.merged(t)
	flipped := merged.payloads[nameOf(alertOf("a", 7, 1, 0))]
	tests := map[string]struct {
		from *wreck
		harm func(*wreck)
		want int // alerts
		lost string
	}{
		"header overwritten":      {merged, func(w *wreck) { copy(w.main, strings.Repeat("x", 100)) }, 90, ""},
		"version overwritten":     {merged, func(w *wreck) { copy(w.main[60:], "\x00\x00\x00\x00") }, 90, ""},
		"header and start of log": {w, func(w *wreck) { clear(w.main[:pageSize]); w.wal[32+16] ^= 1 }, 90, ""},
		"empty, with a log":       {w, func(w *wreck) { w.main = nil }, -1, ""},
		"one bit within an alert": {merged, func(w *wreck) { w.main[bytes.Index(w.main, flipped)+200] ^= 4 }, 89,
			nameOf(alertOf("a", 7, 1, 0))},
		"not a database":           {merged, func(w *wreck) { w.main = bytes.Repeat([]byte("no database "), 5000) }, 0, ""},
		"the last third is gone":   {merged, func(w *wreck) { w.main = w.main[:len(w.main)/3*2] }, -1, ""},
		"shorter than a page":      {merged, func(w *wreck) { w.main = w.main[:3000] }, 0, ""},
		"header and log forgotten": {merged, func(w *wreck) { clear(w.main[:100]) }, 90, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			broken := *test.from
			broken.main, broken.wal = slices.Clone(broken.main), slices.Clone(broken.wal)
			test.harm(&broken)
			path := broken.write(t)
			s := openQuiet(t, path)
			story := s.Salvaged()
			if story == nil || story.Cause == "" {
				t.Fatalf("got %+v, want a salvage", story)
			}
			if kept, err := os.ReadFile(story.Kept); err != nil || !bytes.Equal(kept, broken.main) {
				t.Errorf("the damaged file is not kept as it was: %v", err)
			}
			alerts, verdicts := found(t, s)
			if test.want >= 0 && len(alerts) != test.want || test.want < 0 && len(alerts) < 5 || alerts[test.lost] {
				t.Errorf("got %d alerts, want %d without %q", len(alerts), test.want, test.lost)
			}
			if test.want < 89 {
				return
			}
			wantWhole(t, s, verdicts)
		})
	}
}

// wantWhole checks what hangs together with the alerts.
func wantWhole(t *testing.T, s *store.Store, verdicts int) {
	t.Helper()
	events, err := s.Events(t.Context(), store.Query{})
	if err != nil || len(events) != 30 || verdicts != 3 {
		t.Fatalf("got %d events, %d verdicts, %v, want 30 and 3", len(events), verdicts, err)
	}
	first := events[len(events)-1]
	if first.Verdict == nil || first.Verdict.Operator != "ann" || first.Picture == nil || first.Picture.Width != 9000 {
		t.Errorf("got %+v, want the verdict of ann and the wide picture", first)
	}
	out := put(t, s, alertOf("a", 0, 1, 2), alertOf("a", 40, 0, 91))
	if fates(out) != "10" || out[1].Missing > 1 {
		t.Errorf("got %+v, want a repetition recognised and the next alert without a gap", out)
	}
}

// The operator is told until the old file is out of the way.
func TestSalvageIsToldUntilTheOldFileIsMoved(t *testing.T) {
	w := newWreck(t).merged(t)
	clear(w.main[:100])
	path := w.write(t)
	s := openQuiet(t, path)
	kept := s.Salvaged().Kept
	s.Close()
	s = openQuiet(t, path)
	if again := s.Salvaged(); again == nil || again.Kept != kept || again.Rows < 90 {
		t.Errorf("after another start: got %+v, want it told again", again)
	}
	s.Close()
	if err := os.Rename(kept, path+".old"); err != nil {
		t.Fatal(err)
	}
	if s = openQuiet(t, path); s.Salvaged() != nil {
		t.Errorf("got %+v with the old file moved away, want nothing", s.Salvaged())
	}
}

// A salvage that was cut off goes on from where it can.
func TestSalvageMayBeCutOffAnywhere(t *testing.T) {
	w := newWreck(t)
	broken := &wreck{main: slices.Clone(w.main), wal: w.wal, payloads: w.payloads}
	clear(broken.main[:100])
	done := broken.write(t)
	openQuiet(t, done).Close()
	fresh, err := os.ReadFile(done)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]map[string][]byte{
		"while filling": {"": broken.main, "-wal": broken.wal, ".salvaging": fresh[:len(fresh)/2],
			".salvaging-wal": []byte("x")},
		"filled, none moved":  {"": broken.main, "-wal": broken.wal, ".salvaged": fresh},
		"the old log moved":   {"": broken.main, ".salvaged": fresh},
		"the old file moved":  {".salvaged": fresh},
		"done, not forgotten": {"": fresh},
	}
	for name, files := range states {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(memoryDir(t), "ground.db")
			for suffix, content := range files {
				if err := os.WriteFile(path+suffix, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := openQuiet(t, path)
			if alerts, verdicts := found(t, s); len(alerts) != 90 || verdicts != 3 {
				t.Errorf("got %d alerts and %d verdicts, want 90 and 3; lost %v", len(alerts), verdicts,
					slices.Sorted(maps.Keys(alerts)))
			}
			left, _ := filepath.Glob(path + ".salvag*")
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
