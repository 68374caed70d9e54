package pixel

// columnPass combines rows of the source, resized or not, into finished ones. Rows are added in
// order, and each finished row is taken as soon as its window is complete.
type columnPass struct {
	next    int // source row to add
	shrinks bool
	levels  []uint8 // the finished row

	scatter scatter  // used when shrinks
	left    int      // rows missing in the current segment
	sums    []uint64 // the output under way (low half) and the one after it

	taps  []tap   // used otherwise
	first int     // source row of the first line kept
	kept  []uint8 // every row
}

// newColumnPass picks the form of the filter; rows have n values.
func newColumnPass(all []tap, n int) columnPass {
	c := columnPass{taps: all, levels: make([]uint8, n)}
	c.scatter, c.shrinks = scattered(all)
	first, last := span(all)
	c.first = first
	if c.shrinks {
		c.sums = make([]uint64, n)
	} else {
		c.kept = make([]uint8, n*(last-first))
	}
	return c
}

// reset starts a new picture.
func (c *columnPass) reset() {
	c.next = c.first
	if c.shrinks {
		c.left = c.scatter.counts[0]
		clear(c.sums)
	}
}

// wants reports whether output row out needs another source row first.
func (c *columnPass) wants(out int) bool {
	if c.shrinks {
		return c.left > 0
	}
	return c.next < c.taps[out].start+len(c.taps[out].weights)
}

// add takes source row next, resized or not.
func (c *columnPass) add(line []uint8) {
	if c.shrinks {
		accumulate(c.sums, line, c.scatter.pairs[c.next-c.first])
		c.left--
	} else {
		copy(c.kept[(c.next-c.first)*len(line):], line)
	}
	c.next++
}

// accumulate adds line to two output rows with one multiplication a value.
func accumulate(sums []uint64, line []uint8, pair uint64) {
	line = line[:len(sums)]
	for i := range sums {
		sums[i] += uint64(line[i]) * pair
	}
}

// row returns the levels of output row out, valid until the next call.
func (c *columnPass) row(out int) []uint8 {
	if !c.shrinks {
		c.combine(c.taps[out])
		return c.levels
	}
	levels := c.levels[:len(c.sums)]
	for i, sum := range c.sums {
		levels[i] = level(sum)
		c.sums[i] = sum >> 32
	}
	if out+1 < len(c.scatter.counts) {
		c.left = c.scatter.counts[out+1]
	}
	return levels
}

// combine computes one output row from its window of kept rows.
func (c *columnPass) combine(t tap) {
	n := len(c.levels)
	for i := range c.levels {
		sum, at := uint64(0), (t.start-c.first)*n+i
		for _, w := range t.weights {
			sum += uint64(c.kept[at]) * uint64(w)
			at += n
		}
		c.levels[i] = level(sum)
	}
}
