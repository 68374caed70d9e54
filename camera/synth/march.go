package synth

import "math"

// marcher draws terrain and sky column by column, from near to far, and keeps
// the depth of every second pixel for the sprites.
type marcher struct {
	w, h  int
	cols  []uint32 // column-major packed pixels, w columns of h
	stand []uint16 // column-major depth, (w+1)/2 columns of (h+1)/2, decimetres
	depth []uint16 // the same by rows, as wide and high as the effects layer
	steps []step
	sky   []uint32 // sky colour by rows above the horizon
	cloud []uint8  // 256×256 noise
	grain []uint8  // 256×256 noise, near detail
}

// step is one sampling distance, shared by all columns of a frame.
type step struct {
	d                 int      // metres/256
	scale             int      // pixels per metre, 16.16
	texels            []uint32 // the mip level
	shift, bits, mask uint32
	keep              uint32 // 256 minus the haze
	hazeR             uint32 // haze, premultiplied: red and blue
	hazeG             uint32 // haze, premultiplied: green
	grain             uint32 // strength of near detail, 0…256
	deci              uint16 // depth in decimetres
}

const (
	farMetres = 3600
	block     = 8 // steps between samples of the hills
)

func newMarcher(w, h int, seed uint64) *marcher {
	return &marcher{
		w: w, h: h,
		cols:  make([]uint32, w*h),
		stand: make([]uint16, (w+1)/2*((h+1)/2)),
		depth: make([]uint16, ((w+1)/2+1)*((h+1)/2+1)),
		steps: make([]step, 0, 1024),
		sky:   make([]uint32, h+h/2+64),
		cloud: noiseTile(seed^0x51, 4, 6),
		grain: noiseTile(seed^0x52, 32, 4),
	}
}

// draw renders the ground and sky seen by v into m.cols and m.depth.
func (m *marcher) draw(t *terrain, lk *look, v *view) {
	m.plan(t, lk, v)
	m.paintSky(lk)
	clear(m.stand)
	for col := range m.w {
		top := m.column(t, v, col)
		m.fillSky(v, col, top, lk.cloud)
	}
}

// layDepth turns the depth into rows; the last column and row are repeated.
func (m *marcher) layDepth() {
	w, h := (m.w+1)/2, (m.h+1)/2
	for y := range h + 1 {
		line := m.depth[y*(w+1) : (y+1)*(w+1)]
		for x := range line {
			line[x] = m.stand[min(x, w-1)*h+min(y, h-1)]
		}
	}
}

// depthRow is columns from…to-1 of row y of the depth, in decimetres, 0 in
// the sky.
func (m *marcher) depthRow(y, from, to int) []uint16 {
	w := (m.w+1)/2 + 1
	return m.depth[y*w+from : y*w+to]
}

// plan chooses the sampling distances: about a row apart nearby, a fixed
// share of the distance further out.
func (m *marcher) plan(t *terrain, lk *look, v *view) {
	m.steps = m.steps[:0]
	alt := v.z - v.ground
	rows := math.Max(float64(v.h)-v.horizon, 20)
	d := math.Max(alt*v.focal/rows*0.55, 3)
	for d < farMetres || len(m.steps)%block != 1 {
		m.steps = append(m.steps, newStep(t, lk, v, d))
		d += math.Min(math.Max(d*d*1.15/(alt*v.focal), 0.2), d*0.011)
	}
}

func newStep(t *terrain, lk *look, v *view, d float64) step {
	mip := uint32(0)
	for span := 2 * texel * v.focal; span < d && mip < mapMips-1; span *= 2 {
		mip++
	}
	haze := uint32(float32(256 * (1 - exp(-d/float64(lk.hazeMetres)))))
	c := lk.haze.pack()
	grain := math.Max(1-d/220, 0) * 110
	return step{
		d: int(d * 256), scale: int(v.focal / d * 65536),
		texels: t.mips[mip], shift: 22 - 3 + mip, bits: mapBits - mip, mask: (mapSize - 1) >> mip,
		keep: 256 - haze, hazeR: c & 0xff00ff * haze, hazeG: c & 0xff00 * haze,
		grain: uint32(grain), deci: uint16(d * 10),
	}
}

