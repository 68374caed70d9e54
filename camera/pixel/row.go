package pixel

import "unsafe"

// rowPass resizes one row of packed pixels to planes of output values.
type rowPass struct {
	channels int
	shrinks  bool
	scatter  scatter // used when shrinks
	taps     []tap   // used otherwise
}

// newRowPass picks the faster form of the filter.
func newRowPass(all []tap, channels int) rowPass {
	r := rowPass{channels: channels, taps: all}
	r.scatter, r.shrinks = scattered(all)
	return r
}

// run writes the levels of the resized row to line, plane after plane.
func (r *rowPass) run(line []uint8, row []byte) {
	switch {
	case r.shrinks && r.channels == 3:
		r.shrink3(line, row)
	case r.shrinks:
		r.shrink1(line, row)
	default:
		r.enlarge(line, row)
	}
}

// level rounds the low half of a sum of weighted levels to 0..255.
func level(sum uint64) uint8 { return uint8((uint32(sum) + half) >> precision) }

// shrink3 adds each pixel to two outputs with one multiplication a channel.
// The shape of the loop is what the compiler needs to drop its bounds checks.
func (r *rowPass) shrink3(line []uint8, row []byte) {
	n := len(r.scatter.counts)
	red, green, blue := line[:n], line[n:][:n], line[2*n:][:n]
	pairs := r.scatter.pairs
	pixels := triples(row)[r.scatter.first:][:len(pairs)]
	var a, b, c uint64
	x := 0
	for out, count := range r.scatter.counts {
		for end := min(x+count, len(pairs)); x < end; x++ {
			w, p := pairs[x], &pixels[x]
			a += uint64(p[0]) * w
			b += uint64(p[1]) * w
			c += uint64(p[2]) * w
		}
		red[out] = level(a)
		green[out] = level(b)
		blue[out] = level(c)
		a, b, c = a>>32, b>>32, c>>32
	}
}

// triples views a row as pixels of three bytes. The view has no alignment and
// no padding, and it is not longer than the row.
func triples(row []byte) [][3]byte {
	return unsafe.Slice((*[3]byte)(unsafe.Pointer(unsafe.SliceData(row))), len(row)/3)
}

// shrink1 is shrink3 for one channel.
func (r *rowPass) shrink1(line []uint8, row []byte) {
	pairs := r.scatter.pairs
	pixels := row[r.scatter.first:][:len(pairs)]
	line = line[:len(r.scatter.counts)]
	var a uint64
	x := 0
	for out, count := range r.scatter.counts {
		for end := min(x+count, len(pairs)); x < end; x++ {
			a += uint64(pixels[x]) * pairs[x]
		}
		line[out] = level(a)
		a >>= 32
	}
}

// enlarge computes each output from its window.
func (r *rowPass) enlarge(line []uint8, row []byte) {
	for c := range r.channels {
		plane := line[c*len(r.taps):]
		for out, t := range r.taps {
			sum, at := uint64(0), t.start*r.channels+c
			for _, w := range t.weights {
				sum += uint64(row[at]) * uint64(w)
				at += r.channels
			}
			plane[out] = level(sum)
		}
	}
}
