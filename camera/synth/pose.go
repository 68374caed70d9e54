package synth

import "slices"

// Gestures lists what the person can show; "none" keeps the hand out of view.
func Gestures() []string {
	return []string{"palm", "fist", "peace", "point", "thumb_up", "none"}
}

// finger is the bend of one finger at its three joints, in degrees.
type finger struct{ knuckle, middle, end float32 }

// pose is the shape of a hand: fingers from index to little, their spread in
// degrees, and the joints of the thumb.
type pose struct {
	name   string
	finger [4]finger
	spread [4]float32
	thumb  [4]vec
	yaw    float64 // degrees about the forearm, 0 shows the palm
	roll   float64 // degrees counter-clockwise in the picture
}

var (
	straight = finger{6, 8, 6}
	curled   = finger{82, 104, 62}
)

// poses returns the table of hand shapes for a right hand, palm to the camera,
// fingers up, thumb to the right, before it is turned. A name may have several
// rows. Lengths are in hand lengths from the wrist.
func poses() []pose {
	out := [4]vec{{0.13, 0.08, 0.03}, {0.27, 0.24, 0.07}, {0.40, 0.38, 0.06}, {0.49, 0.50, 0.05}}
	over := [4]vec{{0.13, 0.08, 0.05}, {0.23, 0.25, 0.16}, {0.10, 0.38, 0.27}, {-0.04, 0.41, 0.29}}
	held := [4]vec{{0.13, 0.08, 0.05}, {0.21, 0.26, 0.16}, {0.06, 0.37, 0.27}, {-0.08, 0.38, 0.28}}
	up := [4]vec{{0.13, 0.10, 0.05}, {0.25, 0.28, 0.09}, {0.40, 0.36, 0.08}, {0.53, 0.36, 0.06}}
	open, fan := [4]finger{straight, straight, straight, straight}, [4]float32{5, 0, -5, -11}
	hook := finger{56, 98, 66}
	half := [4]finger{hook, hook, hook, hook}
	shut, tight := [4]finger{curled, curled, curled, curled}, [4]float32{4, 1, -2, -6}
	return []pose{
		{"palm", open, fan, out, 0, 0},
		{"fist", shut, tight, over, 0, 0},
		{"peace", [4]finger{straight, straight, curled, curled}, [4]float32{13, -9, -3, -7}, held, 0, 0},
		{"point", [4]finger{straight, curled, curled, curled}, [4]float32{4, 1, -2, -6}, held, 0, 0},
		{"thumb_up", shut, tight, up, 0, 76},
		{"thumb_up", half, tight, up, 172, -64},
		{"thumb_up", half, tight, up, 190, -64},
	}
}

// newHand bends a hand into the named pose with the variation of r.
func newHand(name string, r *rng) *model {
	table := poses()
	table = slices.DeleteFunc(table, func(p pose) bool { return p.name != name })
	p := table[r.below(len(table))]
	m := &model{}
	m.palm()
	open := r.between(0.7, 1.3)
	for k := range 4 {
		f := p.finger[k]
		bend := r.between(-5, 7)
		if f.knuckle < 40 {
			p.spread[k] *= open
			f = finger{f.knuckle + bend, f.middle + bend + r.between(-2, 6), f.end + r.between(-3, 6)}
		}
		m.finger(k, f, p.spread[k])
	}
	m.thumb(p.thumb, r)
	m.forearm()
	roll := p.roll + float64(r.between(-12, 12))
	return m.turned((p.yaw+float64(r.between(-15, 15)))*degree, float64(r.between(-12, 8))*degree, roll*degree)
}

// knuckles are where the fingers begin, lengths those of their bones.
var (
	knuckles = [4]vec{{0.165, 0.53, 0}, {0.055, 0.555, 0.008}, {-0.055, 0.53, 0.006}, {-0.155, 0.47, -0.006}}
	lengths  = [4][3]float32{{0.222, 0.133, 0.1}, {0.243, 0.149, 0.106}, {0.226, 0.139, 0.104}, {0.174, 0.102, 0.09}}
	girth    = [4]float32{1, 1.02, 0.97, 0.84}
)

