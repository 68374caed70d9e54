package synth

import (
	"math"
	"slices"
)

// blaze is the fire of a flight: where it burns and how its smoke drifts. Its
// sprites for a moment depend on that moment only.
type blaze struct {
	seed    uint64
	at      vec     // foot of the fire, metres
	across  vec     // unit vector along the fire line
	away    vec     // unit vector from the first sight of it onward
	side    float32 // of the fire line that faces the sun, -1…1
	look    look
	tongues []tongue
	sprites []sprite
}

// tongue is one seat of flames.
type tongue struct {
	foot       vec
	along      float32 // -1…1 along the fire line
	tall, wide float32 // metres
	rate       float32 // flicker, radians per second
	phase      int32
}

const (
	puffsPerSecond = 24
	puffLife       = 13.0 // seconds
	fireHalfWidth  = 22   // metres
	tongues        = 46
)

// site is where the script puts the fire, in metres.
func (f *Flight) site() (at [2]float64, away vec) {
	sc := &f.opt.Script
	yaw := float64(f.look.heading) - float64(sc.at(sc.FireSeconds).Yaw*degree)
	away = vec{cos(yaw), sin(yaw), 0}
	ax, ay := float64(away.x), float64(away.y)
	along := sc.travelled(sc.FireSeconds)
	at[0] = f.startX + float64(along*f.alongX) + float64(ax*sc.FireAhead) + float64(ay*sc.FireRight)
	at[1] = f.startY + float64(along*f.alongY) + float64(ay*sc.FireAhead) - float64(ax*sc.FireRight)
	return at, away
}

func (f *Flight) newBlaze() *blaze {
	b := &blaze{seed: f.seed ^ 0xb1a2e, look: f.look, sprites: make([]sprite, 0, 1024)}
	at, away := f.site()
	b.at = vec{float32(at[0]), float32(at[1]), float32(f.ground.bare(at[0], at[1]))}
	b.away, b.across = away, vec{away.y, -away.x, 0}
	b.side = b.across.dot(f.look.sun)
	b.light(f)
	return b
}

// light sets out the seats of fire along a ragged line.
func (b *blaze) light(f *Flight) {
	r := newRNG(b.seed, 1)
	for range tongues {
		u := r.unit() + r.unit() + r.unit() - 1.5 // about -1.5…1.5, dense in the middle
		along := float32(u * 0.75)
		deep := r.between(-7, 7) + float32(8*float32(along*along))
		p := b.at.add(b.across.scale(float32(along * fireHalfWidth))).add(b.away.scale(deep))
		p.z = float32(f.ground.bare(float64(p.x), float64(p.y)))
		size := (1 - float32(0.55*float32(along*along))) * r.between(0.45, 1)
		b.tongues = append(b.tongues, tongue{
			foot: p, along: along, tall: float32(19 * size), wide: float32(r.between(3.4, 6.0) * (0.5 + float32(0.5*size))),
			rate: r.between(5, 11), phase: int32(r.below(4096)),
		})
	}
}

// gather lists the sprites of a moment, farthest first.
func (b *blaze) gather(f *Flight, v *view) []sprite {
	b.sprites = b.sprites[:0]
	b.smoke(f, v)
	if v.fire > 0.01 {
		b.flames(v)
		b.embers(v)
	}
	slices.SortFunc(b.sprites, func(p, q sprite) int {
		switch {
		case p.depth > q.depth:
			return -1
		case p.depth < q.depth:
			return 1
		}
		return int(p.phase) - int(q.phase)
	})
	return b.sprites
}

// smoke emits puffs at a steady rate; each remembers how strong the smoke was
// when it was born.
func (b *blaze) smoke(f *Flight, v *view) {
	first := int(math.Ceil(max((v.t-puffLife), 0) * puffsPerSecond))
	last := int(math.Floor(v.t * puffsPerSecond))
	for i := first; i <= last; i++ {
		born := float64(i) / puffsPerSecond
		p := f.script.at(born)
		if p.Smoke > 0.02 {
			b.puff(v, uint64(i), float32(v.t-born), float32(p.Smoke), float32(p.Fire))
		}
	}
}

// puff places one billow of the given age and strength.
func (b *blaze) puff(v *view, i uint64, age, strength, fire float32) {
	h := func(k uint64) float32 { return hashUnit(b.seed+k, i) }
	spread := float32(float32((h(1)+h(2)-1)*fireHalfWidth) * (0.25 + float32(0.6*strength)))
	rise := float32((6.4+float32(3.2*h(3)))*age) * (0.75 + float32(0.4*strength))
	rise = float32(rise * (1 - float32(0.016*age)))
	wobble := float32(age * 1.1 * sin(float64(age*0.9)+float64(h(4)*6.28)))
	p := b.at.add(b.across.scale(spread + wobble)).add(b.away.scale(float32((h(5) - 0.3) * 10)))
	drift := float32(age * min(0.25+float32(age*0.14), 1.3))
	p = p.add(b.look.wind.scale(drift))
	p.z += 2 + rise
	x, y, d := v.project(p)
	if d < 4 {
		return
	}
	radius := (3.2 + float32(1.0*age) + float32((1.6+float32(0.6*age))*h(6))) * (0.45 + float32(0.6*strength))
	r := float32(radius*float32(v.focal)) / d / 2
	fade := ramp(0, 0.9, age) * (1 - ramp(puffLife*0.55, puffLife, age)) * ramp(4, 14, d)
	s := sprite{
		x: x / 2, y: y / 2, depth: d, rx: r, ry: float32(r * (0.85 + float32(0.3*h(7)))),
		alpha: int32(float32(fade * (80 + float32(110*strength)))), kind: puffSprite,
		variant: uint8(i * 7 % puffVariants), phase: int32(i & 0xffff),
	}
	s.dark, s.light = b.smokeColour(age, strength, fire, float32(v.fire), d, 0.5+float32(b.side*spread)/fireHalfWidth)
	b.sprites = append(b.sprites, s)
}

