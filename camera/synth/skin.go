package synth

// wardrobe is how one person looks: colours 0..1, light in picture space.
type wardrobe struct {
	skin, palm  vec
	cloth, hair vec
	vest        vec
	light       vec // toward the sun; x right, y up, z to the camera
	sun, sky    vec
	bounce      vec // light from below
	cap         bool
	glasses     bool
	vested      bool
	weave       []uint8 // 256×256 noise
}

func newWardrobe(seed uint64, lk *look) wardrobe {
	r := newRNG(seed, 41)
	tones := []vec{{0.90, 0.70, 0.60}, {0.84, 0.62, 0.51}, {0.76, 0.55, 0.43}, {0.66, 0.46, 0.35}, {0.50, 0.34, 0.25}, {0.38, 0.25, 0.19}}
	u := float32(r.unit() * r.between(0.6, 1) * (float32(len(tones)-1) - 0.01))
	skin := tones[int(u)].mix(tones[int(u)+1], u-float32(int(u)))
	fabrics := []vec{{0.16, 0.20, 0.30}, {0.20, 0.22, 0.22}, {0.55, 0.53, 0.50}, {0.30, 0.36, 0.42},
		{0.38, 0.20, 0.18}, {0.24, 0.33, 0.24}, {0.72, 0.72, 0.70}, {0.13, 0.13, 0.14}}
	hairs := []vec{{0.07, 0.06, 0.055}, {0.17, 0.11, 0.075}, {0.33, 0.23, 0.14}, {0.45, 0.44, 0.43}}
	side := float32(1)
	if r.below(2) == 0 {
		side = -1
	}
	return wardrobe{
		skin: skin, palm: skin.mix(vec{0.88, 0.66, 0.57}, 0.35),
		cloth: fabrics[r.below(len(fabrics))], hair: hairs[r.below(len(hairs))],
		vest:  []vec{{0.60, 0.66, 0.18}, {0.58, 0.27, 0.13}}[r.below(2)],
		light: vec{float32(side * r.between(0.25, 0.8)), r.between(0.45, 0.9), r.between(0.45, 0.9)}.unit(),
		sun:   lk.sunlight.scale(0.74), sky: lk.skylight.scale(1.05), bounce: lk.grass.scale(0.35),
		cap: r.below(3) == 0, glasses: r.below(3) == 0, vested: r.below(5) < 2, weave: noiseTile(seed^0x81, 32, 4),
	}
}

// fleck is fine surface noise, -0.5…0.5, at a model point.
func (w *wardrobe) fleck(p vec, scale float32) float32 {
	x, y := int(float32(p.x*scale)+1000), int(float32(p.y*scale)+1000)
	return float32(w.weave[y&255*256+x&255])/255 - 0.5
}

// albedo colours the surface at picture-space point p with normal n.
func (w *wardrobe) albedo(m *model, b *bone, t float32, p, n vec) vec {
	q := m.local(p)
	switch b.skin {
	case cloth:
		return w.cloth.scale(1 + float32(0.22*w.fleck(q, 700)) + float32(0.2*w.fleck(q, 60)))
	case vest:
		return w.vestCloth(q)
	case face:
		return w.faceSkin(q)
	case hair:
		return w.hair.scale(1 + float32(0.7*w.fleck(vec{q.x * 3, q.y * 0.4, 0}, 900)))
	}
	facing := -n.dot(b.back) // 1 on the palm side
	if b.back == (vec{}) {
		facing = n.dot(m.turn[2])
	}
	return w.handSkin(b, t, facing, q, p, n)
}

// handSkin adds nails, creases, the lines of the palm and blotches.
func (w *wardrobe) handSkin(b *bone, t, facing float32, q, p, n vec) vec {
	c := w.skin.mix(w.palm, float32(ramp(-0.3, 0.5, facing)*ramp(-0.4, 0.05, q.y)))
	blotch := w.fleck(q, 90) + float32(0.6*w.fleck(q, 400))
	c = c.times(vec{1 + float32(0.10*blotch), 1 + float32(0.16*blotch), 1 + float32(0.15*blotch)})
	if b.tip {
		c = w.nail(c, b, t, p, n)
		c = c.times(vec{1.02, 0.95, 0.94}.mix(vec{1, 1, 1}, 1-t))
	}
	if b.back == (vec{}) {
		return c
	}
	dark := float32(0)
	if b.skin == palmFlesh {
		dark = palmLines(q) * ramp(0.1, 0.6, facing) * ramp(0.04, 0.14, q.y)
	} else {
		span := b.b.sub(b.a).len()
		wave := float32(0.012 * w.fleck(q, 200))
		dark = crease(float32(t*span)+wave, facing) + float32(crease(float32((1-t)*span)+wave, facing)*0.7)
		if b.tip {
			dark = crease(float32(t*span)+wave, facing)
		}
	}
	return c.times(vec{1 - float32(0.17*dark), 1 - float32(0.24*dark), 1 - float32(0.24*dark)})
}

