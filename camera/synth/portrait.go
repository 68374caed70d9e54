package synth

// portrait is a shaded model as a sprite: premultiplied colour and opacity.
type portrait struct {
	w, h    int
	px      []inked
	perUnit float32
	ox, oy  float32 // sprite position of the model's origin
}

// inked is a premultiplied pixel, each 0…255.
type inked struct{ r, g, b, a uint8 }

const tileSide = 12

// paint shades the part of a model inside x0..x1, y0..y1 (model units, y up)
// at perUnit pixels a unit.
func paint(m *model, w *wardrobe, x0, y0, x1, y1, perUnit float32) *portrait {
	s := &portrait{perUnit: perUnit, ox: float32(-x0 * perUnit), oy: float32(y1 * perUnit)}
	s.w, s.h = int((x1-x0)*perUnit), int((y1-y0)*perUnit)
	s.px = make([]inked, s.w*s.h)
	near, around := make([]int, 0, len(m.bones)), make([]int, 0, len(m.bones))
	for ty := 0; ty < s.h; ty += tileSide {
		for tx := 0; tx < s.w; tx += tileSide {
			if near = s.cull(m, near[:0], tx, ty, 0.02); len(near) == 0 {
				continue
			}
			around = s.cull(m, around[:0], tx, ty, 0.31)
			s.tile(&scene{m, w, near, around}, tx, ty)
		}
	}
	return s
}

func (s *portrait) unproject(x, y float32) (mx, my float32) {
	return (x - s.ox) / s.perUnit, (s.oy - y) / s.perUnit
}

// cull lists the bones that can touch a tile, seen along z, with a margin for
// blending or for shadow.
func (s *portrait) cull(m *model, near []int, tx, ty int, margin float32) []int {
	cx, cy := s.unproject(float32(tx)+tileSide/2, float32(ty)+tileSide/2)
	margin += float32(tileSide*0.71) / s.perUnit
	for i := range m.bones {
		flat := m.bones[i]
		flat.a.z, flat.b.z = 0, 0
		if d, _ := flat.reach(vec{cx, cy, 0}); d < margin+flat.fuse {
			near = append(near, i)
		}
	}
	return near
}

// scene is what the rays of one tile can meet: near holds the bones under the
// tile, around those that can shade it.
type scene struct {
	m            *model
	w            *wardrobe
	near, around []int
}

func (s *portrait) tile(sc *scene, tx, ty int) {
	for y := ty; y < min(ty+tileSide, s.h); y++ {
		for x := tx; x < min(tx+tileSide, s.w); x++ {
			mx, my := s.unproject(float32(x)+0.5, float32(y)+0.5)
			s.px[y*s.w+x] = s.pixel(sc, vec{mx, my, 0.9})
		}
	}
}

// pixel traces one ray along -z. Rays that graze the surface get a partial
// opacity, which smooths the outline.
func (s *portrait) pixel(sc *scene, p vec) inked {
	m, w, near := sc.m, sc.w, sc.near
	soft := 0.9 / s.perUnit
	closest := float32(9)
	var at vec
	for range 48 {
		d := m.field(p, near)
		if d < closest {
			closest, at = d, p
		}
		if d < 0.0015 {
			closest = 0
			break
		}
		if p.z < -0.9 {
			break
		}
		p.z -= float32(d * 0.9)
	}
	if closest > soft {
		return inked{}
	}
	n := m.normal(at, near)
	b, t := m.nearest(at, near)
	c := w.albedo(m, b, t, at, n)
	open := m.ambient(at, n, sc.around, 0.03)
	lit := m.sunlit(at.add(n.scale(0.006)), w.light, sc.around, 0.3)
	c = w.shade(c, n, open, lit, gloss(b))
	a := 1 - ramp(0, soft, closest)
	return inked{level(float32(c.x * a)), level(float32(c.y * a)), level(float32(c.z * a)), level(a)}
}

func gloss(b *bone) float32 {
	switch b.skin {
	case cloth, hair, vest:
		return 0.02
	}
	return 0.13
}

// soften blurs the sprite with a box of 2r+1 pixels, rows then columns.
func (s *portrait) soften(r int) {
	line := make([]inked, max(s.w, s.h))
	for y := range s.h {
		boxBlur(s.px[y*s.w:], 1, s.w, r, line)
	}
	for x := range s.w {
		boxBlur(s.px[x:], s.w, s.h, r, line)
	}
}

// boxBlur averages n pixels that lie step apart over windows of 2r+1.
func boxBlur(px []inked, step, n, r int, line []inked) {
	for i := range n {
		line[i] = px[i*step]
	}
	for i := range n {
		var sum [4]int
		for k := i - r; k <= i+r; k++ {
			if k >= 0 && k < n {
				p := line[k]
				sum = [4]int{sum[0] + int(p.r), sum[1] + int(p.g), sum[2] + int(p.b), sum[3] + int(p.a)}
			}
		}
		w := 2*r + 1
		px[i*step] = inked{uint8(sum[0] / w), uint8(sum[1] / w), uint8(sum[2] / w), uint8(sum[3] / w)}
	}
}
