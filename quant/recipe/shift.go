package recipe

import (
	"context"
	"fmt"
	"slices"

	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
)

// CorrectBias measures on samples of the calibration by how much the mean of
// each channel of each layer's result is off in the quantised model, and lowers
// the biases by it, layer by layer in order: what a layer is corrected for no
// longer disturbs the next (empirical bias correction, Nagel et al. 2019,
// appendix D). The result replaces w only if its outputs on the held samples
// are nearer to the float model's.
func (p *Prepared) CorrectBias(ctx context.Context, w *Written) (*Written, error) {
	layers := p.Plan.Layers()
	want, err := p.layerMeans(ctx, p.Graph, layers)
	if err != nil {
		return nil, fmt.Errorf("correct bias: %w", err)
	}
	p.shift = map[string][]float32{}
	defer func() { p.shift = nil }()
	for i, layer := range layers {
		now, err := p.again(ctx, w)
		if err != nil {
			return nil, err
		}
		got, err := p.layerMeans(ctx, graph.New(now.Model), []string{layer})
		if err != nil {
			return nil, fmt.Errorf("correct bias of %q: %w", layer, err)
		}
		shift := make([]float32, len(got[0]))
		for c := range shift {
			shift[c] = float32(got[0][c] - want[i][c])
		}
		p.shift[layer] = shift
		p.Job.Progress.Report("biases", i+1, len(layers))
	}
	now, err := p.again(ctx, w)
	if err != nil {
		return nil, err
	}
	now.Choice.Layerwise = true
	return better(w, now), nil
}

// again writes the model of w with the shifts measured so far.
func (p *Prepared) again(ctx context.Context, w *Written) (*Written, error) {
	plan, err := qdq.Make(p.Graph, p.Job.Profile, w.Float)
	if err != nil {
		return nil, err
	}
	if w.Choice.Rounding == Compensated {
		plan.Moments = p.moments
	}
	return p.write(ctx, plan, w.Choice, w.Ranges, w.Float)
}

// layerMeans returns the mean over samples of each channel of the
// results of the nodes named.
func (p *Prepared) layerMeans(ctx context.Context, g *graph.Graph, layers []string) ([][]float64, error) {
	g = g.Clone()
	shapes := p.Graph.Shapes()
	byName := map[string]*graph.Node{}
	for _, n := range g.Nodes() {
		byName[n.GetName()] = n
	}
	rank := map[string]int{}
	for _, n := range p.Graph.Nodes() {
		rank[n.GetName()] = len(shapes[n.Output[0]].Dims)
	}
	var outputs []string
	for _, layer := range layers {
		n := byName[layer]
		if n == nil {
			return nil, fmt.Errorf("got no node %q in the quantised graph", layer)
		}
		outputs = append(outputs, tapMean(g, n.Output[0], rank[layer]))
	}
	m, err := g.Model()
	if err != nil {
		return nil, err
	}
	return p.meansOf(ctx, m, outputs)
}

// tapMean adds the mean of each channel of a value as an output.
func tapMean(g *graph.Graph, value string, rank int) string {
	axes := []int64{0}
	for a := 2; a < rank; a++ {
		axes = append(axes, int64(a))
	}
	out := g.Fresh(value + "_mean")
	g.Add("ReduceMean", []string{value}, []string{out}, graph.IntsAttr("axes", axes...), graph.IntAttr("keepdims", 1))
	g.Expose(out)
	return out
}

// meansOf averages outputs over samples of the calibration.
func (p *Prepared) meansOf(ctx context.Context, m *onnx.Model, outputs []string) ([][]float64, error) {
	samples := p.calibrating()
	sums := make([][]float64, len(outputs))
	err := p.run(ctx, m, samples, outputs, func(_ int, s quant.Session) {
		for o := range outputs {
			values := s.Output(o)
			if sums[o] == nil {
				sums[o] = slices.Repeat([]float64{0}, len(values))
			}
			for c, v := range values {
				sums[o][c] += float64(v) / float64(samples.Len())
			}
		}
	})
	return sums, err
}
