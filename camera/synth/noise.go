package synth

// rng is the splitmix64 generator; its zero value is a valid seed.
type rng struct{ state uint64 }

// newRNG derives an independent stream from a seed and a stream number.
func newRNG(seed, stream uint64) *rng {
	return &rng{state: mix64(seed*0x9e3779b97f4a7c15 + stream*0xd1342543de82ef95 + 1)}
}

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix64(r.state)
}

// unit returns a number in [0,1) with 24 random bits, exact in float32.
func (r *rng) unit() float32 { return float32(float32(r.next()>>40) * (1.0 / (1 << 24))) }

// between returns a number in [lo,hi).
func (r *rng) between(lo, hi float32) float32 { return lo + float32((hi-lo)*r.unit()) }

// below returns an integer in [0,n).
func (r *rng) below(n int) int { return int(r.next()>>33) % n }

func mix64(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// hashUnit maps an integer and a seed to [0,1).
func hashUnit(seed, i uint64) float32 {
	return float32(float32(mix64(seed+i*0x9e3779b97f4a7c15)>>40) * (1.0 / (1 << 24)))
}

// fbm returns an n×n periodic fractal noise field scaled to 0..1. n is a power
// of two; base is the number of lattice cells along a side of the first octave.
func fbm(n int, seed uint64, base, octaves int, gain float32) []float32 {
	field := make([]float32, n*n)
	row := make([]float32, n+1)
	amp := float32(1)
	for o := range octaves {
		cells := base << o
		if cells > n {
			break
		}
		addOctave(field, row, n, cells, mix64(seed+uint64(o)*0x632be59bd9b4e019), amp)
		amp *= gain
	}
	normalise(field)
	return field
}

// addOctave adds one octave of value noise: rows of the lattice are blended
// vertically first, then horizontally.
func addOctave(field, row []float32, n, cells int, seed uint64, amp float32) {
	span := n / cells
	ease := easeTable(span)
	for y := range n {
		cy, w := y/span, ease[y%span]
		for cx := range cells {
			a := hashUnit(seed, uint64(cy*cells+cx))
			b := hashUnit(seed, uint64((cy+1)%cells*cells+cx))
			row[cx] = float32(amp * (a + float32((b-a)*w)))
		}
		row[cells] = row[0]
		line := field[y*n : (y+1)*n]
		for cx := range cells {
			a, d := row[cx], row[cx+1]-row[cx]
			seg := line[cx*span : (cx+1)*span]
			for i := range seg {
				seg[i] += a + float32(d*ease[i])
			}
		}
	}
}

func easeTable(span int) []float32 {
	t := make([]float32, span)
	for i := range t {
		t[i] = smooth(float32(i) / float32(span))
	}
	return t
}

func normalise(v []float32) {
	lo, hi := v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	scale := 1 / max(hi-lo, 1e-6)
	for i, x := range v {
		v[i] = float32((x - lo) * scale)
	}
}

// smooth is the cubic 3u²-2u³ on 0..1, clamped outside.
func smooth(u float32) float32 {
	u = min(max(u, 0), 1)
	return float32(float32(u*u) * (3 - float32(2*u)))
}

// ramp rises smoothly from 0 at lo to 1 at hi.
func ramp(lo, hi, x float32) float32 { return smooth((float32(x) - lo) / (hi - lo)) }

func lerp(a, b, t float32) float32 { return a + float32((b-a)*t) }

// noiseTile returns a 256×256 periodic noise field as bytes.
func noiseTile(seed uint64, base, octaves int) []uint8 {
	f := fbm(256, seed, base, octaves, 0.55)
	out := make([]uint8, len(f))
	for i, v := range f {
		out[i] = uint8(float32(v * 255))
	}
	return out
}
