package synth

// effects is the half-resolution layer of smoke and flames. Light is in
// 1/256 of a picture level, keep in 1/65536 of the background.
type effects struct {
	w, h  int
	px    []glow
	line  []glow // the row being developed, interpolated vertically
	busy  bool   // whether line holds anything
	from  int    // rows from…to-1 hold something
	to    int
	puffs *puffAtlas
	torch *torch
}

// glow is one pixel of the layer. hot is the visible part of flames and veil
// that of smoke, both in 1/65536.
type glow struct{ r, g, b, keep, hot int32 }

func newEffects(w, h int, seed uint64) *effects {
	fx := &effects{w: (w+1)/2 + 1, h: (h+1)/2 + 1, puffs: newPuffAtlas(seed), torch: newTorch(seed)}
	fx.px = make([]glow, fx.w*fx.h)
	fx.line = make([]glow, fx.w+1)
	fx.to = fx.h
	fx.reset()
	return fx
}

// reset clears what the last frame drew.
func (fx *effects) reset() {
	for i := fx.from * fx.w; i < fx.to*fx.w; i++ {
		fx.px[i] = glow{keep: 65536}
	}
	fx.from, fx.to = fx.h, 0
}

// lineUp prepares fx.line for picture row y.
func (fx *effects) lineUp(y int) {
	k := y >> 1
	fx.busy = k+1 >= fx.from && k < fx.to
	if !fx.busy {
		return
	}
	a := fx.px[k*fx.w : (k+1)*fx.w]
	if y&1 == 0 {
		copy(fx.line, a)
		return
	}
	b := fx.px[(k+1)*fx.w : (k+2)*fx.w]
	for i := range a {
		p, q := &a[i], &b[i]
		fx.line[i] = glow{(p.r + q.r) >> 1, (p.g + q.g) >> 1, (p.b + q.b) >> 1, (p.keep + q.keep) >> 1, 0}
	}
}

// areas returns the shares of the picture covered by visible flames and by
// smoke. Thin wisps under an eighth of full cover do not count.
func (fx *effects) areas() (fire, smoke float64) {
	hot, veil := 0, 0
	for y := max(fx.from, 0); y < min(fx.to, fx.h-1); y++ {
		for x := range fx.w - 1 {
			p := &fx.px[y*fx.w+x]
			if p.hot > 65536/4 {
				hot++
			} else if 65536-p.keep > 65536/5 {
				veil++
			}
		}
	}
	n := float64((fx.w - 1) * (fx.h - 1))
	return float64(hot) / n, float64(veil) / n
}

// sprite is one soft thing to draw, in half-resolution pixels.
type sprite struct {
	x, y, depth float32 // centre (flames: foot), metres from the camera
	rx, ry      float32 // half width; half height (flames: height)
	alpha       int32   // 0…256
	dark, light [3]int32
	kind        uint8
	variant     uint8
	phase       int32
}

// The kinds of sprite.
const (
	puffSprite uint8 = iota
	flameSprite
	glowSprite
	emberSprite
)

// box clips a sprite to the layer and widens the dirty rows.
func (fx *effects) box(x0, y0, x1, y1 float32) (ax, ay, bx, by int, ok bool) {
	ax, ay = max(int(x0), 0), max(int(y0), 0)
	bx, by = min(int(x1)+1, fx.w), min(int(y1)+1, fx.h)
	if ax >= bx || ay >= by || x1 < 0 || y1 < 0 {
		return 0, 0, 0, 0, false
	}
	fx.from, fx.to = min(fx.from, ay), max(fx.to, by)
	return ax, ay, bx, by, true
}

// draw paints one sprite; m tells what stands in front of it.
func (fx *effects) draw(s *sprite, m *marcher) {
	switch s.kind {
	case puffSprite:
		fx.drawPuff(s, m)
	case flameSprite:
		fx.drawFlame(s, m)
	case glowSprite:
		fx.drawGlow(s)
	case emberSprite:
		fx.drawEmber(s, m)
	}
}

