package benchmark

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/infer/ort"
	"emberwing/quant/bench"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// errUnlike means that a model answers otherwise in batches.
var errUnlike = errors.New("answers differ from those of single pictures")

// openBatch opens a model for n pictures in one run on the CPU, and checks on
// the inputs given that it answers as for single ones. The caller closes it.
func openBatch(rt *ort.Runtime, data []byte, m *infer.Model, n, threads int, inputs [][]float32) (*ort.Net, error) {
	parsed, err := onnx.Parse(data, onnx.Limits{})
	if err != nil {
		return nil, err
	}
	g := graph.New(parsed)
	if err := g.Batch(int64(n)); err != nil {
		return nil, err
	}
	wide, err := g.Model()
	if err != nil {
		return nil, err
	}
	o := ort.NetOptions{Outputs: []string{m.Output.Name}, Threads: threads,
		Inputs: []ort.NetInput{{Name: m.Input.Name, Shape: slices.Clone(m.Input.Shape)}}}
	single, err := rt.OpenNet(data, o)
	if err != nil {
		return nil, err
	}
	defer single.Close()
	o.Inputs[0].Shape = append([]int64{int64(n)}, m.Input.Shape[1:]...)
	batch, err := rt.OpenNet(wide.Bytes(), o)
	if err != nil {
		return nil, err
	}
	if err := agree(single, batch, inputs); err != nil {
		return nil, errors.Join(err, batch.Close())
	}
	return batch, nil
}

// batchTolerance is the largest difference of an output between batch sizes,
// as a share of the largest output: float kernels sum in another order.
const batchTolerance = 0.01

// agree compares a batch with single runs.
func agree(single, batch *ort.Net, inputs [][]float32) error {
	fill(batch, inputs, 0)
	if err := batch.Run(); err != nil {
		return err
	}
	size := len(single.Input(0))
	for i := range len(batch.Input(0)) / size {
		copy(single.Input(0), inputs[i%len(inputs)])
		if err := single.Run(); err != nil {
			return err
		}
		want := single.Output(0)
		got := batch.Output(0)
		if len(got) != len(want)*len(batch.Input(0))/size {
			return fmt.Errorf("%w: got %d numbers", errUnlike, len(got))
		}
		for k, w := range want {
			if d := math.Abs(float64(got[i*len(want)+k] - w)); d > batchTolerance*largest(want) {
				return fmt.Errorf("%w: got %v, want %v", errUnlike, got[i*len(want)+k], w)
			}
		}
	}
	return nil
}

// largest returns the largest magnitude.
func largest(values []float32) float64 {
	return math.Max(math.Abs(float64(slices.Max(values))), math.Abs(float64(slices.Min(values))))
}

// fill puts inputs from the i-th on into a batch, round about.
func fill(batch *ort.Net, inputs [][]float32, i int) {
	in := batch.Input(0)
	for at := 0; at < len(in); at += len(inputs[0]) {
		copy(in[at:], inputs[i%len(inputs)])
		i++
	}
}

// scenarios measures the scenarios of several pictures. Modes whose model takes
// batches are measured so, in turns; others are scored by their single runs.
func (r *run) scenarios(ctx context.Context, e *engine.Engine, modes []*subject, single []bench.Timing,
	clock bench.Clock) error {
	var subjects []bench.Subject
	batched := map[*subject]int{} // to its place among the subjects
	for _, s := range modes {
		net := r.batchOf(e, s)
		if net == nil {
			continue
		}
		defer net.Close()
		batched[s] = len(subjects)
		subjects = append(subjects, bench.Subject{Name: s.Mode, Run: net.Run,
			Prepare: func(i int) { fill(net, r.inputs, bench.Samples*i) }})
	}
	plan := bench.Plan{Turns: r.Plan.Turns, Runs: max(1, r.Plan.Runs/bench.Samples), Warm: 1}
	batches, err := bench.Interleave(ctx, subjects, plan, clock,
		func(done float64) { r.Progress("taking turns in batches", done) })
	if err != nil {
		return err
	}
	for i, s := range modes {
		for _, kind := range r.Scenarios {
			result := kind.Score(single[i].Wall, 1)
			if at, ok := batched[s]; ok && kind.Several() {
				result = kind.Score(batches[at].Wall, bench.Samples)
			}
			s.line.Scenarios = append(s.line.Scenarios, result)
		}
	}
	return nil
}

// batchOf opens a mode for the pictures of one query, nil where no scenario
// asks for it or the model takes one picture at a time.
func (r *run) batchOf(e *engine.Engine, s *subject) *ort.Net {
	if !slices.ContainsFunc(r.Scenarios, bench.Scenario.Several) || s.line.Provider != string(infer.CPU) {
		return nil
	}
	net, err := openBatch(e.Runtime(), s.Data, r.Model, bench.Samples, r.Session.Threads, r.inputs)
	if err != nil {
		r.Warn(fmt.Errorf("mode %s takes one picture a run: %w", s.Mode, err))
		return nil
	}
	return net
}