// crease is the darkness of the folds at a joint, s away from it.
func crease(s, facing float32) float32 {
	line := func(at, wide float32) float32 {
		u := (s - at) / wide
		return 1 / (1 + float32(u*u*u*u))
	}
	if facing > 0 {
		return float32((line(0.004, 0.008) + float32(0.5*line(0.026, 0.006))) * min(facing*2, 1) * 0.8)
	}
	return float32((line(0, 0.007) + line(0.022, 0.006)) * min(-facing*2, 1) * 0.4)
}

// nail paints a pale, slightly pink plate on the back of a fingertip.
func (w *wardrobe) nail(c vec, b *bone, t float32, p, n vec) vec {
	if n.dot(b.back) < 0.6 || t < 0.3 {
		return c
	}
	axis := b.b.sub(b.a).unit()
	side := p.sub(b.a).dot(axis.cross(b.back).unit())
	u, v := side/(b.rb*0.74), (t-0.72)/0.42
	d := float32(u*u*u*u) + float32(v*v*v*v)
	k := 1 - ramp(0.75, 1, d)
	rim := ramp(0.5, 0.85, d) * k
	plate := w.skin.mix(vec{0.93, 0.76, 0.72}, 0.55).scale(1 - float32(0.25*rim))
	return c.mix(plate, k)
}

// palmLines is the darkness of the three great lines at a hand-local point.
func palmLines(q vec) float32 {
	curves := [3][3]vec{
		{{-0.215, 0.40, 0}, {-0.02, 0.36, 0}, {0.10, 0.50, 0}}, // heart
		{{0.225, 0.36, 0}, {0.05, 0.34, 0}, {-0.16, 0.23, 0}},  // head
		{{0.225, 0.36, 0}, {0.03, 0.30, 0}, {0.035, 0.1, 0}},   // life
	}
	dark := float32(0)
	for i := range curves {
		d := bezierDistance(&curves[i], q)
		u, s := d/0.0085, d/0.035
		dark = max(dark, float32(0.62/(1+float32(u*u*u*u)))+float32(0.22/(1+float32(s*s))))
	}
	return float32(dark * (0.8 + float32(0.4*sin(float64(float32(q.x*19)+float32(q.y*31))))))
}

// bezierDistance is how far q is from a quadratic curve, seen along z.
func bezierDistance(c *[3]vec, q vec) float32 {
	best := float32(9)
	prev := c[0]
	for i := 1; i <= 7; i++ {
		u := float32(i) / 7
		p := c[0].mix(c[1], u).mix(c[1].mix(c[2], u), u)
		e, s := p.sub(prev), q.sub(prev)
		e.z, s.z = 0, 0
		t := min(max(s.dot(e)/max(e.dot(e), 1e-9), 0), 1)
		best = min(best, s.sub(e.scale(t)).len())
		prev = p
	}
	return best
}

// shade lights a surface point of colour c.
func (w *wardrobe) shade(c, n vec, open, sunlit float32, wet float32) vec {
	nl := n.dot(w.light)
	direct := float32(max((nl+0.3)/1.3, 0) * sunlit)
	edge := float32(ramp(-0.2, 0.1, nl) * (1 - ramp(0.1, 0.5, nl)) * sunlit) // blood glows at the terminator
	light := w.sun.scale(direct)
	light = light.add(w.sky.scale(float32(open * (0.62 + float32(0.38*n.y)))))
	light = light.add(w.bounce.scale(float32(open * max(0.5-float32(n.y*0.5), 0))))
	light = light.add(vec{0.09, 0.02, 0.01}.scale(edge))
	half := w.light.add(vec{0, 0, 1}).unit()
	s := max(n.dot(half), 0)
	s = float32(s * s)
	s = float32(s * s)
	s = float32(s * s)
	gloss := float32(s * s * wet * sunlit)
	return c.times(light).add(w.sun.scale(gloss))
}
