package latency_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

func durations() *rapid.Generator[[]time.Duration] {
	exponent := rapid.IntRange(0, 39)
	one := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, 1<<exponent.Draw(t, "exponent")).Draw(t, "ns"))
	})
	return rapid.SliceOfN(one, 0, 300)
}

func record(values []time.Duration) *latency.Histogram {
	h := new(latency.Histogram)
	for _, v := range values {
		h.Record(v)
	}
	return h
}

// within reports whether got is want, give or take the documented error and the
// 1 ns that integer division costs.
func within(got, want time.Duration, relative float64) bool {
	return math.Abs(float64(got-want)) <= relative*float64(want)+1
}

func TestAgreesWithHdrHistogram(t *testing.T) {
	const oracleError = 0.001 // three significant digits
	rapid.Check(t, func(t *rapid.T) {
		values := durations().Draw(t, "values")
		h := record(values)
		oracle := hdrhistogram.New(1, int64(latency.Limit), 3)
		for _, v := range values {
			if err := oracle.RecordValue(int64(v)); err != nil {
				t.Fatal(err)
			}
		}
		if got := int64(h.Count()); got != oracle.TotalCount() {
			t.Fatalf("count: got %d, want %d", got, oracle.TotalCount())
		}
		for rank := 1; rank <= len(values); rank += 1 + len(values)/20 {
			q := float64(rank) / float64(len(values)) // the two packages round other ranks differently
			want := time.Duration(oracle.ValueAtQuantile(q * 100))
			if got := h.Quantile(q); !within(got, want, latency.MaxRelativeError+2*oracleError) {
				t.Fatalf("quantile %v: got %v, want %v within %v", q, got, want, latency.MaxRelativeError)
			}
		}
	})
}

func TestExactNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := durations().Draw(t, "values")
		h := record(values)
		var sum, longest time.Duration
		shortest := time.Duration(math.MaxInt64)
		for _, v := range values {
			sum, longest, shortest = sum+v, max(longest, v), min(shortest, v)
		}
		if len(values) == 0 {
			shortest = 0
		}
		got := []time.Duration{h.Sum(), h.Max(), h.Min(), time.Duration(h.Count())}
		want := []time.Duration{sum, longest, shortest, time.Duration(len(values))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("sum, max, min, count (-want +got):\n%s", diff)
		}
	})
}

// Merging, in memory or over the wire, equals recording everything in one place.
func TestMergeEqualsRecordingTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := durations().Draw(t, "a"), durations().Draw(t, "b")
		want := record(append(append([]time.Duration{}, a...), b...)).Wire()

		merged := record(a)
		merged.Merge(record(b))
		if diff := cmp.Diff(want, merged.Wire()); diff != "" {
			t.Fatalf("Merge (-want +got):\n%s", diff)
		}
		var received latency.Histogram
		for _, w := range []wire.Histogram{record(a).Wire(), record(b).Wire()} {
			if err := received.AddWire(w); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, received.Wire()); diff != "" {
			t.Fatalf("AddWire (-want +got):\n%s", diff)
		}
	})
}

func TestQuantilesAreMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := record(durations().Draw(t, "values"))
		last := time.Duration(0)
		for q := 0.0; q <= 1; q += 0.05 {
			v := h.Quantile(q)
			if v < last || v > h.Max() || v < h.Min() {
				t.Fatalf("quantile %v: got %v after %v, min %v, max %v", q, v, last, h.Min(), h.Max())
			}
			last = v
		}
	})
}

func TestEdges(t *testing.T) {
	var h latency.Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Min() != 0 || h.Mean() != 0 || h.Count() != 0 {
		t.Error("an empty histogram must answer 0 to everything")
	}
	h.Record(-time.Second)
	if h.Count() != 1 || h.Max() != 0 || h.Sum() != 0 {
		t.Errorf("negative value: got count %d, max %v, want 1 value of 0", h.Count(), h.Max())
	}
	h.Record(math.MaxInt64)
	if h.Max() != math.MaxInt64 || h.Quantile(1) != math.MaxInt64 {
		t.Errorf("huge value: got max %v, quantile %v", h.Max(), h.Quantile(1))
	}
	if h.Quantile(-1) != h.Quantile(0) || h.Quantile(2) != h.Quantile(1) {
		t.Error("q outside 0..1 must count as the nearer end")
	}
	h.Reset()
	if diff := cmp.Diff(new(latency.Histogram).Wire(), h.Wire()); diff != "" {
		t.Errorf("after Reset:\n%s", diff)
	}
}

