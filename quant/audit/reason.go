package audit

import (
	"fmt"
	"math"
	"slices"

	"emberwing/quant/onnx"
)

// fusable are the operators that have an integer kernel on the CPU.
var fusable = []string{"Conv", "MatMul", "Gemm", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu",
	"Softmax", "Add", "Mul", "Concat", "Where"}

// movers hand integers through, so that only their pairs vanish.
var movers = []string{"DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "MaxPool", "ReduceMax",
	"ReduceMin", "Reshape", "Resize",
	"Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "ArgMax"}

// reason explains why a node of the plan is computed in float; now is the same
// node in the graph that runs.
func (c *comparison) reason(n, now onnx.Node) string {
	switch {
	case n.Op() == "Clip" || n.Op() == "Relu":
		return c.activationReason(n)
	case !slices.Contains(fusable, n.Op()) && !slices.Contains(movers, n.Op()):
		return "ONNX Runtime's CPU provider has no integer " + n.Op() + ": leave it out of the plan, or replace it"
	}
	for _, check := range []func(n, now onnx.Node) string{c.floatInput, c.floatOutput, c.types, c.weights, c.scales,
		c.bias} {
		if why := check(n, now); why != "" {
			return why
		}
	}
	return "kept in float by a rule of this version of ONNX Runtime that the audit does not know"
}

// activationReason: a Clip or Relu vanishes only when the quantiser behind it
// cuts at the same bounds.
func (c *comparison) activationReason(n onnx.Node) string {
	q, ok := c.soleConsumer(n)
	if !ok || q.Op() != "QuantizeLinear" {
		return "its output does not go to one QuantizeLinear alone, so nothing else can do its work"
	}
	low, high, ok := span(c.plan, q)
	if !ok {
		return "the quantiser behind it is not constant, so that nobody knows whether it cuts at the same bounds"
	}
	return fmt.Sprintf("the quantiser behind it represents [%.4g, %.4g] and so does not do its work: with an "+
		"asymmetric uint8 output "+
		"(zero point at the lower bound) it can be left out", low, high)
}

// soleConsumer returns the only reader of a node's first output.
func (c *comparison) soleConsumer(n onnx.Node) (onnx.Node, bool) {
	readers := c.plan.Consumers(n.Outputs()[0])
	if len(readers) != 1 {
		return onnx.Node{}, false
	}
	return readers[0], true
}

// span returns the least and the greatest value that a quantiser represents.
func span(g *onnx.Graph, q onnx.Node) (low, high float64, ok bool) {
	scale, zero, kind, ok := parameters(g, q)
	if !ok || len(scale) != 1 {
		return 0, 0, false
	}
	least, most := 0.0, 255.0
	if kind == onnx.Int8 {
		least, most = -128, 127
	}
	z := 0.0
	if len(zero) == 1 {
		z = float64(zero[0])
	}
	return (least - z) * float64(scale[0]), (most - z) * float64(scale[0]), true
}

// parameters returns scales, zero points and integer type of half a pair.
func parameters(g *onnx.Graph, n onnx.Node) (scale []float32, zero []int64, kind onnx.ElemType, ok bool) {
	in := n.Inputs()
	kind = onnx.Uint8 // where the zero point is left out
	if len(in) < 2 {
		return nil, nil, kind, false
	}
	if scale, ok = floats(g, in[1]); !ok {
		return nil, nil, kind, false
	}
	if len(in) > 2 && in[2] != "" {
		t, found := g.Initializer(in[2])
		if !found {
			return nil, nil, kind, false
		}
		kind = t.Type()
		zero, _ = t.Int64s()
	} else if t, found := g.Initializer(in[0]); found && n.Op() == "DequantizeLinear" {
		kind = t.Type()
	}
	return scale, zero, kind, true
}

func floats(g *onnx.Graph, name string) ([]float32, bool) {
	t, ok := g.Initializer(name)
	if !ok {
		return nil, false
	}
	v, err := t.Float32s()
	return v, err == nil
}

// dataInputs is how many inputs of an operator carry data that must be
// dequantised; the others are parameters.
func dataInputs(n onnx.Node) []string {
	in := n.Inputs()
	if slices.Contains(movers, n.Op()) && len(in) > 1 {
		return in[:1]
	}
	return in
}

func (c *comparison) floatInput(n, _ onnx.Node) string {
	for i, in := range dataInputs(n) {
		if in == "" || opOf(c.plan, in) == "DequantizeLinear" || isBias(n, i) {
			continue
		}
		from := opOf(c.plan, in)
		if from == "" {
			from = "a graph input or constant"
		}
		return fmt.Sprintf("input %q comes from %s and not from a DequantizeLinear", in, from)
	}
	return ""
}

// isBias reports the third input of an operator with weights.
func isBias(n onnx.Node, i int) bool { return i == 2 && weighted(n) }

func (c *comparison) floatOutput(n, _ onnx.Node) string {
	for _, out := range n.Outputs() {
		if slices.ContainsFunc(c.plan.Outputs(), func(v onnx.Value) bool { return v.Name == out }) {
			return fmt.Sprintf("output %q is an output of the graph: put a pair between them", out)
		}
		for _, reader := range c.plan.Consumers(out) {
			if reader.Op() != "QuantizeLinear" {
				return fmt.Sprintf("output %q is read by %s and not only by a QuantizeLinear", out, reader)
			}
		}
	}
	return ""
}

// types compares the integer types around the node in the graph that runs:
// on x86 the runtime rewrites int8 activations to uint8, but only where one
// DequantizeLinear reads the QuantizeLinear.
func (c *comparison) types(_, now onnx.Node) string {
	in, from := c.inputType(now)
	out, to := c.outputType(now)
	if in == onnx.Undefined || out == onnx.Undefined || in == out {
		return ""
	}
	shared := to
	if in == onnx.Int8 {
		shared = from
	}
	return fmt.Sprintf("its input is %s and its output %s in the graph that runs: on x86 ONNX Runtime rewrites int8 "+
		"activations to uint8, "+
		"but not %q, which several DequantizeLinear read; write uint8 activations", in, out, shared)
}

// inputType returns the integer type of the first dequantised activation.
func (c *comparison) inputType(n onnx.Node) (onnx.ElemType, string) {
	for _, in := range n.Inputs() {
		dq, ok := c.running.Producer(in)
		if !ok || dq.Op() != "DequantizeLinear" {
			continue
		}
		if _, constant := c.running.Initializer(dq.Inputs()[0]); constant {
			continue
		}
		_, _, kind, ok := parameters(c.running, dq)
		if ok {
			return kind, dq.Inputs()[0]
		}
	}
	return onnx.Undefined, ""
}

func (c *comparison) outputType(n onnx.Node) (onnx.ElemType, string) {
	for _, q := range c.running.Consumers(n.Outputs()[0]) {
		if q.Op() != "QuantizeLinear" {
			continue
		}
		if _, _, kind, ok := parameters(c.running, q); ok {
			return kind, q.Outputs()[0]
		}
	}
	return onnx.Undefined, ""
}

// dequantised returns the DequantizeLinear of input i of the plan.
func (c *comparison) dequantised(n onnx.Node, i int) (onnx.Node, bool) {
	in := n.Inputs()
	if i >= len(in) || in[i] == "" {
		return onnx.Node{}, false
	}
	dq, ok := c.plan.Producer(in[i])
	return dq, ok && dq.Op() == "DequantizeLinear"
}

// weighted are the operators with a constant second input.
func weighted(n onnx.Node) bool { return n.Op() == "Conv" || n.Op() == "Gemm" || n.Op() == "MatMul" }

func (c *comparison) weights(n, now onnx.Node) string {
	if !weighted(n) {
		return ""
	}
	w, ok := c.dequantised(n, 1)
	if !ok {
		return ""
	}
	if q, ok := c.plan.Producer(w.Inputs()[0]); ok && q.Op() == "QuantizeLinear" {
		if _, ok := c.plan.Initializer(q.Inputs()[0]); ok {
			return "its weights are float behind a QuantizeLinear, which only newer versions fold: write them as integers"
		}
	}
	_, _, kind, _ := parameters(c.plan, w)
	if in, _ := c.inputType(now); in == onnx.Int8 && kind == onnx.Uint8 {
		return "its weights are uint8 and its input int8: no kernel multiplies them"
	}
	return ""
}

// scales: an activation has one scale, given as a scalar.
func (c *comparison) scales(n, _ onnx.Node) string {
	for i, in := range dataInputs(n) {
		if weighted(n) && i > 0 {
			break
		}
		if dq, ok := c.dequantised(n, i); ok {
			if scale, _, _, known := parameters(c.plan, dq); !known || len(scale) != 1 {
				return fmt.Sprintf("input %q has %d scales or one that is not constant, want one", in, len(scale))
			}
		}
	}
	return ""
}

// bias: int32, zero point 0, scale = scale of the input x scale of the weights.
func (c *comparison) bias(n, _ onnx.Node) string {
	b, ok := c.dequantised(n, 2)
	if in := n.Inputs(); weighted(n) && len(in) > 2 && in[2] != "" && !ok {
		return fmt.Sprintf("bias %q is float: older versions of ONNX Runtime want int32 with a DequantizeLinear", in[2])
	}
	x, hasX := c.dequantised(n, 0)
	w, hasW := c.dequantised(n, 1)
	if !weighted(n) || !ok || !hasX || !hasW {
		return ""
	}
	sb, zero, kind, _ := parameters(c.plan, b)
	sx, _, _, _ := parameters(c.plan, x)
	sw, _, _, _ := parameters(c.plan, w)
	switch {
	case kind != onnx.Int32:
		return fmt.Sprintf("its bias is %s, want int32", kind)
	case slices.ContainsFunc(zero, func(z int64) bool { return z != 0 }):
		return "its bias has a zero point that is not 0"
	case len(sx) != 1 || len(sb) != len(sw):
		return fmt.Sprintf("its bias has %d scales, want %d like the weights", len(sb), len(sw))
	}
	for i := range sb {
		if want := float64(sx[0]) * float64(sw[i]); math.Abs(float64(sb[i])-want) > 1e-3*want {
			return fmt.Sprintf("the scale of its bias in channel %d is %.6g, want %.6g = scale of the input x scale of the "+
				"weights", i, sb[i], want)
		}
	}
	return ""
}
