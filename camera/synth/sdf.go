package synth

// bone is a rounded cone, the building block of the person: two ends with
// radii, blended into what comes before it over the width fuse.
type bone struct {
	a, b   vec
	ra, rb float32
	fuse   float32
	skin   material
	back   vec  // away from the palm, for nails and creases; zero elsewhere
	tip    bool // carries a nail
}

// material tells the shader how a bone is coloured.
type material uint8

const (
	flesh material = iota
	palmFlesh
	cloth
	face
	hair
	vest
)

// reach returns the distance from p to the bone's surface and the position
// along it, 0 at a to 1 at b.
func (b *bone) reach(p vec) (d, t float32) {
	ba, pa := b.b.sub(b.a), p.sub(b.a)
	t = min(max(pa.dot(ba)/max(ba.dot(ba), 1e-9), 0), 1)
	return pa.sub(ba.scale(t)).len() - lerp(b.ra, b.rb, t), t
}

// model is a set of bones in drawing order and what their colours are.
type model struct {
	bones []bone
	turn  [3]vec // rows of the rotation from model to picture
}

// field is the signed distance at p over the bones listed in near.
func (m *model) field(p vec, near []int) float32 {
	d := float32(9)
	for _, i := range near {
		b := &m.bones[i]
		e, _ := b.reach(p)
		h := max(b.fuse-max(d-e, e-d), 0)
		d = min(d, e)
		if h > 0 {
			d -= float32(h*h) / (4 * b.fuse)
		}
	}
	return d
}

// nearest returns the bone closest to p and the position along it.
func (m *model) nearest(p vec, near []int) (best *bone, t float32) {
	d := float32(9)
	for _, i := range near {
		if e, u := m.bones[i].reach(p); e < d {
			d, t, best = e, u, &m.bones[i]
		}
	}
	return best, t
}

// normal is the gradient of the field, from four samples.
func (m *model) normal(p vec, near []int) vec {
	const e = 0.004
	k := [4]vec{{1, -1, -1}, {-1, -1, 1}, {-1, 1, -1}, {1, 1, 1}}
	var n vec
	for _, d := range k {
		n = n.add(d.scale(m.field(p.add(d.scale(e)), near)))
	}
	return n.unit()
}

// ambient is how open the surface is to its surroundings, 0…1.
func (m *model) ambient(p, n vec, near []int, step float32) float32 {
	var shut float32
	weight := float32(1)
	for i := 1; i <= 4; i++ {
		r := float32(step * float32(i))
		shut += float32(weight * max(r-m.field(p.add(n.scale(r)), near), 0))
		weight *= 0.7
	}
	return 1 - min(shut/(step*4.2), 0.55)
}

// sunlit is the soft shadow toward the light, 0…1.
func (m *model) sunlit(p, light vec, near []int, reach float32) float32 {
	const steps = 14
	open := float32(1)
	for i := 1; i <= steps; i++ {
		u := float32(i) / steps
		r := 0.02 + float32(float32(reach*u)*u)
		open = min(open, 0.35+float32(m.field(p.add(light.scale(r)), near)*6)/r)
	}
	return smooth(open)
}

// turned returns the model seen after rotating it by yaw, pitch and roll,
// in radians; the light stays where it is.
func (m *model) turned(yaw, pitch, roll float64) *model {
	cy, sy := cos(yaw), sin(yaw)
	cp, sp := cos(pitch), sin(pitch)
	cr, sr := cos(roll), sin(roll)
	rot := func(v vec) vec {
		v = vec{float32(v.x*cy) + float32(v.z*sy), v.y, float32(v.z*cy) - float32(v.x*sy)}
		v = vec{v.x, float32(v.y*cp) - float32(v.z*sp), float32(v.y*sp) + float32(v.z*cp)}
		return vec{float32(v.x*cr) - float32(v.y*sr), float32(v.x*sr) + float32(v.y*cr), v.z}
	}
	out := &model{bones: make([]bone, len(m.bones))}
	for i, b := range m.bones {
		b.a, b.b, b.back = rot(b.a), rot(b.b), rot(b.back)
		out.bones[i] = b
	}
	out.turn = [3]vec{rot(vec{1, 0, 0}), rot(vec{0, 1, 0}), rot(vec{0, 0, 1})}
	return out
}

// local maps a picture-space point back to the unrotated model.
func (m *model) local(p vec) vec {
	return vec{p.dot(m.turn[0]), p.dot(m.turn[1]), p.dot(m.turn[2])}
}

// mirrored flips left and right.
func (m *model) mirrored() *model {
	out := &model{bones: make([]bone, len(m.bones)), turn: m.turn}
	for i, b := range m.bones {
		b.a.x, b.b.x, b.back.x = -b.a.x, -b.b.x, -b.back.x
		out.bones[i] = b
	}
	for i := range out.turn {
		out.turn[i].x = -out.turn[i].x
	}
	return out
}
