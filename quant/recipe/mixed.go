package recipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"emberwing/quant"
	"emberwing/quant/calib"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
)

// Labelled are samples whose class is known.
type Labelled struct {
	quant.Samples
	Truth []int // index of the class of each sample
}

// Sensitivity is what quantising one node alone costs.
type Sensitivity struct {
	Node string  `json:"node"`
	SQNR float64 `json:"sqnr_db"` // of the outputs
	// Changed is the share of held samples whose best label changes.
	Changed float64 `json:"changed"`
}

// Trial is one set of float nodes that was tried.
type Trial struct {
	Float    int     `json:"float_nodes"`
	Accuracy float64 `json:"accuracy"`
	Drop     float64 `json:"drop"`
}

// Mixed is a model whose most sensitive nodes stay in float.
type Mixed struct {
	*Written
	Sensitivity []Sensitivity `json:"sensitivity"` // the most sensitive first
	Trials      []Trial       `json:"trials"`
	Accuracy    float64       `json:"float_accuracy"` // of the float model
	Met         bool          `json:"met"`
}

// ErrDrop means that no set of float nodes keeps the accuracy.
var ErrDrop = errors.New("accuracy falls by more than allowed")

// Mix keeps the fewest nodes in float with which accuracy falls by at most
// maxDrop (0.01 is one point). Nodes are added in order of their measured
// sensitivity, which is the order that matters where their errors add up; the
// number is found by bisection. Without labelled samples (Samples nil) the
// best label of the float model counts as the truth, on the held samples.
func (p *Prepared) Mix(ctx context.Context, eval Labelled, maxDrop float64) (*Mixed, error) {
	w, err := p.Write(ctx)
	if err != nil {
		return nil, err
	}
	m := &Mixed{Written: w}
	judge, err := p.judge(ctx, eval)
	if err != nil {
		return nil, err
	}
	m.Accuracy = judge.float
	if m.Met, err = m.try(ctx, p, judge, nil, maxDrop); err != nil || m.Met {
		return m, err
	}
	if m.Sensitivity, err = p.Sensitivity(ctx, m.Choice); err != nil {
		return nil, err
	}
	order := make([]string, len(m.Sensitivity))
	for i, s := range m.Sensitivity {
		order[i] = s.Node
	}
	return m, m.bisect(ctx, p, judge, order, maxDrop)
}

// bisect finds the smallest beginning of order that meets maxDrop: doubling
// until one does, then halving the gap.
func (m *Mixed) bisect(ctx context.Context, p *Prepared, j *judge, order []string, maxDrop float64) error {
	bad, good := 0, 0
	for k := 1; good == 0; k *= 2 {
		k = min(k, len(order))
		ok, err := m.try(ctx, p, j, order[:k], maxDrop)
		if err != nil {
			return err
		}
		switch {
		case ok:
			good = k
		case k == len(order):
			return fmt.Errorf("mix precisions: %w: got %.4f with every node in float, want at least %.4f; is the "+
				"preparation of the pictures right?",
				ErrDrop, m.Trials[len(m.Trials)-1].Accuracy, m.Accuracy-maxDrop)
		default:
			bad = k
		}
	}
	best := m.Written
	for good-bad > 1 {
		k := (good + bad) / 2
		ok, err := m.try(ctx, p, j, order[:k], maxDrop)
		if err != nil {
			return err
		}
		if ok {
			good, best = k, m.Written
		} else {
			bad = k
		}
	}
	m.Written, m.Met = best, true
	return nil
}

// try writes the model with some nodes in float and judges it.
func (m *Mixed) try(ctx context.Context, p *Prepared, j *judge, float []string, maxDrop float64) (bool, error) {
	if len(float) > 0 {
		w, err := p.with(ctx, m.Choice, m.Ranges, append(slices.Clone(p.Job.Float), float...))
		if err != nil {
			return false, err
		}
		w.Tried, m.Written = m.Tried, w
	}
	accuracy, err := j.accuracy(ctx, p, m.Model)
	m.Trials = append(m.Trials, Trial{len(float), accuracy, m.Accuracy - accuracy})
	return m.Accuracy-accuracy <= maxDrop+1e-12, err
}

