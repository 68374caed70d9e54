package pixel

import "math"

// placement says which part of the source becomes which part of the input.
type placement struct {
	x0, x1, y0, y1  float64 // box in the source, in pixels
	left, top, w, h int     // rectangle in the input
}

// place computes the placement with the formulas of Pillow's ImageOps.
func place(s Spec, srcW, srcH int) placement {
	p := placement{x1: float64(srcW), y1: float64(srcH), w: s.Width, h: s.Height}
	have := float64(srcW) / float64(srcH)
	want := float64(s.Width) / float64(s.Height)
	switch s.Fit {
	case Letterbox:
		p.letterbox(have, want)
	case CenterCrop:
		p.crop(have, want)
	}
	return p
}

// letterbox shrinks the rectangle in the input and centres it.
func (p *placement) letterbox(have, want float64) {
	fullW, fullH := p.w, p.h
	if have > want {
		p.h = max(1, int(math.RoundToEven(p.y1/p.x1*float64(fullW))))
	} else if have < want {
		p.w = max(1, int(math.RoundToEven(p.x1/p.y1*float64(fullH))))
	}
	p.left = int(math.RoundToEven(float64(fullW-p.w) * 0.5))
	p.top = int(math.RoundToEven(float64(fullH-p.h) * 0.5))
}

// crop shrinks the box in the source around its centre.
func (p *placement) crop(have, want float64) {
	fullW, fullH := p.x1, p.y1
	w, h := fullW, fullH
	if have > want {
		w = want * fullH
	} else if have < want {
		h = fullW / want
	}
	left, upper := (fullW-w)*0.5, (fullH-h)*0.5
	p.x0, p.x1 = single(left), single(left+w)
	p.y0, p.y1 = single(upper), single(upper+h)
}

// single rounds to float32, which is what Pillow keeps a box in.
func single(x float64) float64 { return float64(float32(x)) }
