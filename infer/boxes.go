package infer

import (
	"fmt"
	"math"
	"slices"
)

// shortlist is how many of the best boxes enter suppression.
const shortlist = 64

// BoxRule turns the output of one variant of a detector into boxes. It is
// immutable and may be used concurrently.
type BoxRule struct {
	labels      int
	temperature float64
	threshold   float32
	logit       float32 // the threshold before the sigmoid
	nms         NMS
}

// BoxRule returns the rule of variant v of the detector m.
func (m *Manifest) BoxRule(v Variant) *BoxRule {
	t := float64(v.Temperature)
	return &BoxRule{
		labels:      len(m.Labels),
		temperature: t,
		threshold:   v.Threshold,
		logit:       logit(v.Threshold, t),
		nms:         *m.NMS,
	}
}

// logit is the value that sigmoid(x/t) turns into p.
func logit(p float32, t float64) float32 { return float32(t * math.Log(float64(p)/(1-float64(p)))) }

// sigmoid returns 1/(1+exp(-x/t)).
func sigmoid(x float32, t float64) float32 { return float32(1 / (1 + math.Exp(-float64(x)/t))) }

// Decide appends the boxes of out to dst, best first, at most as many as the
// manifest says, and counts the rows it had to drop for NaN, infinity or an
// empty box. It allocates nothing when dst has the capacity. out is the output
// [1,N,4+C], row by row; a length that does not fit is ErrShape.
func (r *BoxRule) Decide(out []float32, dst []Box) (boxes []Box, dropped int, err error) {
	row := 4 + r.labels
	if len(out) == 0 || len(out)%row != 0 {
		return dst, 0, fmt.Errorf("decide boxes: %w: got %d values, want rows of %d", ErrShape, len(out), row)
	}
	var best [shortlist]Box
	n := 0
	for ; len(out) > 0; out = out[row:] {
		b, ok := r.box(out[:row])
		if !ok {
			dropped++
		} else if b.Score >= r.threshold {
			n = insert(best[:], n, b)
		}
	}
	return r.suppress(best[:n], dst), dropped, nil
}

// box reads one row. The score stays 0 when it is below the threshold.
func (r *BoxRule) box(row []float32) (b Box, ok bool) {
	b = Box{X: row[0], Y: row[1], W: row[2], H: row[3]}
	best, ok := argmax(row[4:])
	if !ok || !allFinite(row[:4]) || b.W <= 0 || b.H <= 0 {
		return Box{}, false
	}
	if top := row[4+best]; top >= r.logit-1e-4 {
		b.Label, b.Score = best, sigmoid(top, r.temperature)
	}
	return b, true
}

// insert keeps the n best boxes in falling order of score and returns the new
// number. Of equal scores the first stays first.
func insert(best []Box, n int, b Box) int {
	if n == len(best) {
		if b.Score <= best[n-1].Score {
			return n
		}
		n--
	}
	at := n
	for at > 0 && best[at-1].Score < b.Score {
		best[at] = best[at-1]
		at--
	}
	best[at] = b
	return n + 1
}

// suppress appends the boxes that no better one covers.
func (r *BoxRule) suppress(best, dst []Box) []Box {
	first := len(dst)
	for _, b := range best {
		if len(dst)-first == r.nms.Max {
			break
		}
		if !slices.ContainsFunc(dst[first:], func(kept Box) bool { return kept.IoU(b) > r.nms.IoU }) {
			dst = append(dst, b)
		}
	}
	return dst
}

// IoU returns the intersection of two boxes over their union, 0..1.
func (b Box) IoU(o Box) float32 {
	w := overlap(b.X, b.W, o.X, o.W)
	h := overlap(b.Y, b.H, o.Y, o.H)
	both := w * h
	union := b.W*b.H + o.W*o.H - both
	if !(union > 0) {
		return 0
	}
	return both / union
}

// overlap returns the common length of two intervals given by centre and size.
func overlap(a, aSize, b, bSize float32) float32 {
	return max(0, min(a+aSize/2, b+bSize/2)-max(a-aSize/2, b-bSize/2))
}
