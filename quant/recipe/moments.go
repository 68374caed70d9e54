package recipe

import (
	"context"
	"fmt"

	"emberwing/quant"
	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/qdq"
	"emberwing/quant/rounding"
)

// Round rounds the weights of w again so that their errors cancel over the
// samples of the calibration. The result replaces w if its outputs on the held
// samples are nearer to the float model's.
func (p *Prepared) Round(ctx context.Context, w *Written) (*Written, error) {
	plan, err := qdq.Make(p.Graph, p.Job.Profile, w.Float)
	if err != nil {
		return nil, err
	}
	if p.moments == nil {
		if p.moments, err = p.measureMoments(ctx, plan.Layers()); err != nil {
			return nil, fmt.Errorf("round weights: %w", err)
		}
	}
	plan.Moments = p.moments
	c := w.Choice
	c.Rounding, c.BiasCorrection = Compensated, true
	now, err := p.write(ctx, plan, c, w.Ranges, w.Float)
	if err != nil {
		return nil, err
	}
	return better(w, now), nil
}

// better returns the model whose outputs are nearer to the float model's, with
// both in the list of those tried.
func better(old, now *Written) *Written {
	tried := old.Tried
	if len(tried) == 0 {
		tried = []Choice{old.Choice}
	}
	best := old
	if now.Choice.SQNR > old.Choice.SQNR {
		best = now
	}
	best.Tried = append(tried, now.Choice)
	return best
}

// measureMoments measures what the weights of layers are multiplied with, some
// layers at a time so that the memory budget holds.
func (p *Prepared) measureMoments(ctx context.Context, layers []string) (map[string]*rounding.Moments, error) {
	budget := p.Job.Memory
	if budget <= 0 {
		budget = calib.DefaultMemory
	}
	out := map[string]*rounding.Moments{}
	for from := 0; from < len(layers); {
		g := p.Graph.Clone()
		taps, to := tapLayers(g, p.Graph.ShapesFor(map[string][]int64{p.Job.Input.Name: p.Job.Input.Dims}),
			layers[from:], budget/8)
		if err := p.momentsOf(ctx, g, taps, out, from, len(layers)); err != nil {
			return nil, err
		}
		from += to
	}
	return out, nil
}

// tapLayers taps as many of the layers as hold no more than a number of floats
// together, at least one, and returns their number.
func tapLayers(g *graph.Graph, shapes graph.Shapes, layers []string, floats int64) (map[string]rounding.Taps, int) {
	byName := map[string]*graph.Node{}
	for _, n := range g.Nodes() {
		byName[n.GetName()] = n
	}
	taps := map[string]rounding.Taps{}
	for i, name := range layers {
		t, ok := rounding.Tap(g, byName[name], shapes)
		if !ok {
			continue
		}
		taps[name] = t
		if floats -= t.Floats(); floats < 0 {
			return taps, i + 1
		}
	}
	return taps, len(layers)
}

// momentsOf runs a tapped graph over the samples.
func (p *Prepared) momentsOf(ctx context.Context, g *graph.Graph, taps map[string]rounding.Taps,
	out map[string]*rounding.Moments, done, total int) error {
	if len(taps) == 0 {
		return nil
	}
	var names, outputs []string
	for name, t := range taps {
		names, outputs = append(names, name), append(outputs, t.Moments, t.Mean)
		out[name] = new(rounding.Moments)
	}
	m, err := g.Model()
	if err != nil {
		return err
	}
	samples := p.calibrating()
	return p.run(ctx, m, samples, outputs, func(i int, s quant.Session) {
		for k, name := range names {
			out[name].Add(taps[name], s.Output(2*k), s.Output(2*k+1))
		}
		p.Job.Progress.Report("rounding", done+len(taps)*(i+1)/samples.Len(), total)
	})
}
