package predict

import "emberwing/infer"

// Heat is a map of what speaks for an answer. The caller owns it and uses it
// again.
type Heat struct {
	W, H   int       // cells
	Values []float32 // H rows of W values 0..1
	Over   Rect      // part of the frame that the map covers
}

// CopyFrom makes h an independent copy of src, reusing its memory.
func (h *Heat) CopyFrom(src *Heat) {
	values := append(h.Values[:0], src.Values...)
	*h = *src
	h.Values = values
}

// Explain fills h with what speaks for label in r: the masks of the segmenter,
// else the class activation map. It reports whether there is any such map.
func (p *Predictor) Explain(r *Result, label int, h *Heat) bool {
	m := p.main.Manifest
	switch {
	case r.Segmented && p.masks() != nil:
		rule := p.masks()
		h.W, h.H = rule.Size()
		h.resize(r.maskSeen)
		rule.Heat(r.masks, -1, h.Values)
	case len(r.cam) > 0 && label >= 0 && label < len(m.Labels):
		h.H, h.W = int(m.CAM.Shape[2]), int(m.CAM.Shape[3])
		h.resize(r.camSeen)
		infer.HeatOf(r.cam, label, h.Values)
	default:
		h.W, h.H = 0, 0
		h.resize(Rect{})
		return false
	}
	return true
}

// masks returns the rule of the segmenter, nil without one.
func (p *Predictor) masks() *infer.MaskRule {
	switch {
	case p.segmenter != nil:
		return p.segmenter.rule
	case p.main.Manifest.Is(infer.Segmenter):
		return p.main.Manifest.MaskRule(p.main.variant)
	}
	return nil
}

func (h *Heat) resize(over Rect) {
	n := h.W * h.H
	if cap(h.Values) < n {
		h.Values = make([]float32, n)
	}
	h.Values, h.Over = h.Values[:n], over
}

// At returns the heat at a place in the frame, interpolated between cells, 0
// outside the map.
func (h *Heat) At(x, y float32) float32 {
	u, v := (x-h.Over.X)/h.Over.W*float32(h.W)-0.5, (y-h.Over.Y)/h.Over.H*float32(h.H)-0.5
	if h.W == 0 || !(u >= -0.5 && v >= -0.5 && u <= float32(h.W)-0.5 && v <= float32(h.H)-0.5) {
		return 0
	}
	u, v = min(max(u, 0), float32(h.W-1)), min(max(v, 0), float32(h.H-1))
	c, r := int(u), int(v)
	c1, r1 := min(c+1, h.W-1), min(r+1, h.H-1)
	a, b := u-float32(c), v-float32(r)
	upper := (1-a)*h.Values[r*h.W+c] + a*h.Values[r*h.W+c1]
	lower := (1-a)*h.Values[r1*h.W+c] + a*h.Values[r1*h.W+c1]
	return (1-b)*upper + b*lower
}

// MaskOf fills h with the scores of one label of the segmenter, an index into
// MaskLabels, and reports whether r has masks.
func (p *Predictor) MaskOf(r *Result, label int, h *Heat) bool {
	rule := p.masks()
	if !r.Segmented || rule == nil {
		h.W, h.H = 0, 0
		h.resize(Rect{})
		return false
	}
	h.W, h.H = rule.Size()
	h.resize(r.maskSeen)
	rule.Heat(r.masks, label, h.Values)
	return true
}

// Extent returns the rectangle around the cells that reach level, clipped to
// the frame, and false when there is none.
func (h *Heat) Extent(level float32) (Rect, bool) {
	left, top, right, bottom := h.W, h.H, 0, 0
	for i, v := range h.Values {
		if v >= level && v > 0 {
			x, y := i%h.W, i/h.W
			left, top, right, bottom = min(left, x), min(top, y), max(right, x+1), max(bottom, y+1)
		}
	}
	if right == 0 {
		return Rect{}, false
	}
	w, t := h.Over.W/float32(h.W), h.Over.H/float32(h.H)
	return clip(
		Rect{
			X: h.Over.X + float32(left)*w,
			Y: h.Over.Y + float32(top)*t,
			W: float32(right-left) * w,
			H: float32(bottom-top) * t,
		},
	), true
}
