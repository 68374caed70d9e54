//go:build cgo && linux

package ort

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cyclesVar overrides how often TestNoLeak opens and closes a session.
const cyclesVar = "EMBERWING_TEST_CYCLES"

// usage is what a leak would make grow.
type usage struct{ files, threads, goroutines, rssKiB int }

func measure(t *testing.T) usage {
	t.Helper()
	debug.FreeOSMemory()
	return usage{entriesOf(t, "/proc/self/fd"), entriesOf(t, "/proc/self/task"), runtime.NumGoroutine(), rss(t)}
}

func entriesOf(t *testing.T, dir string) int {
	t.Helper()
	e, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func rss(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	if _, err := fmt.Sscan(string(after), &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// leakKiB is what a cycle may grow by: far less than a session, and more than the race
// detector's own growth of about 1 KiB.
const leakKiB = 4

// TestNoLeak opens and closes sessions, good and failing ones, in batches. What leaks grows
// with every batch, where the state of a heap moves in a few jumps: so the median batch counts.
func TestNoLeak(t *testing.T) {
	rt, m, bad := load(t), infertest.Tiny(t), faulty(t, "operator.onnx")
	cycle := func() {
		s, err := rt.Open(m, infer.Options{Precision: infer.INT8, Threads: 2, Slots: 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(1); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Open(bad, infer.Options{Threads: 2}); err == nil {
			t.Fatal("the faulty model opens")
		}
	}
	cycles := 1000
	if n, err := strconv.Atoi(os.Getenv(cyclesVar)); err == nil {
		cycles = n
	}
	const warmUp, batches = 600, 11 // the caches of the heap and of the race detector fill for some 500 cycles
	batch := max(1, cycles/batches)
	for range warmUp {
		cycle()
	}
	before := measure(t)
	after, grown := before, make([]int, 0, batches)
	for range batches {
		last := after
		for range batch {
			cycle()
		}
		after = measure(t)
		grown = append(grown, after.rssKiB-last.rssKiB)
	}
	t.Logf("%d batches of %d cycles: before %+v, after %+v, KiB grown %v", batches, batch, before, after, grown)
	slices.Sort(grown)
	if after.files > before.files || after.threads > before.threads+2 || after.goroutines > before.goroutines {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if median := grown[batches/2]; median > leakKiB*batch {
		t.Errorf("the median batch of %d cycles grew by %d KiB, want at most %d KiB a cycle: %v", batch, median, leakKiB, grown)
	}
}
