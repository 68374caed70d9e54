package calib

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Range is the interval of values that a tensor is quantised for.
type Range struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Kind names a way to choose ranges.
type Kind string

// The ways to choose ranges.
const (
	MinMax     Kind = "minmax"     // all values seen
	MovingMean Kind = "moving"     // moving average of the extremes of samples
	Percentile Kind = "percentile" // all but a share of the values
	Entropy    Kind = "entropy"    // least divergence of the quantised distribution
	MSE        Kind = "mse"        // least squared error of quantisation
)

// Method is a way to choose ranges with its parameter.
type Method struct {
	Kind    Kind
	Percent float64 // of values kept, for Percentile; 0 < Percent <= 100
}

// DefaultPercent is the share of values that "percentile" keeps.
const DefaultPercent = 99.99

// Methods returns one method of each kind, with two percentiles.
func Methods() []Method {
	return []Method{{Kind: MinMax}, {Kind: MovingMean}, {Percentile, 99.99}, {Percentile, 99.999}, {Kind: Entropy},
		{Kind: MSE}}
}

// ParseMethod reads "minmax", "moving", "percentile", "percentile=99.9",
// "entropy" or "mse".
func ParseMethod(s string) (Method, error) {
	kind, value, given := strings.Cut(s, "=")
	m := Method{Kind: Kind(kind)}
	switch m.Kind {
	case MinMax, MovingMean, Entropy, MSE:
		if !given {
			return m, nil
		}
	case Percentile:
		m.Percent = DefaultPercent
		if !given {
			return m, nil
		}
		p, err := strconv.ParseFloat(value, 64)
		if err == nil && p > 50 && p <= 100 {
			m.Percent = p
			return m, nil
		}
		return m, fmt.Errorf("read method: got percentile %q, want a number above 50 and up to 100", value)
	}
	return m, fmt.Errorf("read method: got %q, want minmax, moving, percentile[=99.99], entropy or mse", s)
}

// String prints the method as ParseMethod reads it.
func (m Method) String() string {
	if m.Kind == Percentile {
		return fmt.Sprintf("percentile=%g", m.Percent)
	}
	return string(m.Kind)
}

// NeedsHistogram says whether the method needs the second pass.
func (m Method) NeedsHistogram() bool {
	return m.Kind == Percentile || m.Kind == Entropy || m.Kind == MSE
}

// Scheme is the kind of integers that a range is chosen for.
type Scheme struct {
	Symmetric bool // zero is the middle
	Levels    int  // number of integers: 256
}

// Range returns the range of a tensor by a method. It covers zero, and lies
// within what was seen.
func (s *Stats) Range(m Method, sch Scheme) Range {
	seen := Range{math.Min(s.Min, 0), math.Max(s.Max, 0)}
	var r Range
	switch {
	case m.NeedsHistogram() && s.Hist == nil:
		r = seen
	case m.Kind == MovingMean:
		r = Range{s.AvgMin, s.AvgMax}
	case m.Kind == Percentile:
		r = s.Hist.percentile(m.Percent, sch.Symmetric)
	case m.Kind == Entropy:
		t := s.Hist.entropy((sch.Levels + 1) / 2)
		r = Range{-t, t}
	case m.Kind == MSE:
		r = s.Hist.leastSquares(seen, sch)
	default:
		r = seen
	}
	return Range{math.Max(math.Min(r.Lo, 0), seen.Lo), math.Min(math.Max(r.Hi, 0), seen.Hi)}
}

// percentile keeps percent of the values. Symmetric: of the magnitudes.
// Otherwise half of the rest is cut at each end that has values; an edge at
// zero is no end.
func (h *Histogram) percentile(percent float64, symmetric bool) Range {
	cut := 1 - percent/100
	if symmetric || h.Lo == 0 {
		counts := h.Magnitudes()
		t := h.Hi / Bins * float64(above(counts, cut*total(counts)))
		return Range{-t, t}
	}
	share := cut / 2 * total(h.Counts)
	hi := h.Lo + h.width()*float64(above(h.Counts, share))
	n := len(h.Counts)
	var sum float64
	lo := 0
	for ; lo < n-1 && sum+float64(h.Counts[lo]) <= share; lo++ {
		sum += float64(h.Counts[lo])
	}
	return Range{h.Lo + h.width()*float64(lo), hi}
}

// total sums counts.
func total(counts []uint64) float64 {
	var sum uint64
	for _, c := range counts {
		sum += c
	}
	return float64(sum)
}

// above returns the smallest number of bins that leave at most rest values
// beyond them.
func above(counts []uint64, rest float64) int {
	var sum float64
	for i := len(counts) - 1; i > 0; i-- {
		sum += float64(counts[i])
		if sum > rest {
			return i + 1
		}
	}
	return 1
}

