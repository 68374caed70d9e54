// Package latency counts durations in histograms that many goroutines may record
// into without a lock and without allocating, and that can be merged across stages,
// periods and drones.
//
// Buckets are log-linear: every power of two of nanoseconds is cut into 2^SubBits =
// 16 equal buckets, and values below 32 ns have a bucket each. A quantile is the
// middle of its bucket (cut to the exact minimum and maximum), so it is off by at most
// MaxRelativeError = 1/32 of the true value. Values from 0 to Limit (about 18 minutes)
// are told apart; longer ones share the last bucket, with their exact sum and maximum.
//
// HdrHistogram was considered: its counters are not atomic, so every stage would need
// a lock around Record, and its snapshot format is not readable as JSON. It serves as
// the oracle of the tests instead.
package latency

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"emberwing/telemetry/wire"
)

// Shape of the buckets, as in wire.Histogram.
const (
	SubBits          = 4
	Limit            = time.Duration(1 << limitBits)
	MaxRelativeError = 1.0 / (2 << SubBits)

	limitBits  = 40
	subBuckets = 1 << SubBits
	numBuckets = (limitBits-SubBits)*subBuckets + subBuckets
)

// Histogram counts durations. The zero value is ready to use. All methods may be
// called at any time from any goroutine; a reader that runs beside a writer sees each
// value wholly or not at all in the buckets, while Sum, Min and Max may lead by the
// values being recorded at that moment. A Histogram must not be copied.
type Histogram struct {
	counts [numBuckets]atomic.Uint64
	sum    atomic.Int64 // ns
	max    atomic.Int64 // ns
	minP1  atomic.Int64 // smallest value + 1 ns, 0 when empty
}

// Record counts d; a negative d, which only a clock fault can yield, counts as 0.
// It does not allocate.
func (h *Histogram) Record(d time.Duration) {
	v := max(0, int64(d))
	raise(&h.max, v)
	lower(&h.minP1, v)
	h.sum.Add(v)
	h.counts[bucketOf(v)].Add(1)
}

// Since records the time from start until now.
func (h *Histogram) Since(start time.Time) { h.Record(time.Since(start)) }

func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old; old = a.Load() {
		if a.CompareAndSwap(old, v) {
			return
		}
	}
}

func lower(a *atomic.Int64, v int64) {
	v = min(v, math.MaxInt64-1) + 1
	for old := a.Load(); old == 0 || v < old; old = a.Load() {
		if a.CompareAndSwap(old, v) {
			return
		}
	}
}

// bucketOf returns the bucket of v ≥ 0.
func bucketOf(v int64) int {
	if v >= int64(Limit) {
		return numBuckets - 1
	}
	shift := bits.Len64(uint64(v)>>SubBits) - 1
	if shift <= 0 {
		return int(v)
	}
	return shift<<SubBits + int(v>>shift)
}

// bounds returns the smallest value of bucket i and the number of values in it.
func bounds(i int) (low, width int64) {
	if i < 2*subBuckets {
		return int64(i), 1
	}
	shift := i>>SubBits - 1
	return int64(i-shift<<SubBits) << shift, 1 << shift
}

// Count returns the number of values recorded.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Sum returns the sum of all values.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Max returns the largest value, exactly; 0 when empty.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Min returns the smallest value, exactly; 0 when empty.
func (h *Histogram) Min() time.Duration {
	return time.Duration(max(0, h.minP1.Load()-1))
}

// Mean returns the average; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	return h.Sum() / time.Duration(n)
}

// Quantile returns the smallest value v such that at least the share q (0..1) of all
// values is not above v (nearest rank), within MaxRelativeError; 0 when empty. A q outside
// 0..1 counts as the nearer end.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	const slack = 1e-9 // 0.07 × 100 is a little more than 7
	rank := uint64(math.Ceil(min(max(q, 0), 1)*float64(n) - slack))
	return h.valueAt(min(max(rank, 1), n))
}

// valueAt returns the value of the given rank, 1 being the smallest.
func (h *Histogram) valueAt(rank uint64) time.Duration {
	var seen uint64
	for i := range h.counts {
		seen += h.counts[i].Load()
		if seen >= rank {
			return h.middle(i)
		}
	}
	return h.Max()
}

func (h *Histogram) middle(i int) time.Duration {
	if i == numBuckets-1 {
		return h.Max()
	}
	low, width := bounds(i)
	return min(max(time.Duration(low+(width-1)/2), h.Min()), h.Max())
}

// Merge adds the values of other to h.
func (h *Histogram) Merge(other *Histogram) {
	if lowest := other.minP1.Load(); lowest > 0 {
		lower(&h.minP1, lowest-1)
	}
	raise(&h.max, other.max.Load())
	h.sum.Add(other.sum.Load())
	for i := range other.counts {
		if n := other.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
}

// SwapInto moves the values of h to dst, whose former values are lost, and leaves h
// empty. It is how a period ends: no value is lost or counted in two periods, but one
// recorded at that very moment may have its sum in one and its count in the other.
// It does not allocate.
func (h *Histogram) SwapInto(dst *Histogram) {
	dst.minP1.Store(h.minP1.Swap(0))
	dst.max.Store(h.max.Swap(0))
	dst.sum.Store(h.sum.Swap(0))
	for i := range h.counts {
		dst.counts[i].Store(h.counts[i].Swap(0))
	}
}

// Reset forgets all values.
func (h *Histogram) Reset() {
	h.minP1.Store(0)
	h.max.Store(0)
	h.sum.Store(0)
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

// Wire returns the values in the form in which they travel.
func (h *Histogram) Wire() wire.Histogram {
	w := wire.Histogram{SubBits: SubBits, SumNS: cut(h.Sum()), MinNS: cut(h.Min()), MaxNS: cut(h.Max()), Counts: []uint64{}}
	for i := range h.counts {
		n := h.counts[i].Load()
		if n == 0 {
			continue
		}
		if w.Count == 0 {
			w.First = i
		}
		for len(w.Counts) < i-w.First {
			w.Counts = append(w.Counts, 0)
		}
		w.Counts = append(w.Counts, n)
		w.Count += n
	}
	w.MinNS = min(w.MinNS, w.MaxNS)
	return w
}

// cut keeps a value within what the wire carries, 2^53-1 ns or 104 days.
func cut(d time.Duration) int64 { return min(int64(d), wire.MaxSeq) }

// AddWire adds the values of a received histogram to h. It returns an error, and adds
// nothing, when its buckets are not those of this package.
func (h *Histogram) AddWire(w wire.Histogram) error {
	if w.SubBits != SubBits {
		return fmt.Errorf("merge histogram: got sub_bits %d, want %d", w.SubBits, SubBits)
	}
	if w.First < 0 || w.First+len(w.Counts) > numBuckets {
		return fmt.Errorf("merge histogram: got buckets %d to %d, want at most %d", w.First, w.First+len(w.Counts)-1, numBuckets-1)
	}
	if len(w.Counts) == 0 {
		return nil
	}
	lower(&h.minP1, w.MinNS)
	raise(&h.max, w.MaxNS)
	h.sum.Add(w.SumNS)
	for i, n := range w.Counts {
		h.counts[w.First+i].Add(n)
	}
	return nil
}
