package pixel

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
func (r *rowPass) run(line []uint32, row []byte) {
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
func level(sum uint64) uint32 {
	return min((uint32(sum)+half)>>precision, 255)
}

// shrink3 adds each pixel to two outputs with one multiplication a channel.
func (r *rowPass) shrink3(line []uint32, row []byte) {
	n := len(r.scatter.counts)
	red, green, blue := line[:n], line[n:][:n], line[2*n:][:n]
	pairs := r.scatter.pairs
	row = row[3*r.scatter.first:]
	var a, b, c uint64
	for out, count := range r.scatter.counts {
		segment, pixels := pairs[:count], row[:3*count]
		for i := range segment {
			w := segment[i]
			a += uint64(pixels[3*i]) * w
			b += uint64(pixels[3*i+1]) * w
			c += uint64(pixels[3*i+2]) * w
		}
		pairs, row = pairs[count:], row[3*count:]
		red[out], green[out], blue[out] = level(a), level(b), level(c)
		a, b, c = a>>32, b>>32, c>>32
	}
}

// shrink1 is shrink3 for one channel.
func (r *rowPass) shrink1(line []uint32, row []byte) {
	pairs := r.scatter.pairs
	row = row[r.scatter.first:]
	var a uint64
	for out, count := range r.scatter.counts {
		pixels := row[:count]
		for i, w := range pairs[:count] {
			a += uint64(pixels[i]) * w
		}
		pairs, row = pairs[count:], row[count:]
		line[out] = level(a)
		a >>= 32
	}
}

// enlarge computes each output from its window.
func (r *rowPass) enlarge(line []uint32, row []byte) {
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