func TestMean(t *testing.T) {
	if got := record([]time.Duration{10, 20, 60}).Mean(); got != 30 {
		t.Errorf("got %v, want 30ns", got)
	}
}

func TestAddWireRefusesOtherBuckets(t *testing.T) {
	for name, w := range map[string]wire.Histogram{
		"other resolution": {SubBits: 5, Count: 1, Counts: []uint64{1}},
		"beyond the last":  {SubBits: latency.SubBits, First: 592, Count: 1, Counts: []uint64{1}},
		"negative":         {SubBits: latency.SubBits, First: -1, Count: 1, Counts: []uint64{1}},
	} {
		var h latency.Histogram
		if err := h.AddWire(w); err == nil || h.Count() != 0 {
			t.Errorf("%s: got %v and %d values, want an error and none", name, err, h.Count())
		}
	}
}

// What the wire accepts must hold for every histogram this package makes.
func TestWireFormIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := record(durations().Draw(t, "values"))
		s := wire.Stats{
			Header: wire.Header{Fleet: "f", Drone: "d", Boot: "b", Captured: wire.At(time.Unix(1, 0)), Clock: wire.ClockNone},
			Stages: []wire.Stage{{Name: "infer", Histogram: h.Wire()}},
		}
		if _, err := wire.Append(nil, &s); err != nil {
			t.Fatal(err)
		}
	})
}

// Writers in one bucket lose nothing.
func TestRecord_hammer(t *testing.T) {
	const writers, each = 4, 300_000
	var h latency.Histogram
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				h.Record(5)
			}
		})
	}
	wg.Wait()
	if h.Count() != writers*each || h.Sum() != 5*writers*each {
		t.Errorf("got %d values with sum %d, want %d and %d", h.Count(), h.Sum(), writers*each, 5*writers*each)
	}
}

// Periods are taken while others record: nothing is lost or counted twice.
func TestSwapInto_hammer(t *testing.T) {
	const writers, each = 4, 50_000
	var h, period, total latency.Histogram
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				h.Record(time.Duration(i % 8)) // few buckets, much contention
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		h.SwapInto(&period)
		total.Merge(&period)
	}
	h.SwapInto(&period)
	total.Merge(&period)
	if got := total.Count(); got != writers*each {
		t.Errorf("count: got %d, want %d", got, writers*each)
	}
	if got, want := total.Sum(), time.Duration(writers*each/8*(0+1+2+3+4+5+6+7)); got != want {
		t.Errorf("sum: got %d, want %d", got, want)
	}
	if h.Count() != 0 {
		t.Errorf("after the last period: got %d values, want none", h.Count())
	}
}

func TestAllocations(t *testing.T) {
	var h, dst latency.Histogram
	start := time.Now()
	for name, f := range map[string]func(){
		"Record":   func() { h.Record(7 * time.Millisecond) },
		"Since":    func() { h.Since(start) },
		"Quantile": func() { h.Quantile(0.99) },
		"Merge":    func() { dst.Merge(&h) },
		"SwapInto": func() { h.SwapInto(&dst) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		var h latency.Histogram
		b.ReportAllocs()
		for b.Loop() {
			h.Record(7 * time.Millisecond)
		}
	})
	b.Run("contended", func(b *testing.B) {
		var h latency.Histogram
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				h.Record(7 * time.Millisecond)
			}
		})
	})
}

func BenchmarkQuantile(b *testing.B) {
	var h latency.Histogram
	for i := range 100_000 {
		h.Record(time.Duration(i) * time.Microsecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Quantile(0.99)
	}
}
