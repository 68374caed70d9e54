package synth

// look is everything about a seed that is chosen once: season, light, wind
// and the make-up of the ground. Colours are 0..1 as a camera would record
// them under white light of unit strength.
type look struct {
	sun                vec // unit vector toward the sun
	sunlight, skylight vec
	haze               vec     // colour of the far distance
	zenith             vec     // colour of the sky overhead
	hazeMetres         float32 // distance at which 63 % of the contrast is gone
	cloud              float32 // 0 clear … 1 overcast
	grass, soil        vec
	gravel, asphalt    vec
	water              vec
	leaf               [2]vec
	crops, roofs       []vec
	dryness            float32 // 0 lush … 1 parched
	forestFrom         float32 // forest noise above this is wooded
	crown, tall        [2]float32
	broad              float32 // 0 conifers … 1 broad leaves
	hills              float32 // metres between valley and top
	riverWidth         float32 // metres, half
	hamlets            int
	wind               vec     // metres per second, away from the flight's start
	soot               float32 // 0 white smoke … 1 dark smoke
	heading            float32 // radians, flight direction
	exposure           float32
}

// newLook draws the look of a seed.
func newLook(seed uint64) look {
	r := newRNG(seed, 7)
	l := look{
		heading: r.between(0.35, 1.2) + float32(1.5708*float32(r.below(4))),
		crops: []vec{{0.46, 0.44, 0.22}, {0.38, 0.43, 0.17}, {0.55, 0.47, 0.31},
			{0.30, 0.38, 0.16}, {0.36, 0.27, 0.19}},
		roofs: []vec{{0.55, 0.27, 0.20}, {0.42, 0.40, 0.39}, {0.36, 0.27, 0.22},
			{0.60, 0.58, 0.55}, {0.48, 0.22, 0.15}},
		gravel:  vec{0.56, 0.51, 0.43},
		asphalt: vec{0.36, 0.36, 0.37},
	}
	l.weather(r)
	l.vegetation(r)
	l.relief(r)
	return l
}

func (l *look) weather(r *rng) {
	l.cloud = r.between(0, 1)
	azimuth := float64(l.heading + r.between(-2.4, 2.4))
	elevation := float64(r.between(0.5, 1.05))
	l.sun = vec{float32(cos(azimuth) * cos(elevation)), float32(sin(azimuth) * cos(elevation)), sin(elevation)}
	warm := r.between(0, 1)
	sun := vec{1.25, 1.17, 1.02}.mix(vec{1.3, 1.08, 0.82}, warm)
	l.sunlight = sun.scale(1.08 - float32(0.5*l.cloud))
	l.skylight = vec{0.40, 0.45, 0.53}.mix(vec{0.72, 0.74, 0.77}, l.cloud)
	l.haze = vec{0.70, 0.77, 0.85}.mix(vec{0.80, 0.81, 0.82}, l.cloud)
	l.zenith = vec{0.33, 0.52, 0.78}.mix(vec{0.66, 0.69, 0.73}, l.cloud)
	l.hazeMetres = r.between(900, 2600)
	blow := float64(l.heading + r.between(-1.7, 1.7))
	speed := r.between(1, 4.5)
	l.wind = vec{float32(speed * cos(blow)), float32(speed * sin(blow)), 0}
	l.soot = r.unit()
	l.exposure = r.between(0.95, 1.15)
}

func (l *look) vegetation(r *rng) {
	l.dryness = r.between(0.2, 0.85)
	l.grass = vec{0.34, 0.40, 0.18}.mix(vec{0.47, 0.43, 0.24}, float32(l.dryness*r.unit()))
	l.soil = vec{0.50, 0.41, 0.29}.mix(vec{0.58, 0.46, 0.34}, r.unit())
	l.broad = ramp(0.3, 0.7, r.unit())
	green := vec{0.20, 0.29, 0.12}.mix(vec{0.19, 0.28, 0.16}, 1-l.broad)
	bright := vec{0.33, 0.40, 0.16}.mix(vec{0.30, 0.38, 0.21}, 1-l.broad)
	if r.unit() < 0.15 {
		bright = vec{0.48, 0.36, 0.15} // autumn
	}
	l.leaf = [2]vec{green, bright}
	l.forestFrom = r.between(0.42, 0.6)
	l.crown = [2]float32{lerp(4, 5.5, l.broad), lerp(6.5, 10, l.broad)}
	l.tall = [2]float32{8, lerp(20, 15, l.broad)}
}

func (l *look) relief(r *rng) {
	l.hills = r.between(60, 170)
	l.riverWidth = r.between(2, 11)
	l.water = vec{0.16, 0.22, 0.22}.mix(vec{0.26, 0.34, 0.38}, r.unit())
	l.hamlets = r.below(5)
}