// smokeColour is lighter where it faces the sun (toSun 1), dirty and fire-lit near the ground, grey-white above.
func (b *blaze) smokeColour(age, strength, fire, now, depth, toSun float32) (dark, light [3]int32) {
	lk := &b.look
	sun := lk.sunlight.scale(0.5).add(lk.skylight.scale(0.86))
	high := ramp(0.5, 5, age)
	soot := vec{0.30, 0.27, 0.25}.mix(vec{0.50, 0.50, 0.51}, high)
	pale := vec{0.70, 0.66, 0.62}.mix(vec{1.06, 1.04, 1.02}, high)
	k := 1.04 - float32(0.36*lk.soot) + float32(0.22*(toSun-0.5)) - float32(0.18*float32(fire*strength))
	d, l := soot.times(sun).scale(k), pale.times(sun).scale(k)
	lit := float32(now * exp(float64(-age)*0.75))
	d = d.add(vec{0.55, 0.20, 0.04}.scale(lit))
	l = l.add(vec{0.42, 0.17, 0.04}.scale(lit))
	far := 1 - exp(-float64(depth)/float64(lk.hazeMetres))
	return layerColour(d.mix(lk.haze, far)), layerColour(l.mix(lk.haze, far))
}

func layerColour(c vec) [3]int32 {
	return [3]int32{int32(c.x * 65280), int32(c.y * 65280), int32(c.z * 65280)}
}

// flames stands the tongues up and lights the ground around them.
func (b *blaze) flames(v *view) {
	level := float32(v.fire)
	for i := range b.tongues {
		t := &b.tongues[i]
		size := ramp(0, 0.55, float32(level*1.5)-float32(max(t.along, -t.along)*0.6))
		if size < 0.03 {
			continue
		}
		beat := 0.86 + float32(0.2*sin(float64(v.t*float64(t.rate))+float64(t.phase))) + float32(0.1*sin(v.t*float64(t.rate)*2.3))
		x, y, d := v.project(t.foot)
		if d < 5 {
			continue
		}
		scale := float32(float32(v.focal) / d / 2)
		lean := float32(b.look.wind.dot(b.across) * 0.2 * t.tall * scale * 0.25)
		b.sprites = append(b.sprites, sprite{
			x: float32(x/2) + lean, y: float32(y/2) + scale, depth: d, rx: float32(t.wide * scale * (0.4 + float32(0.6*size))),
			ry: float32(t.tall * scale * size * beat), alpha: 250, kind: flameSprite, phase: t.phase,
			light: [3]int32{int32(v.t * float64(t.rate) * 14)},
		})
		if i%4 == 0 {
			b.halo(float32(x/2), float32(y/2), d, scale, float32(level*size*beat))
		}
	}
}

// halo is the light a seat of fire throws on its surroundings.
func (b *blaze) halo(x, y, d, scale, k float32) {
	b.sprites = append(b.sprites, sprite{
		x: x, y: y - float32(4*scale), depth: d + 6, rx: float32(17 * scale), ry: float32(11 * scale),
		alpha: int32(float32(20 * k)), kind: glowSprite, light: layerColour(vec{1, 0.42, 0.08}),
	})
}

// embers are sparks that rise and die within two seconds.
func (b *blaze) embers(v *view) {
	const perSecond, life = 34, 2.0
	for i := int(math.Ceil(max(v.t-life, 0) * perSecond)); i <= int(math.Floor(v.t*perSecond)); i++ {
		age := float32(v.t - float64(i)/perSecond)
		h := func(k uint64) float32 { return hashUnit(b.seed+90+k, uint64(i)) }
		p := b.at.add(b.across.scale(float32((h(1) + h(2) - 1) * fireHalfWidth)))
		p = p.add(b.look.wind.scale(float32(age * 1.4))).add(b.across.scale(float32(2 * sin(float64(age*7)+float64(h(3)*6)))))
		p.z += 4 + float32(12*h(4)) + float32(9*age)
		x, y, d := v.project(p)
		if d < 5 {
			continue
		}
		b.sprites = append(b.sprites, sprite{
			x: x / 2, y: y / 2, depth: d, alpha: int32(float32(float32(v.fire) * 240 * (1 - float32(age/life)))),
			kind: emberSprite, light: layerColour(vec{1.2, 0.55, 0.12}), phase: int32(i),
		})
	}
}
