//go:build cgo && linux

package ort

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
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
	runtime.GC()
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

// TestNoLeak opens and closes sessions, good and failing ones, and compares
// what the process holds after a warm-up with what it holds at the end.
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
	for range 100 {
		cycle()
	}
	before := measure(t)
	for range cycles {
		cycle()
	}
	after := measure(t)
	t.Logf("%d cycles: before %+v, after %+v", cycles, before, after)
	const slack = 4 << 10 // KiB of heap that may be in another state
	if after.files > before.files || after.threads > before.threads+2 || after.goroutines > before.goroutines ||
		after.rssKiB > before.rssKiB+slack {
		t.Errorf("before %+v, after %d cycles %+v", before, cycles, after)
	}
}
