package synth

const (
	puffSide     = 64
	puffVariants = 12
)

// puffAtlas holds billows of smoke: turbulent discs with their own shading.
type puffAtlas struct {
	cells [puffVariants][]puffCell
}

type puffCell struct{ alpha, shade uint8 }

func newPuffAtlas(seed uint64) *puffAtlas {
	a := &puffAtlas{}
	f := fbm(256, seed^0x61, 4, 6, 0.6)
	r := newRNG(seed, 62)
	for i := range a.cells {
		a.cells[i] = newPuff(f, r.below(256), r.below(256))
	}
	return a
}

// newPuff carves one billow out of the noise field f at an offset. The shade
// is the slope of its bulge against light from the upper left.
func newPuff(f []float32, ox, oy int) []puffCell {
	cells := make([]puffCell, puffSide*puffSide)
	bulge := func(x, y int) float32 {
		u := (float32(x) + 0.5 - puffSide/2) / (puffSide / 2)
		v := (float32(y) + 0.5 - puffSide/2) / (puffSide / 2)
		n := f[(oy+y)&255*256+(ox+x)&255]
		d := 1 - float32(u*u) - float32(v*v)
		return min(d, 0.999) + float32((n-0.5)*1.5*ramp(-0.1, 0.3, d))
	}
	for y := range puffSide {
		for x := range puffSide {
			b := bulge(x, y)
			slope := float32((b-bulge(x-2, y-2))*1.3) + float32((b-bulge(x+1, y-2))*0.7)
			shade := 0.5 + float32(slope*1.6)
			cells[y*puffSide+x] = puffCell{level(ramp(0.15, 0.8, b)), level(shade)}
		}
	}
	return cells
}