// screen fades a sprite where it meets the ground: depth deci, over a band
// whose inverse width is slope (256/decimetres, 8.8).
type screen struct{ near, slope int32 }

func newScreen(depth, softMetres float32) screen {
	soft := max(int32(softMetres*10), 20)
	return screen{near: int32(depth*10) - soft, slope: 256 * 128 / soft}
}

// cover returns how much of the sprite is in front of the ground, 0…256.
func (s screen) cover(ground uint16) int32 {
	d := int32(ground) - s.near
	if ground == 0 || d*s.slope >= 65536 {
		return 256
	}
	return max(d*s.slope>>8, 0)
}

func (fx *effects) drawPuff(s *sprite, m *marcher) {
	ax, ay, bx, by, ok := fx.box(s.x-s.rx, s.y-s.ry, s.x+s.rx, s.y+s.ry)
	if !ok {
		return
	}
	const side = puffSide << 16
	du, dv := int(side/(2*s.rx)), int(side/(2*s.ry))
	u0 := int((float32(ax) - (s.x - s.rx)) * float32(du))
	v0 := int((float32(ay) - (s.y - s.ry)) * float32(dv))
	front := newScreen(s.depth, float32(s.rx*s.depth*0.002))
	cells := fx.puffs.cells[s.variant]
	for y := ay; y < by; y++ {
		v := min(max(v0+(y-ay)*dv, 0)>>16, puffSide-1)
		row := cells[v*puffSide : (v+1)*puffSide]
		ground, px := m.depthRow(y, ax, bx), fx.px[y*fx.w+ax:y*fx.w+bx]
		u := u0
		for x := range px {
			p := row[min(max(u, 0)>>16, puffSide-1)]
			u += du
			a := int32(p.alpha) * s.alpha >> 8
			if a > 2 {
				px[x].over(a*front.cover(ground[x])>>8, int32(p.shade), s)
			}
		}
	}
}

// over lays a smoke pixel of opacity a (0…256) on the layer.
func (p *glow) over(a, shade int32, s *sprite) {
	t := 256 - a
	p.r = (p.r*t + (s.dark[0]+(s.light[0]-s.dark[0])*shade>>8)*a) >> 8
	p.g = (p.g*t + (s.dark[1]+(s.light[1]-s.dark[1])*shade>>8)*a) >> 8
	p.b = (p.b*t + (s.dark[2]+(s.light[2]-s.dark[2])*shade>>8)*a) >> 8
	p.keep = p.keep * t >> 8
	p.hot = p.hot * t >> 8
}

func (fx *effects) drawGlow(s *sprite) {
	ax, ay, bx, by, ok := fx.box(s.x-s.rx, s.y-s.ry, s.x+s.rx, s.y+s.ry)
	if !ok {
		return
	}
	kx, ky := 256/s.rx, 256/s.ry
	for y := ay; y < by; y++ {
		v := int32((float32(y) - s.y) * ky)
		for x := ax; x < bx; x++ {
			u := int32((float32(x) - s.x) * kx)
			d := 65536 - u*u - v*v
			if d <= 0 {
				continue
			}
			d = d >> 8 * (d >> 8) >> 8 * s.alpha >> 8
			p := &fx.px[y*fx.w+x]
			p.r += s.light[0] * d >> 8
			p.g += s.light[1] * d >> 8
			p.b += s.light[2] * d >> 8
		}
	}
}

func (fx *effects) drawEmber(s *sprite, m *marcher) {
	ax, ay, _, _, ok := fx.box(s.x, s.y, s.x+1, s.y+1)
	if !ok || ax >= fx.w-1 {
		return
	}
	if g := m.depthRow(ay, ax, ax+1)[0]; g != 0 && int32(g) < int32(s.depth*10) {
		return
	}
	p := &fx.px[ay*fx.w+ax]
	p.r += s.light[0] * s.alpha >> 8
	p.g += s.light[1] * s.alpha >> 8
	p.b += s.light[2] * s.alpha >> 8
}
