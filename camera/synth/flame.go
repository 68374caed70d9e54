package synth

// torch draws single tongues of flame from scrolling noise.
type torch struct {
	noise []uint8      // 256×256
	width [256]int32   // half width by height, 0…256
	heat  [512]flamePx // colour by heat
}

type flamePx struct{ r, g, b, a int32 }

func newTorch(seed uint64) *torch {
	t := &torch{noise: noiseTile(seed^0x71, 8, 5)}
	for v := range t.width {
		h := float32(v) / 255
		t.width[v] = int32(256 * float32(sqrt(1-h)*(0.72+float32(0.28*ramp(0, 0.25, h)))))
	}
	stops := []struct {
		at float32
		c  vec
		a  float32
	}{
		{0, vec{0.5, 0.1, 0.02}, 0}, {60, vec{0.78, 0.2, 0.04}, 0.45}, {130, vec{1.02, 0.42, 0.06}, 0.85},
		{230, vec{1.2, 0.66, 0.14}, 0.95}, {330, vec{1.35, 0.98, 0.36}, 0.97}, {430, vec{1.45, 1.25, 0.75}, 0.98},
		{511, vec{1.5, 1.4, 1.05}, 1},
	}
	k := 0
	for i := range t.heat {
		for float32(i) > stops[k+1].at {
			k++
		}
		u := (float32(i) - stops[k].at) / (stops[k+1].at - stops[k].at)
		c := stops[k].c.mix(stops[k+1].c, u).scale(255 * 256)
		t.heat[i] = flamePx{int32(c.x), int32(c.y), int32(c.z), int32(float32(256 * lerp(stops[k].a, stops[k+1].a, u)))}
	}
	return t
}

// drawFlame paints one tongue standing on (s.x, s.y).
func (fx *effects) drawFlame(s *sprite, m *marcher) {
	ax, ay, bx, by, ok := fx.box(s.x-s.rx, s.y-s.ry, s.x+s.rx, s.y)
	if !ok {
		return
	}
	t := fx.torch
	ku, kv := int32(65536*256/max(s.rx, 1)), int32(65536*256/max(s.ry, 1))
	fu, fv := max(int32(s.rx*s.depth*0.08), 12), max(int32(s.ry*s.depth*0.05), 16)
	front := newScreen(s.depth, 4)
	rise := s.light[0]
	for y := ay; y < by; y++ {
		v := min(max(int32(s.y-float32(y))*kv>>16, 0), 255)
		ground := m.depthRow(y, ax, bx)
		for x := ax; x < bx; x++ {
			u := int32((float32(x)-s.x)*16) * (ku >> 4) >> 16
			heat := t.burn(u, v, fu, fv, s.phase, rise)
			if heat <= 0 {
				continue
			}
			c := &t.heat[min(heat, 511)]
			a := c.a * s.alpha >> 8 * front.cover(ground[x-ax]) >> 8
			fx.px[y*fx.w+x].burn(c, a)
		}
	}
}

// burn returns the heat at u (-256…256 across) and v (0 foot … 255 tip); fu
// and fv set how fine the turbulence is and rise how far it has scrolled.
func (t *torch) burn(u, v, fu, fv, phase, rise int32) int32 {
	n1 := int32(t.noise[(v*fv>>8+rise)&255<<8|(u*fu>>8+phase)&255]) - 128
	u += n1 * (40 + v) >> 7
	w := t.width[v]
	if u >= w || u <= -w {
		return 0
	}
	n2 := int32(t.noise[(v*fv>>7+rise*2)&255<<8|(u*fu>>7+phase*3)&255]) - 128
	return 300 - max(u, -u)*330/w + n2*2 - v
}

// burn lays a flame pixel on the layer.
func (p *glow) burn(c *flamePx, a int32) {
	t := 256 - a
	p.r = (p.r*t + c.r*a) >> 8
	p.g = (p.g*t + c.g*a) >> 8
	p.b = (p.b*t + c.b*a) >> 8
	p.keep = p.keep * t >> 8
	p.hot = p.hot*t>>8 + a<<8
}
