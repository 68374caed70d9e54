package synth

// newBody builds head, torso and the upper arm of the raised hand, in metres
// from the chin; the arm is raised on the right of the picture.
func newBody(r *rng, w *wardrobe) *model {
	m := &model{}
	m.head(w)
	m.torso(w)
	return m.turned(float64(r.between(-12, 12))*degree, float64(r.between(-6, 8))*degree, float64(r.between(-4, 4))*degree)
}

func (m *model) head(w *wardrobe) {
	top := hair
	if w.cap {
		top = cloth // a knitted cap
	}
	m.bones = append(m.bones,
		bone{a: vec{0, -0.12, -0.03}, b: vec{0, 0.02, -0.02}, ra: 0.062, rb: 0.056, fuse: 0.01},
		bone{a: vec{0, 0.10, -0.01}, b: vec{0, 0.125, -0.02}, ra: 0.083, rb: 0.088, fuse: 0.02, skin: face},
		bone{a: vec{0, 0.055, 0.022}, b: vec{0, -0.012, 0.038}, ra: 0.068, rb: 0.04, fuse: 0.06, skin: face},
		bone{a: vec{-0.035, 0.05, 0.04}, b: vec{0.035, 0.05, 0.04}, ra: 0.045, rb: 0.045, fuse: 0.05, skin: face},
		bone{a: vec{0, 0.078, 0.084}, b: vec{0, 0.04, 0.1}, ra: 0.009, rb: 0.013, fuse: 0.025, skin: face},
		bone{a: vec{-0.035, 0.097, 0.062}, b: vec{0.035, 0.097, 0.062}, ra: 0.014, rb: 0.014, fuse: 0.025, skin: face},
		bone{a: vec{-0.086, 0.075, -0.015}, b: vec{-0.082, 0.05, -0.01}, ra: 0.017, rb: 0.012, fuse: 0.01},
		bone{a: vec{0.086, 0.075, -0.015}, b: vec{0.082, 0.05, -0.01}, ra: 0.017, rb: 0.012, fuse: 0.01},
		bone{a: vec{0, 0.145, -0.03}, b: vec{0, 0.16, -0.012}, ra: 0.089, rb: 0.078, fuse: 0.008, skin: top},
		bone{a: vec{0, 0.07, -0.05}, b: vec{0, 0.12, -0.05}, ra: 0.082, rb: 0.088, fuse: 0.01, skin: hair},
	)
}

func (m *model) torso(w *wardrobe) {
	front := cloth
	if w.vested {
		front = vest
	}
	m.bones = append(m.bones,
		bone{a: vec{0, -0.09, -0.04}, b: vec{-0.16, -0.17, -0.03}, ra: 0.05, rb: 0.062, fuse: 0.01, skin: cloth},
		bone{a: vec{0, -0.09, -0.04}, b: vec{0.16, -0.17, -0.03}, ra: 0.05, rb: 0.062, fuse: 0.03, skin: cloth},
		bone{a: vec{-0.085, -0.27, -0.02}, b: vec{-0.08, -1.1, -0.02}, ra: 0.125, rb: 0.13, fuse: 0.06, skin: front},
		bone{a: vec{0.085, -0.27, -0.02}, b: vec{0.08, -1.1, -0.02}, ra: 0.125, rb: 0.13, fuse: 0.08, skin: front},
		bone{a: vec{-0.19, -0.19, -0.02}, b: vec{-0.25, -0.50, 0}, ra: 0.066, rb: 0.054, fuse: 0.03, skin: cloth},
		bone{a: vec{-0.25, -0.50, 0}, b: vec{-0.24, -0.8, 0.06}, ra: 0.054, rb: 0.045, fuse: 0.02, skin: cloth},
		bone{a: vec{0.19, -0.19, -0.02}, b: vec{0.29, -0.42, 0.1}, ra: 0.066, rb: 0.056, fuse: 0.03, skin: cloth},
		bone{a: vec{0.29, -0.42, 0.1}, b: vec{0.25, -0.2, 0.3}, ra: 0.056, rb: 0.047, fuse: 0.02, skin: cloth},
	)
}

// faceSkin paints eyes, brows, mouth and flush on the head; q is in metres
// from the chin.
func (w *wardrobe) faceSkin(q vec) vec {
	c := w.skin.scale(1 + float32(0.07*w.fleck(q, 500)))
	x := max(q.x, -q.x)
	oval := func(cx, cy, rx, ry float32) float32 {
		u, v := (x-cx)/rx, (q.y-cy)/ry
		return 1 - ramp(0.7, 1.1, float32(u*u)+float32(v*v))
	}
	if q.z < 0.02 {
		return c
	}
	flush := oval(0.042, 0.04, 0.03, 0.025)
	c = c.times(vec{1 + float32(0.03*flush), 1 - float32(0.06*flush), 1 - float32(0.06*flush)})
	c = c.mix(w.skin.times(vec{0.72, 0.5, 0.48}), oval(0, 0.008, 0.027, 0.009)*0.7)
	c = c.mix(vec{0.12, 0.06, 0.05}, oval(0, 0.009, 0.024, 0.0022)*0.7)
	c = c.mix(w.hair.scale(0.8), oval(0.034, 0.097, 0.021, 0.006)*0.8)
	if w.glasses {
		return c.mix(vec{0.05, 0.05, 0.06}, max(oval(0.036, 0.074, 0.031, 0.022), oval(0, 0.08, 0.02, 0.004)))
	}
	c = c.scale(1 - float32(0.3*oval(0.034, 0.078, 0.022, 0.014)))
	c = c.mix(vec{0.6, 0.57, 0.55}, oval(0.034, 0.075, 0.013, 0.005))
	return c.mix(vec{0.06, 0.04, 0.03}, oval(0.034, 0.076, 0.0065, 0.006))
}

// vestCloth is high-visibility fabric with two reflecting bands.
func (w *wardrobe) vestCloth(q vec) vec {
	c := w.vest.scale(1 + float32(0.15*w.fleck(q, 300)))
	band := max(1-ramp(0.018, 0.024, dist(q.y, -0.29)), 1-ramp(0.018, 0.024, dist(q.y, -0.47)))
	if q.y > 0 {
		band = 0
	}
	return c.mix(vec{0.75, 0.76, 0.76}, band)
}

func dist(a, b float32) float32 { return max(a-b, b-a) }
