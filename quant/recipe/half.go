package recipe

import (
	"context"

	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/half"
	"emberwing/quant/onnx"
)

// HalfModel is a model that computes in 16-bit floating point.
type HalfModel struct {
	Model    *onnx.Model
	Emulated *onnx.Model // float32, rounds as Model does
	Findings []half.Finding
	Notes    []string
	SQNR     float64 // of the emulation on samples kept aside; 0 without samples
}

// Half converts the model of a job to 16-bit floating point. With samples the
// values of all tensors are measured first, and nodes that exceed what 16 bits
// hold stay in float32; without, only constants are looked at. Nodes named by
// Job.Float stay in float32, and so do operators named by ops; nil is
// half.DefaultBlocked.
func (j *Job) Half(ctx context.Context, ops []string) (*HalfModel, error) {
	g, notes, err := graph.Canonical(j.Model)
	if err != nil {
		return nil, err
	}
	out := &HalfModel{Notes: notes}
	o := half.Options{Ops: ops, Nodes: j.Float}
	var p *Prepared
	if j.Samples != nil && j.Samples.Len() > 0 {
		if p, err = j.measureAll(ctx, g); err != nil {
			return nil, err
		}
		o.Largest = p.largest()
	}
	emulated := g.Clone()
	if out.Findings, err = half.Convert(g, o); err != nil {
		return nil, err
	}
	if _, err = half.Emulate(emulated, o); err != nil {
		return nil, err
	}
	g.Stamp("emberwing", map[string]string{"emberwing.precision": "fp16"})
	if out.Model, err = g.Model(); err != nil {
		return nil, err
	}
	if out.Emulated, err = emulated.Model(); err != nil || p == nil {
		return out, err
	}
	out.SQNR, err = p.Compare(ctx, out.Emulated)
	return out, err
}

// measureAll measures the extremes of every float value.
func (j *Job) measureAll(ctx context.Context, g *graph.Graph) (*Prepared, error) {
	p := &Prepared{Job: j, Graph: g.Clone()}
	calibrate, held := split(j.Samples)
	p.held = &kept{Subset: held}
	shapes := g.Shapes()
	var names []string
	for _, n := range g.Nodes() {
		for _, out := range n.Output {
			if shapes.Float(out) {
				names = append(names, out)
			}
		}
	}
	p.Calibration = calib.New("", calibrate.ID(), calibrate.Len())
	m := calib.Measurer{Graph: p.Graph, Input: j.Input, Open: j.Open, Samples: calibrate, Memory: j.Memory,
		Progress: j.Progress}
	return p, m.Measure(ctx, p.Calibration, names, nil, false)
}

// largest returns the largest magnitude of each value measured.
func (p *Prepared) largest() map[string]float64 {
	out := map[string]float64{}
	for name, s := range p.Calibration.Tensors {
		out[name] = magnitude(calib.Range{Lo: s.Min, Hi: s.Max})
	}
	return out
}
