package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/telemetrytest/powercut"
	"emberwing/telemetry/wire"
)

const powercutDir = "EMBERWING_STORE_POWERCUT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(powercutDir); dir != "" {
		if err := fly(filepath.Join(dir, "ground.db")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// flight is what fly stores: batches of several drones, events and revisions.
func flight() (batches [][]wire.Message) {
	seq := map[string]uint64{}
	for n := range 6 {
		var batch []wire.Message
		for _, drone := range []string{"a", "b"} {
			seq[drone]++
			batch = append(batch, alertOf(drone, n/3, n%3, seq[drone]))
		}
		batches = append(batches, batch)
	}
	return batches
}

// fly stores the flight and prints a line for each thing that is promised to be durable.
// The log is so short that it is moved into the main file, and begun again, several times.
func fly(path string) error {
	s, err := store.Open(path, store.Options{Checkpoint: 12, Log: telemetrytest.Quiet()})
	if err != nil {
		return err
	}
	for _, batch := range flight() {
		var in []store.Arrival
		for _, m := range batch {
			payload, err := wire.Append(nil, m)
			if err != nil {
				return err
			}
			in = append(in, store.Arrival{Message: m, Payload: payload, At: t0})
		}
		if _, err := s.Put(context.Background(), in); err != nil {
			return err
		}
		for _, m := range batch {
			fmt.Println(nameOf(m.(*wire.Alert)))
		}
	}
	if _, err := s.Acknowledge(context.Background(), store.Acknowledgement{Event: 1, Verdict: "cloud", Operator: "ann",
		At: t0}); err != nil {
		return err
	}
	fmt.Println("verdict")
	return s.Close()
}

func nameOf(a *wire.Alert) string { return fmt.Sprintf("%s/%s/%d", a.Drone, a.Event, a.Revision) }

// whole returns the names of everything in the flight.
func whole() (names []string) {
	for _, batch := range flight() {
		for _, m := range batch {
			names = append(names, nameOf(m.(*wire.Alert)))
		}
	}
	return names
}

// Whenever the power goes, what was promised is there, and nothing that never was.
func TestPowerCutLosesNothingThatWasPromised(t *testing.T) {
	dir := t.TempDir()
	trace := powercut.Record(t, dir, os.Args[0], nil, []string{powercutDir + "=" + dir})
	work := filepath.Join(memoryDir(t), "work")
	states := 0
	for state := range trace.States() {
		states++
		state.Write(t, work)
		if fault := inspect(t, filepath.Join(work, "ground.db"), state.Lines); fault != "" {
			t.Errorf("%s, after %d promises: %s", state.Name, len(state.Lines), fault)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d states", states)
	if states < 1000 {
		t.Errorf("got %d states, want 1000 or more: the recording is incomplete", states)
	}
}

// memoryDir is a folder where syncing costs nothing, if there is one.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "emberwing-store-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// inspect opens a state and says what is wrong with it.
func inspect(t *testing.T, path string, promised []string) string {
	s, err := store.Open(path, store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	feed, err := s.Feed(t.Context(), 0, 1000)
	if err != nil {
		return err.Error()
	}
	var found []string
	for i, e := range feed {
		if e.Row != int64(i+1) {
			return fmt.Sprintf("row %d comes as number %d", e.Row, i+1)
		}
		if e.Kind == store.EntryVerdict {
			found = append(found, "verdict")
			continue
		}
		found = append(found, nameOf(e.Alert))
	}
	for _, p := range promised {
		if !slices.Contains(found, p) {
			return "lost " + p
		}
	}
	order := append(whole(), "verdict")
	if got, want := strings.Join(found, " "), strings.Join(order[:min(len(found), len(order))], " "); got != want {
		return fmt.Sprintf("got rows %s, want a beginning of %s", got, want)
	}
	return resume(t, s, found)
}

// resume stores the whole flight again, as drones without receipts send it.
func resume(t *testing.T, s *store.Store, found []string) string {
	known := 0
	for _, batch := range flight() {
		for i, o := range put(t, s, batch...) {
			switch known := slices.Contains(found, nameOf(batch[i].(*wire.Alert))); {
			case known && o.Fate != store.Duplicate, !known && o.Fate != store.Stored:
				return fmt.Sprintf("%s sent again: got fate %d", nameOf(batch[i].(*wire.Alert)), o.Fate)
			}
		}
		known += len(batch)
	}
	events, err := s.Events(t.Context(), store.Query{})
	if err != nil || len(events) != 4 {
		return fmt.Sprintf("got %d events, %v, want 4", len(events), err)
	}
	for _, e := range events {
		if e.Steps != 3 || e.Revision != 2 {
			return fmt.Sprintf("event %s: got %d steps up to revision %d, want 3 up to 2", e.Event, e.Steps, e.Revision)
		}
	}
	return ""
}
