package synth

import (
	"fmt"
	"slices"
	"strings"
)

// person is the one who signals, drawn once and moved as sprites.
type person struct {
	hand      *portrait
	body      *portrait  // nil when the person stands outside the frame
	beside    float32    // where the chin is from the hand, in hand heights
	below     float32    // and how far below the hand's middle
	shrink    float32    // size of the body relative to the hand's scale
	reach     [4]float32 // extent of the bare hand in the sprite, x0,y0,x1,y1
	side      float32    // where the hand stands: -1…1 of half the frame
	tall      float32    // height of the hand, share of the frame's height
	lift      float32    // middle of the raised hand, share of the frame's height
	rate, off float32
}

func validGesture(name string) error {
	if name == "" || slices.Contains(Gestures(), name) {
		return nil
	}
	return fmt.Errorf("gesture: got %q, want one of %s", name, strings.Join(Gestures(), ", "))
}

// newPerson shapes and shades the person of a seed for frames of a height in
// pixels; at 480 it takes some 0.3 s.
func newPerson(seed uint64, lk *look, gesture string, height int) *person {
	r := newRNG(seed, 40)
	w := newWardrobe(seed, lk)
	hand := newHand(gesture, r)
	flip := r.below(2) == 0
	if flip {
		hand = hand.mirrored()
	}
	p := &person{side: r.between(-0.12, 0.12), tall: r.between(0.58, 0.74),
		lift: r.between(0.44, 0.52), rate: r.between(2, 4), off: r.between(0, 6.28)}
	detail := min(float32(height)*0.54, 320) // pixels a hand length
	p.hand = paint(hand, &w, -1, -1.5, 1, 1.15, detail)
	p.reach = p.hand.extent(hand)
	p.embody(r, &w, flip, detail)
	return p
}

// embody draws the rest of the person, behind the hand and out of focus, for
// four seeds of five.
func (p *person) embody(r *rng, w *wardrobe, flip bool, detail float32) {
	p.beside, p.below, p.shrink = -r.between(0.7, 0.95), r.between(0.1, 0.35), r.between(0.32, 0.42)
	if r.below(5) == 1 {
		return
	}
	body := newBody(r, w)
	if flip {
		body, p.beside = body.mirrored(), -p.beside
	}
	p.side -= float32(p.beside * 0.08)
	p.body = paint(body, w, -0.42, -0.95, 0.42, 0.28, float32(detail*1.1))
	p.body.soften(max(int(detail/130), 1))
}

// show pastes the person over packed rows of the picture.
func (p *person) show(rows []uint32, v *view, shake [4]float64) {
	pl, ok := p.at(v, shake)
	if !ok {
		return
	}
	if p.body != nil {
		p.body.paste(rows, v.w, v.h, p.behind(pl))
	}
	p.hand.paste(rows, v.w, v.h, pl)
}

// behind is where the body stands for a placement of the hand.
func (p *person) behind(pl placement) placement {
	mx, my := (p.reach[0]+p.reach[2])/2, (p.reach[1]+p.reach[3])/2
	cx, cy := pl.apply(mx, my)
	hand := sqrt(float32(pl.c*pl.c)+float32(pl.s*pl.s)) * p.hand.perUnit // pixels a hand length
	k := hand / 0.19 * p.shrink / p.body.perUnit
	x, y := cx+float32(p.beside*hand), cy+float32(p.below*hand)
	return placement{c: k, x: x - float32(k*p.body.ox), y: y - float32(k*p.body.oy)}
}

// extent is the box of the hand without the forearm in sprite pixels.
func (s *portrait) extent(m *model) [4]float32 {
	box := [4]float32{1e9, 1e9, -1e9, -1e9}
	for i := range m.bones {
		b := &m.bones[i]
		if b.back == (vec{}) {
			continue
		}
		for _, e := range [2]struct {
			p vec
			r float32
		}{{b.a, b.ra}, {b.b, b.rb}} {
			x, y, r := s.ox+float32(e.p.x*s.perUnit), s.oy-float32(e.p.y*s.perUnit), float32(e.r*s.perUnit)
			box = [4]float32{min(box[0], x-r), min(box[1], y-r), max(box[2], x+r), max(box[3], y+r)}
		}
	}
	return box
}

// placement maps sprite pixels to picture pixels: scale, turn and shift.
type placement struct{ c, s, x, y float32 }