// ray is one column's line over the ground.
type ray struct {
	x, y    uint32 // camera, in world coordinates
	ux, uy  int    // world coordinates per metre
	camera  int    // height of the camera, metres/256
	horizon int    // row of the horizon, rows*256
}

func newRay(v *view, col int) ray {
	side := (float64(col) + 0.5 - float64(float64(v.w)/2)) / v.focal
	const unit = (1 << 32) / worldLen
	return ray{
		x: worldFixed(v.x), y: worldFixed(v.y),
		ux:     int((v.fx + float64(side*v.fy)) * unit),
		uy:     int((v.fy - float64(side*v.fx)) * unit),
		camera: int(v.z * 256), horizon: int(v.horizonAt(float64(col)) * 256),
	}
}

// at returns the world coordinates d metres/256 along the ray.
func (r *ray) at(d int) (x, y uint32) {
	return r.x + uint32(r.ux*d>>8), r.y + uint32(r.uy*d>>8)
}

// column marches one column and returns the first row that is not sky. The
// hills are sampled once a block and interpolated inside it.
func (m *marcher) column(t *terrain, v *view, col int) int {
	r := newRay(v, col)
	out := m.cols[col*m.h : (col+1)*m.h]
	top := m.h
	next := t.hillFixed(r.at(m.steps[0].d))
	for k := 0; k+block < len(m.steps) && top > 0; k += block {
		hill := next
		next = t.hillFixed(r.at(m.steps[k+block].d))
		rise := (next - hill) / block
		for i := k; i < k+block; i++ {
			s := &m.steps[i]
			x, y := r.at(s.d)
			tx := s.texels[y>>s.shift&s.mask<<s.bits|x>>s.shift&s.mask]
			ground := hill + int(tx>>24)<<6
			hill += rise
			row := (r.horizon - (ground-r.camera)*s.scale>>16) >> 8
			if row >= top {
				continue
			}
			row = max(row, 0)
			m.wall(out[row:top], m.tone(t, s, tx, x, y), col)
			if col&1 == 0 {
				m.mark(col>>1, row, top, s.deci)
			}
			if top = row; top == 0 {
				break
			}
		}
	}
	return top
}

// wall fills the rows of one texel; a tall one is the side of a tree or house
// and gets darker and rougher toward its foot.
func (m *marcher) wall(out []uint32, c uint32, col int) {
	if len(out) < 5 {
		for i := range out {
			out[i] = c
		}
		return
	}
	fall := min(uint32(12), 360/uint32(len(out)))
	for i := range out {
		n := uint32(m.grain[(i*5&255)<<8|(col*3+int(c))&255])
		k := 256 - min(uint32(i)*fall, 100) - 72 + n>>2
		out[i] = c&0xff00ff*k>>8&0xff00ff | c&0xff00*k>>8&0xff00
	}
}

// tone applies tint, near detail and haze to a texel.
func (m *marcher) tone(t *terrain, s *step, c, x, y uint32) uint32 {
	gain := uint32(t.tint[y>>25<<7|x>>25]) << 1
	if s.grain > 0 {
		n := uint32(m.grain[y>>17&255<<8|x>>17&255])
		gain = gain * (256 - s.grain + s.grain*n>>8) >> 8
	}
	gain = gain * s.keep >> 8
	rb := c&0xff00ff*gain + s.hazeR
	g := c&0xff00*gain + s.hazeG
	return rb>>8&0xff00ff | g>>8&0xff00
}

func (m *marcher) mark(col, from, to int, deci uint16) {
	n := (m.h + 1) / 2
	line := m.stand[col*n : (col+1)*n]
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
