package benchmark

import (
	"fmt"
	"os"
	"path/filepath"

	"emberwing/infer/ort"
	"emberwing/quant/audit"
	"emberwing/quant/onnx"
)

// Audit lets the library optimise the model for this machine's CPU and compares
// the graph that it would run with the plan in the file.
func Audit(rt *ort.Runtime, data []byte) (*audit.Report, error) {
	model, err := onnx.Parse(data, onnx.Limits{})
	if err != nil {
		return nil, err
	}
	plan, err := audit.Prepare(model)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "emberwing-audit-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "running.onnx")
	o := ort.NetOptions{Inputs: netInputs(plan.Graph()), Optimised: file}
	for _, out := range plan.Graph().Outputs() {
		o.Outputs = append(o.Outputs, out.Name)
	}
	net, err := rt.OpenNet(plan.Bytes(), o)
	if err != nil {
		return nil, err
	}
	if err := net.Close(); err != nil {
		return nil, err
	}
	running, err := onnx.ReadFile(file, onnx.Limits{})
	if err != nil {
		return nil, fmt.Errorf("read the optimised graph: %w", err)
	}
	return audit.Compare(plan, running), nil
}

// netInputs declares the inputs of a graph; a free dimension becomes 1.
func netInputs(g *onnx.Graph) []ort.NetInput {
	var out []ort.NetInput
	for _, v := range g.Inputs() {
		in := ort.NetInput{Name: v.Name}
		for _, d := range v.Shape.Dims {
			in.Shape = append(in.Shape, max(d.Size, 1))
		}
		out = append(out, in)
	}
	return out
}
