package synth

import "math"

// marcher draws terrain and sky column by column, from near to far, and keeps
// the depth of every second pixel for the sprites.
type marcher struct {
	w, h  int
	cols  []uint32 // column-major packed pixels, w columns of h
	depth []uint16 // column-major, (w+1)/2 columns of (h+1)/2, decimetres
	steps []step
	sky   []uint32 // sky colour by rows above the horizon
	cloud []uint8  // 256×256 noise
	grain []uint8  // 256×256 noise, near detail
}

// step is one sampling distance, shared by all columns of a frame.
type step struct {
	d     int // metres/256
	scale int // pixels per metre, 16.16
	mip   uint
	keep  uint32 // 256 minus the haze
	hazeR uint32 // haze, premultiplied: red and blue
	hazeG uint32 // haze, premultiplied: green
	grain uint32 // strength of near detail, 0…256
	deci  uint16 // depth in decimetres
}

const farMetres = 3600

func newMarcher(w, h int, seed uint64) *marcher {
	return &marcher{
		w: w, h: h,
		cols:  make([]uint32, w*h),
		depth: make([]uint16, (w+1)/2*((h+1)/2)),
		steps: make([]step, 0, 2048),
		sky:   make([]uint32, h+h/2+64),
		cloud: noiseTile(seed^0x51, 4, 6),
		grain: noiseTile(seed^0x52, 32, 4),
	}
}

// draw renders the ground and sky seen by v into m.cols and m.depth.
func (m *marcher) draw(t *terrain, lk *look, v *view) {
	m.plan(lk, v)
	m.paintSky(lk)
	clear(m.depth)
	for col := range m.w {
		top := m.column(t, v, col)
		m.fillSky(v, col, top, lk.cloud)
	}
}

// plan chooses the sampling distances: about a row apart nearby, a fixed
// share of the distance further out.
func (m *marcher) plan(lk *look, v *view) {
	m.steps = m.steps[:0]
	alt := v.z - v.ground
	rows := math.Max(float64(v.h)-v.horizon, 20)
	d := math.Max(alt*v.focal/rows*0.55, 3)
	for d < farMetres && len(m.steps) < cap(m.steps) {
		m.steps = append(m.steps, newStep(lk, v, d))
		d += math.Min(math.Max(d*d/(alt*v.focal), 0.2), d*0.009)
	}
}

func newStep(lk *look, v *view, d float64) step {
	mip := uint(0)
	for span := 2 * texel * v.focal; span < d && mip < mapMips-1; span *= 2 {
		mip++
	}
	haze := uint32(float32(256 * (1 - exp(-d/float64(lk.hazeMetres)))))
	c := lk.haze.pack()
	grain := math.Max(1-d/220, 0) * 200
	return step{
		d: int(d * 256), scale: int(v.focal / d * 65536), mip: mip,
		keep: 256 - haze, hazeR: c & 0xff00ff * haze, hazeG: c & 0xff00 * haze,
		grain: uint32(grain), deci: uint16(d * 10),
	}
}

// column marches one column and returns the first row that is not sky.
func (m *marcher) column(t *terrain, v *view, col int) int {
	side := (float64(col) + 0.5 - float64(v.w)/2) / v.focal
	const unit = (1 << 32) / worldLen
	ux := int((v.fx + float64(side*v.fy)) * unit)
	uy := int((v.fy - float64(side*v.fx)) * unit)
	x0, y0 := worldFixed(v.x), worldFixed(v.y)
	camera := int(v.z * 256)
	horizon := int(v.horizonAt(float64(col)) * 256)
	out := m.cols[col*m.h : (col+1)*m.h]
	top := m.h
	hill, rise, span := 0, 0, 0
	for k := range m.steps {
		s := &m.steps[k]
		x, y := x0+uint32(ux*s.d>>8), y0+uint32(uy*s.d>>8)
		if k&3 == 0 {
			hill, rise, span = m.slope(t, x0, y0, ux, uy, k)
		}
		shift := 22 - 3 + s.mip
		mask := uint32(mapSize-1) >> s.mip
		tx := t.mips[s.mip][y>>shift&mask<<(mapBits-s.mip)|x>>shift&mask]
		ground := hill + rise*(k&3)/span + int(tx>>24)<<6
		row := (horizon - (ground-camera)*s.scale>>16) >> 8
		if row >= top {
			continue
		}
		row = max(row, 0)
		c := m.tone(t, s, tx, x, y)
		m.wall(out[row:top], c, col)
		if col&1 == 0 {
			m.mark(col>>1, row, top, s.deci)
		}
		if top = row; top == 0 {
			break
		}
	}
	return top
}