// with writes the model once more with other nodes in float.
func (p *Prepared) with(ctx context.Context, c Choice, ranges map[string]calib.Range, float []string) (*Written,
	error) {
	plan, err := qdq.Make(p.Graph, p.Job.Profile, float)
	if err != nil {
		return nil, err
	}
	return p.write(ctx, plan, c, ranges, float)
}

// Sensitivity quantises each node alone, all others in float, and measures the
// outputs on the held samples; the most sensitive come first.
func (p *Prepared) Sensitivity(ctx context.Context, c Choice) ([]Sensitivity, error) {
	m, err := calib.ParseMethod(c.Method)
	if err != nil {
		return nil, err
	}
	ranges := p.Ranges(m)
	all := p.Plan.Candidates()
	out := make([]Sensitivity, 0, len(all))
	for i, node := range all {
		w, err := p.write(ctx, qdq.Alone(p.Graph, p.Job.Profile, node, all), c, ranges, nil)
		if err != nil {
			return nil, fmt.Errorf("measure sensitivity of %q: %w", node, err)
		}
		changed, err := p.changed(ctx, w.Model)
		if err != nil {
			return nil, err
		}
		out = append(out, Sensitivity{node, w.Choice.SQNR, changed})
		p.Job.Progress.Report("sensitivity", i+1, len(all))
	}
	slices.SortStableFunc(out, func(a, b Sensitivity) int {
		return cmp.Or(cmp.Compare(b.Changed, a.Changed), cmp.Compare(a.SQNR, b.SQNR))
	})
	return out, nil
}

// changed returns the share of held samples whose best label is not that of
// the float model.
func (p *Prepared) changed(ctx context.Context, m *onnx.Model) (float64, error) {
	n := 0
	err := p.run(ctx, m, p.held, p.outputs, func(i int, s quant.Session) {
		if best(s.Output(0)) != best(p.reference[i*len(p.outputs)]) {
			n++
		}
	})
	return float64(n) / float64(max(1, p.held.Len())), err
}

// best returns the index of the largest value.
func best(values []float32) int {
	at := 0
	for i, v := range values {
		if v > values[at] {
			at = i
		}
	}
	return at
}

// judge knows the truth and the accuracy of the float model.
type judge struct {
	samples quant.Samples
	truth   []int
	float   float64
}

// judge measures the float model.
func (p *Prepared) judge(ctx context.Context, eval Labelled) (*judge, error) {
	j := &judge{samples: eval.Samples, truth: eval.Truth}
	if eval.Samples == nil {
		j.samples = p.held
		for i := range p.held.Len() {
			j.truth = append(j.truth, best(p.reference[i*len(p.outputs)]))
		}
	}
	if len(j.truth) == 0 || len(j.truth) != j.samples.Len() {
		return nil, fmt.Errorf("judge accuracy: got %d labels for %d samples, want one for each and at least one",
			len(j.truth), j.samples.Len())
	}
	m, err := p.Graph.Clone().Model()
	if err != nil {
		return nil, err
	}
	j.float, err = j.accuracy(ctx, p, m)
	return j, err
}

// accuracy returns the share of samples whose best label is the truth, by the
// first output compared.
func (j *judge) accuracy(ctx context.Context, p *Prepared, m *onnx.Model) (float64, error) {
	s, err := p.Job.Open(m.Bytes(), []quant.Input{p.Job.Input}, p.outputs[:1])
	if err != nil {
		return 0, err
	}
	defer s.Close()
	hits := 0
	for i, truth := range j.truth {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := errors.Join(j.samples.Load(i, s.Input(0)), s.Run()); err != nil {
			return 0, err
		}
		if best(s.Output(0)) == truth {
			hits++
		}
		p.Job.Progress.Report("accuracy", i+1, len(j.truth))
	}
	return float64(hits) / float64(len(j.truth)), nil
}
