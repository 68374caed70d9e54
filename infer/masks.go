package infer

import (
	"fmt"
	"math"
)

// Region is what a segmenter found of one label, or of several together. Its
// numbers are shares of the mask: area 0..1, centre 0..1 from the top left.
type Region struct {
	Area float32 // share of cells that belong to it
	X, Y float32 // centre of those cells, weighted by score; 0 without any
	Peak float32 // highest score of a cell

	Left, Top, Right, Bottom float32 // sides of the rectangle around it
}

// MaskRule turns the output of one variant of a segmenter into regions. It is
// immutable and may be used concurrently.
type MaskRule struct {
	labels, h, w int
	temperature  float64
	threshold    float32
}

// MaskRule returns the rule of variant v of the segmenter m.
func (m *Manifest) MaskRule(v Variant) *MaskRule {
	return &MaskRule{labels: len(m.Labels), h: int(m.Output.Shape[2]), w: int(m.Output.Shape[3]),
		temperature: float64(v.Temperature), threshold: v.Threshold}
}

// Size returns the cells of a mask in a row and the rows.
func (r *MaskRule) Size() (w, h int) { return r.w, r.h }

// Threshold returns the score from which a cell belongs to a label.
func (r *MaskRule) Threshold() float32 { return r.threshold }

// Scores turns the logits of a mask into scores 0..1, in place. A wrong
// number of them is ErrShape, NaN or infinity ErrNotFinite; the values are
// then undefined.
func (r *MaskRule) Scores(masks []float32) error {
	if want := r.labels * r.h * r.w; len(masks) != want {
		return fmt.Errorf("decide masks: %w: got %d values, want %d", ErrShape, len(masks), want)
	}
	for i, x := range masks {
		if !finite(x) {
			return fmt.Errorf("decide masks: %w", ErrNotFinite)
		}
		masks[i] = sigmoid(x, r.temperature)
	}
	return nil
}

// Region measures label l in scores as [MaskRule.Scores] leaves them; l of -1
// is every label together. It allocates nothing.
func (r *MaskRule) Region(scores []float32, l int) (g Region) {
	var m moments
	for cell := range r.h * r.w {
		s := r.at(scores, l, cell)
		g.Peak = max(g.Peak, s)
		if s >= r.threshold {
			m.add(cell%r.w, cell/r.w, float64(s))
		}
	}
	if m.cells > 0 {
		m.into(&g, r.w, r.h)
	}
	return g
}

// moments sums the cells of a region.
type moments struct {
	cells                  int
	x, y, weight           float64
	left, top, right, down int // of cells, the latter two exclusive
}

func (m *moments) add(col, row int, weight float64) {
	if m.cells == 0 {
		m.left, m.top = col, row
	}
	m.cells++
	m.weight += weight
	m.x += weight * (float64(col) + 0.5)
	m.y += weight * (float64(row) + 0.5)
	m.left, m.top = min(m.left, col), min(m.top, row)
	m.right, m.down = max(m.right, col+1), max(m.down, row+1)
}

// into writes the shares of a mask of w by h cells.
func (m *moments) into(g *Region, w, h int) {
	across := func(v float64) float32 { return float32(v / float64(w)) }
	along := func(v float64) float32 { return float32(v / float64(h)) }
	g.Area = float32(float64(m.cells) / float64(w*h))
	g.X, g.Y = across(m.x/m.weight), along(m.y/m.weight)
	g.Left, g.Right = across(float64(m.left)), across(float64(m.right))
	g.Top, g.Bottom = along(float64(m.top)), along(float64(m.down))
}

// at is the score of label l in a cell, the highest one for l of -1.
func (r *MaskRule) at(scores []float32, l, cell int) float32 {
	n := r.h * r.w
	if l >= 0 {
		return scores[l*n+cell]
	}
	top := float32(0)
	for i := cell; i < len(scores); i += n {
		top = max(top, scores[i])
	}
	return top
}

// Heat writes a map 0..1 of label l to dst, one value for each cell: of a
// segmenter its scores, l of -1 being every label together.
func (r *MaskRule) Heat(scores []float32, l int, dst []float32) {
	for cell := range dst[:r.h*r.w] {
		dst[cell] = r.at(scores, l, cell)
	}
}

// HeatOf writes the class activation map of label l to dst: what speaks for
// the label, 0..1 of the strongest place (Selvaraju et al., arXiv:1610.02391,
// which for a mean-pooled linear head needs no gradients). cam is [1,C,h,w] and
// dst holds h·w values. A map without any support is all 0; NaN counts as none.
func HeatOf(cam []float32, l int, dst []float32) {
	n := len(dst)
	top := float32(0)
	for i, v := range cam[l*n : (l+1)*n] {
		if !(v > 0) || math.IsInf(float64(v), 1) {
			v = 0
		}
		dst[i] = v
		top = max(top, v)
	}
	for i := range dst {
		if top > 0 {
			dst[i] /= top
		}
	}
}