// entropy returns the threshold for magnitudes whose quantised distribution
// over the given number of levels diverges least from the measured one
// (Kullback-Leibler), as NVIDIA's pytorch-quantization computes it: the zero
// bin is replaced by its neighbour, thresholds go from one level a bin to all
// bins, what lies beyond joins the last bin of the reference, the last of
// equal minima wins.
//
// A candidate spreads the mass of each level evenly over its bins that are not
// empty, so its share of the sum needs only the mass and the number of such
// bins, which come from running totals.
func (h *Histogram) entropy(levels int) float64 {
	counts := h.Magnitudes()
	counts[0] = counts[1]
	sums := newTotals(counts)
	best, at := math.Inf(1), Bins
	for n := levels; n <= Bins; n++ {
		if d := sums.divergence(n, levels); d <= best {
			best, at = d, n
		}
	}
	return h.Hi / Bins * float64(at)
}

// totals holds running totals over bins: of counts, of bins that are not
// empty, and of count*log(count).
type totals struct{ mass, filled, plogp []float64 }

func newTotals(counts []uint64) totals {
	n := len(counts) + 1
	t := totals{make([]float64, n), make([]float64, n), make([]float64, n)}
	for i, c := range counts {
		t.mass[i+1] = t.mass[i] + float64(c)
		t.filled[i+1] = t.filled[i]
		if c > 0 {
			t.filled[i+1]++
		}
		t.plogp[i+1] = t.plogp[i] + xlogx(float64(c))
	}
	return t
}

// xlogx is x*log(x), 0 at 0.
func xlogx(x float64) float64 {
	if x <= 0 {
		return 0
	}
	return x * math.Log(x)
}

// divergence is KL(P||Q) for the first n bins: P with what lies beyond in its
// last bin, Q quantised to levels. Both are normalised.
func (t totals) divergence(n, levels int) float64 {
	all, inside := t.mass[len(t.mass)-1], t.mass[n]
	last := inside - t.mass[n-1]
	rest := all - inside
	if inside == 0 || last == 0 && rest > 0 {
		return math.Inf(1) // Q is empty where P is not
	}
	pp := t.plogp[n] - xlogx(last) + xlogx(last+rest)
	var pq float64
	for l := range levels {
		from, to := edge(l, n, levels), edge(l+1, n, levels)
		mass, filled := t.mass[to]-t.mass[from], t.filled[to]-t.filled[from]
		if mass == 0 {
			continue
		}
		reference := mass
		if to == n {
			reference += rest
		}
		pq += reference * math.Log(mass/filled)
	}
	return (pp-pq)/all - math.Log(all) + math.Log(inside)
}

// edge returns the first bin of level l when n bins are divided into levels.
func edge(l, n, levels int) int { return (l*n + levels - 1) / levels }

// steps is the number of range sizes that leastSquares tries at each end.
const steps = 100

// leastSquares returns the range with the least squared error of quantisation,
// values outside included. It shrinks the range seen in steps of a hundredth:
// both ends together, then each end alone.
func (h *Histogram) leastSquares(seen Range, sch Scheme) Range {
	best, least := seen, h.squaredError(seen, sch)
	try := func(r Range) {
		if e := h.squaredError(r, sch); e < least {
			best, least = r, e
		}
	}
	for i := 1; i < steps*9/10; i++ {
		f := 1 - float64(i)/steps
		try(Range{seen.Lo * f, seen.Hi * f})
	}
	if sch.Symmetric || seen.Lo == 0 || seen.Hi == 0 {
		return best
	}
	from := best
	for i := 1; i < steps*9/10; i++ {
		try(Range{seen.Lo * (1 - float64(i)/steps), from.Hi})
	}
	from = best
	for i := 1; i < steps*9/10; i++ {
		try(Range{from.Lo, seen.Hi * (1 - float64(i)/steps)})
	}
	return best
}

// squaredError sums the squared error of the values, taken as the middles of
// their bins, when quantised over r. Zero is a level.
func (h *Histogram) squaredError(r Range, sch Scheme) float64 {
	lo, hi := r.Lo, r.Hi
	if sch.Symmetric {
		hi = math.Max(-lo, hi)
		lo = -hi
	}
	scale := (hi - lo) / float64(sch.Levels-1)
	if scale == 0 {
		return math.Inf(1)
	}
	bottom := math.Round(lo / scale)
	top := bottom + float64(sch.Levels-1)
	step, at := h.width()/scale, (h.Lo+h.width()/2)/scale // in units of the scale
	var sum float64
	for i, c := range h.Counts {
		if c == 0 {
			continue
		}
		x := at + float64(i)*step
		q := math.Floor(x + 0.5)
		if q < bottom {
			q = bottom
		} else if q > top {
			q = top
		}
		sum += float64(c) * (x - q) * (x - q)
	}
	return sum * scale * scale
}
