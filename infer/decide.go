package infer

import (
	"fmt"
	"math"
	"slices"
)

// Result is the decision about one frame. The caller owns it and may use it
// again for the next frame.
type Result struct {
	// Label is the index of the best label, -1 when there is no decision.
	Label int
	// Score is the calibrated probability of Label, 0..1.
	Score float32
	// Scores holds the calibrated probability of each label. Decide allocates
	// it when its capacity is too small and otherwise uses it again.
	Scores []float32
	// Alarm is the sum of the scores of the alarm labels, 0 for a model
	// without alarm.
	Alarm float32
	// Raw is what Trigger would return without calibration (temperature 1).
	Raw float32
	// Trigger is the score that is compared with the threshold: Alarm for a
	// model with alarm labels, else Score.
	Trigger float32
}

// Rule turns the logits of one variant into a [Result]. It is immutable and
// may be used concurrently.
type Rule struct {
	labels      int
	alarm       []int // indices of the alarm labels, nil without alarm
	temperature float64
	threshold   float32
}

// Rule returns the decision rule of variant v of m.
func (m *Manifest) Rule(v Variant) *Rule {
	r := &Rule{labels: len(m.Labels), temperature: float64(v.Temperature), threshold: v.Threshold}
	if m.Alarm != nil {
		for _, l := range m.Alarm.Labels {
			r.alarm = append(r.alarm, m.Label(l))
		}
	}
	return r
}

// Threshold returns the value that Result.Trigger is compared with.
func (r *Rule) Threshold() float32 { return r.threshold }

// Decide fills res from logits, one for each label in the order of the
// manifest. It allocates nothing once res.Scores is large enough.
//
// Logits that hold NaN or infinity return ErrNotFinite, a wrong number of them
// ErrShape; res then has Label -1 and all scores 0.
func (r *Rule) Decide(logits []float32, res *Result) error {
	res.reset(r.labels)
	if len(logits) != r.labels {
		return fmt.Errorf("decide: %w: got %d logits, want %d", ErrShape, len(logits), r.labels)
	}
	best, ok := argmax(logits)
	if !ok {
		return ErrNotFinite
	}
	raw := softmax(logits, best, 1, res.Scores)
	res.Raw = r.trigger(res.Scores, raw)
	softmax(logits, best, r.temperature, res.Scores)
	r.settle(res, best)
	return nil
}

// settle draws the conclusions from res.Scores, all but Raw. best is the
// label with the highest score.
func (r *Rule) settle(res *Result, best int) {
	res.Label = best
	res.Score = res.Scores[res.Label]
	res.Trigger = r.trigger(res.Scores, res.Score)
	if r.alarm != nil {
		res.Alarm = res.Trigger
	}
}

// Blend makes res the mixture (1-a)·res + a·other, with 0 <= a <= 1. Both hold
// decisions over the labels of r.
func (r *Rule) Blend(res, other *Result, a float32) {
	for i, s := range other.Scores {
		res.Scores[i] += a * (s - res.Scores[i])
	}
	res.Raw += a * (other.Raw - res.Raw)
	best, _ := argmax(res.Scores)
	r.settle(res, best)
}

// Certain makes res the decision that the picture shows label l with
// probability p, and the rest shares what is left. It stands for a model that
// was not run.
func (r *Rule) Certain(l int, p float32, res *Result) {
	res.reset(r.labels)
	for i := range res.Scores {
		res.Scores[i] = (1 - p) / float32(r.labels-1)
	}
	res.Scores[l] = p
	best, _ := argmax(res.Scores)
	r.settle(res, best)
	res.Raw = res.Trigger
}

// Nothing makes res no decision: Label -1, all scores 0.
func (r *Rule) Nothing(res *Result) { res.reset(r.labels) }

// Quiet returns the first label that raises no alarm, -1 when all do.
func (r *Rule) Quiet() int {
	for i := range r.labels {
		if !slices.Contains(r.alarm, i) {
			return i
		}
	}
	return -1
}

// Weight returns how much of the other model's answer a mixture takes, 0..1.
func (x *Mix) Weight(own, other *Result) float32 {
	z := x.Bias + x.Slope*(margin(other.Scores)-margin(own.Scores))
	return sigmoid(z, 1)
}

// margin is the gap between the two best scores.
func margin(scores []float32) float32 {
	first, second := float32(0), float32(0)
	for _, s := range scores {
		if s > first {
			first, second = s, first
		} else {
			second = max(second, s)
		}
	}
	return first - second
}

func (res *Result) reset(labels int) {
	if cap(res.Scores) < labels {
		res.Scores = make([]float32, labels)
	}
	res.Scores = res.Scores[:labels]
	clear(res.Scores)
	res.Label, res.Score, res.Alarm, res.Raw, res.Trigger = -1, 0, 0, 0, 0
}

// trigger returns the alarm sum of scores, or best for a model without alarm.
func (r *Rule) trigger(scores []float32, best float32) float32 {
	if r.alarm == nil {
		return best
	}
	var sum float32
	for _, i := range r.alarm {
		sum += scores[i]
	}
	return min(sum, 1)
}

// argmax returns the index of the largest value, the first of equal ones, and
// whether all values are finite.
func argmax(x []float32) (best int, ok bool) {
	for i, v := range x {
		if !finite(v) {
			return -1, false
		}
		if v > x[best] {
			best = i
		}
	}
	return best, true
}

// softmax writes softmax(x/t) to dst and returns the share of best, the index
// of the largest value of x.
func softmax(x []float32, best int, t float64, dst []float32) float32 {
	top, sum := float64(x[best]), 0.0
	for i, v := range x {
		e := math.Exp((float64(v) - top) / t)
		dst[i] = float32(e)
		sum += e
	}
	for i := range dst {
		dst[i] = float32(float64(dst[i]) / sum)
	}
	return dst[best]
}