// at returns where the hand's sprite is at a moment; ok is false while it is
// out of view.
func (p *person) at(v *view, shake [4]float64) (placement, bool) {
	if v.hand < 0.02 {
		return placement{}, false
	}
	h := float32(v.h)
	span := max(p.reach[3]-p.reach[1], (p.reach[2]-p.reach[0])*0.8)
	scale := float32(p.tall*h) / span
	turn := float64(float32(0.05 * sin(float64(v.t*float64(p.rate))+float64(p.off))))
	pl := placement{c: float32(scale * cos(turn)), s: float32(scale * sin(turn))}
	down := float32(float32(1-v.hand) * h * (0.55 + p.tall))
	cx := float32(float32(v.w)/2) + float32(p.side*float32(v.w)/2) + float32(float32(shake[1])*h*0.012)
	cy := float32(p.lift*h) + down + float32(float32(shake[2])*h*0.012)
	mx, my := (p.reach[0]+p.reach[2])/2, (p.reach[1]+p.reach[3])/2
	pl.x = cx - float32(pl.c*mx) + float32(pl.s*my)
	pl.y = cy - float32(pl.s*mx) - float32(pl.c*my)
	return pl, true
}

// box is the picture's box of the hand under a placement, in pixels.
func (p *person) box(pl placement) [4]float32 {
	out := [4]float32{1e9, 1e9, -1e9, -1e9}
	for i := range 4 {
		x, y := p.reach[i&1*2], p.reach[i>>1*2+1]
		u, v := pl.apply(x, y)
		out = [4]float32{min(out[0], u), min(out[1], v), max(out[2], u), max(out[3], v)}
	}
	return out
}

func (pl placement) apply(x, y float32) (u, v float32) {
	return float32(pl.c*x) - float32(pl.s*y) + pl.x, float32(pl.s*x) + float32(pl.c*y) + pl.y
}

// paste lays a sprite over packed rows.
func (s *portrait) paste(rows []uint32, w, h int, pl placement) {
	x0, y0, x1, y1 := s.bounds(pl, w, h)
	k := 1 / (float32(pl.c*pl.c) + float32(pl.s*pl.s))
	du, dv := int(float32(pl.c*k)*65536), int(-float32(pl.s*k)*65536)
	for y := y0; y < y1; y++ {
		dx, dy := float32(x0)-pl.x, float32(y)-pl.y
		u := int(float32(k*(float32(pl.c*dx)+float32(pl.s*dy))) * 65536)
		v := int(float32(k*(float32(pl.c*dy)-float32(pl.s*dx))) * 65536)
		line := rows[y*w : (y+1)*w]
		for x := x0; x < x1; x++ {
			s.blend(&line[x], u, v)
			u, v = u+du, v+dv
		}
	}
}

func (s *portrait) bounds(pl placement, w, h int) (x0, y0, x1, y1 int) {
	lo, hi := [2]float32{1e9, 1e9}, [2]float32{-1e9, -1e9}
	for i := range 4 {
		u, v := pl.apply(float32(i&1*s.w), float32(i>>1*s.h))
		lo = [2]float32{min(lo[0], u), min(lo[1], v)}
		hi = [2]float32{max(hi[0], u), max(hi[1], v)}
	}
	return max(int(lo[0]), 0), max(int(lo[1]), 0), min(int(hi[0])+1, w), min(int(hi[1])+1, h)
}

// blend samples the sprite between four pixels at u, v (16.16) over dst.
func (s *portrait) blend(dst *uint32, u, v int) {
	x, y := u>>16, v>>16
	if x < 0 || y < 0 || x >= s.w-1 || y >= s.h-1 {
		return
	}
	fx, fy := uint32(u>>8&255), uint32(v>>8&255)
	a, b := &s.px[y*s.w+x], &s.px[y*s.w+x+1]
	c, d := &s.px[(y+1)*s.w+x], &s.px[(y+1)*s.w+x+1]
	if a.a|b.a|c.a|d.a == 0 {
		return
	}
	four := func(p, q, r, t uint8) uint32 {
		top := uint32(p)*(256-fx) + uint32(q)*fx
		low := uint32(r)*(256-fx) + uint32(t)*fx
		return (top*(256-fy) + low*fy) >> 16
	}
	keep := 256 - four(a.a, b.a, c.a, d.a)*257>>8
	bg := *dst
	r := bg>>16&255*keep>>8 + four(a.r, b.r, c.r, d.r)
	g := bg>>8&255*keep>>8 + four(a.g, b.g, c.g, d.g)
	e := bg&255*keep>>8 + four(a.b, b.b, c.b, d.b)
	*dst = min(r, 255)<<16 | min(g, 255)<<8 | min(e, 255)
}
