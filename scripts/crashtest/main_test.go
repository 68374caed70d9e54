package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

func TestUsage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &out, &errs); code != 0 || !strings.Contains(errs.String(), "scripts/crash --runs 50") {
		t.Errorf("got exit code %d and %q, want help with an example", code, errs.String())
	}
	for _, args := range [][]string{{"--runs", "0"}, {"extra"}, {"--colour"}, {}} {
		errs.Reset()
		if code := run(t.Context(), args, &out, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: got exit code %d and %q, want 2 and a reason", args, code, errs.String())
		}
	}
}

// The judge finds every way in which the promise can be broken.
func TestJudge(t *testing.T) {
	type counts = map[string]int
	cases := map[string]struct {
		raised, stored, shown counts
		kills                 int
		want                  verdict
		ok                    bool
	}{
		"all well": {counts{"a/0": 1, "a/1": 1}, counts{"a/0": 1, "a/1": 1}, counts{"a/0": 1, "a/1": 1}, 0,
			verdict{Raised: 2, Stored: 2}, true},
		"lost": {counts{"a/0": 1, "a/1": 1}, counts{"a/0": 1}, counts{"a/0": 1}, 1, verdict{Raised: 2, Stored: 1,
			Lost: []string{"a/1"}}, false},
		"stored twice": {counts{"a/0": 1}, counts{"a/0": 2}, counts{"a/0": 1}, 0, verdict{Raised: 1, Stored: 1,
			Duplicates: []string{"a/0"}}, false},
		"shown twice": {counts{"a/0": 1}, counts{"a/0": 1}, counts{"a/0": 2}, 0, verdict{Raised: 1, Stored: 1,
			ShownTwice: []string{"a/0"}}, false},
		"not shown": {counts{"a/0": 1}, counts{"a/0": 1}, counts{}, 0, verdict{Raised: 1, Stored: 1,
			Unseen: []string{"a/0"}}, false},
		"a kill's": {counts{"a/0": 1}, counts{"a/0": 1, "a/1": 1}, counts{"a/0": 1, "a/1": 1}, 1, verdict{Raised: 1,
			Stored: 2}, true},
		"out of naught": {counts{"a/0": 1}, counts{"a/0": 1, "a/1": 1}, counts{"a/0": 1, "a/1": 1}, 0, verdict{Raised: 1,
			Stored: 2, Phantoms: []string{"a/1"}}, false},
		"nothing done": {counts{}, counts{}, counts{}, 0, verdict{}, false},
	}
	for name, c := range cases {
		var v verdict
		v.judge(c.raised, c.stored, c.shown, c.kills)
		if diff := cmp.Diff(c.want, v); diff != "" || v.ok() != c.ok {
			t.Errorf("%s: got ok %v, want %v (-want +got):\n%s", name, v.ok(), c.ok, diff)
		}
	}
}

// What the drone did not log counts, too.
func TestGapsAndRefusalsFail(t *testing.T) {
	for _, v := range []verdict{{Raised: 1, Gaps: 1}, {Raised: 1, Refused: []string{"x"}}} {
		if v.ok() {
			t.Errorf("%+v counts as good", v)
		}
	}
}

// A store that lacks the first and the third number of a drone has two gaps.
func TestReadStoreCountsGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ground.db")
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{2, 4} {
		a := telemetrytest.Alert("boot", "smoke")
		a.Seq, a.Event = seq, wire.EventID(a.Drone, a.Boot, seq)
		payload, err := wire.Append(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Put(t.Context(), []store.Arrival{{Message: a, Payload: payload, At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	stored, gaps, err := readStore(t.Context(), path)
	if err != nil || len(stored) != 2 || gaps != 2 {
		t.Errorf("got %v, %d gaps, %v, want 2 alerts and 2 gaps", stored, gaps, err)
	}
}

func TestProcessIsKilledAndStartedAgain(t *testing.T) {
	dir := t.TempDir()
	lines := newTally()
	p, err := newProcess(dir, "shell", []string{"/bin/sh", "-c", "echo here >&2; exec sleep 100"}, nil, lines.add)
	if err != nil {
		t.Fatal(err)
	}
	defer p.log.Close()
	for range 2 {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		if !p.running() {
			t.Error("it does not run")
		}
		p.kill()
		if p.running() {
			t.Error("it runs after a kill")
		}
	}
	log, err := os.ReadFile(filepath.Join(dir, "shell.log"))
	if err != nil || strings.Count(string(log), "--- start") != 2 {
		t.Errorf("got log %q, %v", log, err)
	}
}