// wall fills the rows of one texel; a tall one is the side of a tree or house
// and gets darker and rougher toward its foot.
func (m *marcher) wall(out []uint32, c uint32, col int) {
	if len(out) < 3 {
		for i := range out {
			out[i] = c
		}
		return
	}
	fall := min(uint32(12), 360/uint32(len(out)))
	for i := range out {
		n := uint32(m.grain[(i*5&255)<<8|(col*3+int(c))&255])
		k := 256 - min(uint32(i)*fall, 110) - 64 + n>>1
		out[i] = c&0xff00ff*k>>8&0xff00ff | c&0xff00*k>>8&0xff00
	}
}

// slope samples the hills at step k and four steps on.
func (m *marcher) slope(t *terrain, x0, y0 uint32, ux, uy, k int) (hill, rise, span int) {
	a := &m.steps[k]
	hill = t.hillFixed(x0+uint32(ux*a.d>>8), y0+uint32(uy*a.d>>8))
	e := min(k+4, len(m.steps)-1)
	b := &m.steps[e]
	return hill, t.hillFixed(x0+uint32(ux*b.d>>8), y0+uint32(uy*b.d>>8)) - hill, max(e-k, 1)
}

// tone applies tint, near detail and haze to a texel.
func (m *marcher) tone(t *terrain, s *step, c, x, y uint32) uint32 {
	gain := uint32(t.tint[y>>25<<7|x>>25]) << 1
	if s.grain > 0 {
		n := uint32(m.grain[y>>17&255<<8|x>>17&255])
		gain = gain * (256 - s.grain/2 + s.grain*n>>8) >> 8
	}
	gain = gain * s.keep >> 8
	rb := c&0xff00ff*gain + s.hazeR
	g := c&0xff00*gain + s.hazeG
	return rb>>8&0xff00ff | g>>8&0xff00
}

func (m *marcher) mark(col, from, to int, deci uint16) {
	n := (m.h + 1) / 2
	line := m.depth[col*n : (col+1)*n]
	for i := (from + 1) >> 1; i < (to+1)>>1; i++ {
		line[i] = deci
	}
}

// paintSky fills the gradient of the sky by rows above the horizon.
func (m *marcher) paintSky(lk *look) {
	for i := range m.sky {
		u := float32(i) / float32(m.h)
		m.sky[i] = lk.haze.mix(lk.zenith, ramp(0, 0.9, u)).pack()
	}
}

// fillSky paints rows 0…top-1 of a column with sky and clouds.
func (m *marcher) fillSky(v *view, col, top int, cover float32) {
	out := m.cols[col*m.h : (col+1)*m.h]
	horizon := int(v.horizonAt(float64(col)))
	turn := int(v.yaw * 900)
	lowest := 150 - int(float32(70*cover))
	for i := range top {
		e := min(max(horizon-i, 0), len(m.sky)-1)
		c := m.sky[e]
		far := 60000 / (e + 24)
		u := ((col-m.w/2)*far>>11 - turn) >> 2
		n := int(m.cloud[far>>3&255<<8|u&255])
		if a := min((n-lowest)*2, e*3, 200); a > 0 {
			c = mixPacked(c, 0xeef0f2, uint32(a))
		}
		out[i] = c
	}
}

// mixPacked moves pixel c toward d by a/256.
func mixPacked(c, d, a uint32) uint32 {
	rb := c&0xff00ff*(256-a) + d&0xff00ff*a
	g := c&0xff00*(256-a) + d&0xff00*a
	return rb>>8&0xff00ff | g>>8&0xff00
}
