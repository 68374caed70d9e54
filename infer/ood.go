package infer

import (
	"fmt"
	"math"
)

// Familiarity measures how far a picture's features are from those of the
// training set. It is immutable and may be used concurrently.
type Familiarity struct {
	factor    []float64   // lower triangle of L, row by row
	means     [][]float64 // Lᵀμ of each label
	threshold float32
}

// NewFamiliarity prepares the statistics of a valid manifest; nil for nil.
func NewFamiliarity(o *OOD) *Familiarity {
	if o == nil {
		return nil
	}
	f := &Familiarity{threshold: o.Threshold, factor: make([]float64, len(o.Factor))}
	for i, v := range o.Factor {
		f.factor[i] = float64(v)
	}
	for _, mean := range o.Means {
		var y [MaxFeatures]float64
		f.whiten(mean, &y)
		f.means = append(f.means, append([]float64(nil), y[:len(mean)]...))
	}
	return f
}

// Threshold returns the distance above which a picture counts as unknown.
func (f *Familiarity) Threshold() float32 { return f.threshold }

// whiten writes Lᵀx to y.
func (f *Familiarity) whiten(x []float32, y *[MaxFeatures]float64) {
	at := 0
	for i, v := range x {
		for j := range i + 1 {
			y[j] += f.factor[at+j] * float64(v)
		}
		at += i + 1
	}
}

// Distance returns d², the squared Mahalanobis distance to the nearest label's
// mean, and allocates nothing. A wrong number of features is ErrShape, NaN or
// infinity ErrNotFinite.
func (f *Familiarity) Distance(features []float32) (float32, error) {
	if want := len(f.means[0]); len(features) != want {
		return 0, fmt.Errorf("measure familiarity: %w: got %d features, want %d", ErrShape, len(features), want)
	}
	var y [MaxFeatures]float64
	f.whiten(features, &y)
	best := math.Inf(1)
	for _, mean := range f.means {
		d := 0.0
		for j, m := range mean {
			d += (y[j] - m) * (y[j] - m)
		}
		best = min(best, d)
	}
	if math.IsNaN(best) || math.IsInf(best, 0) {
		return 0, fmt.Errorf("measure familiarity: features: %w", ErrNotFinite)
	}
	return float32(min(best, math.MaxFloat32)), nil
}
