package pixel

import "math"

// precision is the number of fractional bits of a weight. With 8-bit pixels
// and weights that add up to one, sums stay below 2^31.
const precision = 22

// half is one half in weights, added once to round.
const half = 1 << (precision - 1)

// tap is the window of one output position: source positions start,
// start+1, … and their weights, which add up to about 1<<precision.
type tap struct {
	start   int
	weights []uint32
}

// taps computes the triangle filter that maps the box x0..x1 of n source
// positions to out positions, in the arithmetic of Pillow's Resample.c.
func taps(n int, x0, x1 float64, out int) []tap {
	scale := single(x1-x0) / float64(out)
	support := max(scale, 1)
	all := make([]tap, out)
	buf := make([]float64, 0, int(math.Ceil(support))*2+1)
	for i := range all {
		center := x0 + (float64(i)+0.5)*scale
		start := max(int(center-support+0.5), 0)
		end := min(int(center+support+0.5), n)
		buf = triangle(buf[:0], start, end, center, 1/support)
		all[i] = trim(start, buf)
	}
	return all
}

// triangle appends the normalised weights of positions start..end-1.
func triangle(buf []float64, start, end int, center, inv float64) []float64 {
	sum := 0.0
	for x := start; x < end; x++ {
		w := max(0, 1-math.Abs((float64(x)-center+0.5)*inv))
		buf = append(buf, w)
		sum += w
	}
	for i := range buf {
		if sum != 0 {
			buf[i] /= sum
		}
	}
	return buf
}

// longest is the number of weights that may all be rounded up without a sum
// of white pixels passing 255.
const longest = 1 << 14

// trim rounds the weights and drops the zeros on both sides. Windows beyond
// all cameras are rounded down, where Pillow clips.
func trim(start int, weights []float64) tap {
	t := tap{start: start, weights: make([]uint32, len(weights))}
	round := 0.5
	if len(weights) > longest {
		round = 0
	}
	for i, w := range weights {
		t.weights[i] = uint32(round + w*(1<<precision))
	}
	for len(t.weights) > 1 && t.weights[len(t.weights)-1] == 0 {
		t.weights = t.weights[:len(t.weights)-1]
	}
	for len(t.weights) > 1 && t.weights[0] == 0 {
		t.weights = t.weights[1:]
		t.start++
	}
	return t
}

// scatter is the same filter seen from the source: position first+i adds to
// the outputs base and base+1, by the low and the high half of pairs[i]. The
// positions of one base are a segment of counts[base] positions, and an output
// is complete at the end of its segment.
type scatter struct {
	first  int
	pairs  []uint64
	counts []int
}

// scattered turns taps around. It reports false when some source position
// feeds more than two outputs, which is when the picture is enlarged.
func scattered(all []tap) (scatter, bool) {
	first, last := span(all)
	s := scatter{first: first, pairs: make([]uint64, last-first), counts: make([]int, len(all))}
	bases := make([]int, last-first)
	for i := range bases {
		bases[i] = math.MinInt
	}
	for out, t := range all {
		for i, w := range t.weights {
			if w != 0 && !s.put(bases, t.start+i-first, out, w) {
				return scatter{}, false
			}
		}
	}
	s.count(bases)
	return s, true
}

// put adds the weight of position at in output out. Outputs come in rising
// order, so the first one becomes the base.
func (s *scatter) put(bases []int, at, out int, w uint32) bool {
	switch {
	case bases[at] == math.MinInt:
		bases[at] = out
		s.pairs[at] = uint64(w)
	case bases[at] == out-1:
		s.pairs[at] |= uint64(w) << 32
	default:
		return false
	}
	return true
}

// count measures the segments. A position without weight joins the one before.
func (s *scatter) count(bases []int) {
	base := 0
	for _, b := range bases {
		base = max(base, b)
		s.counts[base]++
	}
}

// span returns the source positions first..last-1 that all windows cover.
func span(all []tap) (first, last int) {
	first = all[0].start
	for _, t := range all {
		first = min(first, t.start)
		last = max(last, t.start+len(t.weights))
	}
	return first, last
}
