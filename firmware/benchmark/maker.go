package benchmark

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/quant/onnx"
)

// Maker makes the candidates of named modes.
type Maker struct {
	Engine      *engine.Engine
	Model       *infer.Model
	Provider    infer.Provider // that is asked for first
	Calibration string         // folder of pictures, "" for none
	Progress    func(what string, done float64)
}

// Modes lists the names that Make knows.
func Modes() []string {
	return []string{"fp32", "fp16", "int8", "int8-dynamic"}
}

// Make returns the candidate of a mode.
func (m *Maker) Make(ctx context.Context, mode string) (Candidate, error) {
	var c Candidate
	var err error
	switch mode {
	case "fp32", "int8":
		c, err = Shipped(m.Model, infer.Precision(mode), m.Provider)
	default:
		return c, fmt.Errorf("make mode: got %q, want one of %s", mode, strings.Join(Modes(), ", "))
	}
	if err != nil {
		return c, fmt.Errorf("make mode %s: %w", mode, err)
	}
	c.Mode = mode
	return c, ctx.Err()
}

// quantised are the operators that make a file an INT8 one.
var quantised = []string{"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}

// precisionOf finds out what a file computes in.
func precisionOf(data []byte) (infer.Precision, error) {
	model, err := onnx.Parse(data, onnx.Limits{})
	if err != nil {
		return "", err
	}
	for _, n := range model.Graph().Nodes() {
		if slices.Contains(quantised, n.Op()) {
			return infer.INT8, nil
		}
	}
	for _, t := range model.Graph().Initializers() {
		if t.Type() == onnx.Float16 {
			return infer.FP16, nil
		}
	}
	return infer.FP32, nil
}