// palm builds the metacarpals and the two pads of the hand.
func (m *model) palm() {
	for _, to := range knuckles {
		from := vec{to.x * 0.45, 0.03, 0}
		m.bones = append(m.bones, bone{a: from, b: to, ra: 0.085, rb: 0.062, fuse: 0.07, skin: palmFlesh, back: vec{0, 0, -1}})
	}
	m.bones = append(m.bones,
		bone{a: vec{0.10, 0.08, 0.035}, b: vec{0.19, 0.24, 0.05}, ra: 0.085, rb: 0.06, fuse: 0.08, skin: palmFlesh, back: vec{0, 0, -1}},
		bone{a: vec{-0.105, 0.09, 0.03}, b: vec{-0.145, 0.32, 0.02}, ra: 0.075, rb: 0.058, fuse: 0.08, skin: palmFlesh, back: vec{0, 0, -1}},
		bone{a: vec{-0.12, 0.45, 0.02}, b: vec{0.14, 0.49, 0.024}, ra: 0.055, rb: 0.058, fuse: 0.07, skin: palmFlesh, back: vec{0, 0, -1}},
	)
}

// finger bends finger k (0 index … 3 little), spread degrees to the thumb's side.
func (m *model) finger(k int, f finger, spread float32) {
	up := vec{sin(float64(spread) * degree), cos(float64(spread) * degree), 0}
	at, turn := knuckles[k], float32(0)
	radius := float32(0.059 * girth[k])
	for j, bend := range [3]float32{f.knuckle, f.middle, f.end} {
		turn += bend
		c, s := cos(float64(turn)*degree), sin(float64(turn)*degree)
		dir := up.scale(c).add(vec{0, 0, s})
		end := at.add(dir.scale(lengths[k][j]))
		b := bone{a: at, b: end, ra: radius, rb: radius * 0.94, fuse: 0.012,
			back: vec{0, 0, -c}.add(up.scale(s)), tip: j == 2}
		if j == 0 {
			b.fuse = 0.035
		}
		if j == 2 {
			b.rb = radius * 0.84
		}
		m.bones = append(m.bones, b)
		at, radius = end, radius*0.945
	}
}

func (m *model) thumb(joints [4]vec, r *rng) {
	for i := 1; i < 4; i++ {
		joints[i] = joints[i].add(vec{r.between(-0.015, 0.015), r.between(-0.015, 0.015), 0})
	}
	back := vec{0.5, 0.1, -0.6}.unit()
	radii := [4]float32{0.085, 0.066, 0.056, 0.046}
	if joints[3].y < joints[1].y+0.12 && joints[3].z < 0.2 {
		radii = [4]float32{0.085, 0.07, 0.061, 0.05} // bent back, it shows its pad
	}
	for i := range 3 {
		a, b := joints[i], joints[i+1]
		side := b.sub(a).unit()
		away := back.sub(side.scale(back.dot(side))).unit()
		fuse := float32(0.02)
		if i == 0 {
			fuse = 0.07
		}
		if joints[3].z > 0.2 && i == 2 {
			away = vec{0, 0.2, 1}.unit() // folded over the fingers, nail outward
		}
		m.bones = append(m.bones, bone{a: a, b: b, ra: radii[i], rb: radii[i+1], fuse: fuse, skin: [3]material{palmFlesh, flesh, flesh}[i], back: away, tip: i == 2})
	}
}

// forearm adds wrist, forearm and the sleeve that covers most of it.
func (m *model) forearm() {
	for _, x := range [2]float32{-1, 1} {
		m.bones = append(m.bones, bone{a: vec{0.07 * x, 0.02, -0.01}, b: vec{0.08 * x, -0.9, -0.02}, ra: 0.09, rb: 0.17, fuse: 0.1})
	}
	for _, x := range [2]float32{-1, 1} {
		m.bones = append(m.bones, bone{a: vec{0.05 * x, -0.42, -0.01}, b: vec{0.06 * x, -1.9, -0.02}, ra: 0.2, rb: 0.33, fuse: 0.03, skin: cloth})
	}
}
