package roofline

import (
	"errors"
	"fmt"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// Layer is what one operator computes and moves at one picture.
type Layer struct {
	Name string
	Op   string
	MACs int64 // multiply-accumulates; each is two operations
	// Weights, Activations are elements: constants that are read, and values
	// that are read or written.
	Weights     int64
	Activations int64
}

// Count is what a whole model computes and moves at one picture.
type Count struct {
	Layers []Layer
	// Unknown names operators whose shape cannot be told; they count nothing,
	// so the bound is too fast by them.
	Unknown []string
}

// MACs returns the multiply-accumulates of all layers.
func (c Count) MACs() (n int64) {
	for _, l := range c.Layers {
		n += l.MACs
	}
	return n
}

// fused are operators that runtimes fold into the layer before them: they move
// nothing by themselves.
var fused = map[string]bool{
	"QuantizeLinear": true, "DequantizeLinear": true, "DynamicQuantizeLinear": true, "Relu": true, "Clip": true,
	"LeakyRelu": true,
	"PRelu":     true, "Sigmoid": true, "HardSigmoid": true, "HardSwish": true, "BatchNormalization": true,
	"Identity": true,
	"Dropout":  true,
	"Constant": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Shape": true, "Cast": true,
}

// counter knows the shapes of a graph.
type counter struct {
	graph  *onnx.Graph
	shapes graph.Shapes
}

// Of counts the layers of a model. A free dimension of its input counts as 1.
// A model without a layer that could be counted is an error.
func Of(m *onnx.Model) (Count, error) {
	inputs := map[string][]int64{}
	for _, v := range m.Graph().Inputs() {
		if v.Shape.Known {
			inputs[v.Name] = fixed(v.Shape)
		}
	}
	g := graph.New(m)
	g.FoldConstants()
	k := &counter{m.Graph(), g.ShapesFor(inputs)}
	var c Count
	for _, n := range m.Graph().Nodes() {
		if fused[n.Op()] {
			continue
		}
		l, ok := k.layer(n)
		if !ok {
			c.Unknown = append(c.Unknown, n.String())
			continue
		}
		c.Layers = append(c.Layers, l)
	}
	if c.MACs() == 0 {
		return c, errors.New("count layers: got no convolution or matrix product with known shapes")
	}
	return c, nil
}

// fixed gives every free dimension the size 1: one picture.
func fixed(shape onnx.Shape) []int64 {
	out := make([]int64, len(shape.Dims))
	for i, d := range shape.Dims {
		out[i] = max(d.Size, 1)
	}
	return out
}

// elements returns the number of elements of a value, 0 when unknown.
func (k *counter) elements(name string) int64 { return max(0, k.shapes[name].Len()) }

// layer counts one operator.
func (k *counter) layer(n onnx.Node) (Layer, bool) {
	in, out := n.Inputs(), n.Outputs()
	if len(in) == 0 || len(out) == 0 || !k.shapes[out[0]].Static() {
		return Layer{}, false
	}
	l := Layer{Name: name(n), Op: n.Op(), Activations: k.elements(out[0])}
	for _, input := range in {
		switch {
		case input == "": // left out
		case k.isConstant(input):
			l.Weights += k.elements(input)
		default:
			l.Activations += k.elements(input)
		}
	}
	if l.Op == "Add" || l.Op == "Mul" {
		// Fused into the layer that writes the result anyway: only the other
		// side is read.
		l.Activations = k.elements(in[len(in)-1])
	}
	l.MACs = k.macs(n, in, out[0])
	return l, true
}

func name(n onnx.Node) string {
	if n.Name() != "" {
		return n.Name()
	}
	return n.Outputs()[0]
}

// isConstant follows a value back through quantise pairs to an initializer.
func (k *counter) isConstant(name string) bool {
	for range 4 {
		if _, ok := k.graph.Initializer(name); ok {
			return true
		}
		n, ok := k.graph.Producer(name)
		if !ok {
			return false
		}
		if n.Op() == "Constant" {
			return true
		}
		if op := n.Op(); op != "QuantizeLinear" && op != "DequantizeLinear" {
			return false
		}
		name = n.Inputs()[0]
	}
	return false
}

// macs counts the products of an operator; elementwise ones have none.
func (k *counter) macs(n onnx.Node, in []string, out string) int64 {
	switch n.Op() {
	case "Conv", "ConvInteger", "QLinearConv":
		w := k.shapes[in[1]]
		if !w.Static() || len(w.Dims) < 2 || w.Dims[0] == 0 {
			return 0
		}
		return k.elements(out) * (w.Len() / w.Dims[0]) // the weights of one output channel
	case "Gemm", "MatMul", "MatMulInteger":
		x := k.shapes[in[0]]
		if !x.Static() || len(x.Dims) == 0 {
			return 0
		}
		inner := x.Dims[len(x.Dims)-1]
		if v, err := n.Int("transA"); err == nil && v == 1 {
			inner = x.Dims[0]
		}
		return k.elements(out) * inner
	}
	return 0
}

// Machine is what bounds the speed.
type Machine struct {
	OpsPerSecond   float64 // peak of the precision; a multiply-accumulate is two; 0 = unknown
	BytesPerSecond float64 // of the memory
	ElementBytes   int64   // of the precision: 4, 2 or 1
}

// Limits names what bounds a layer.
const (
	Compute   = "compute"
	Bandwidth = "bandwidth"
)

// Bound is the least time of a layer or a model.
type Bound struct {
	Seconds   float64
	Bytes     int64
	LimitedBy string
}

// Bound returns the least time of one layer.
func (m Machine) Bound(l Layer) Bound {
	b := Bound{Bytes: (l.Weights + l.Activations) * m.ElementBytes, LimitedBy: Bandwidth}
	b.Seconds = float64(b.Bytes) / m.BytesPerSecond
	if m.OpsPerSecond > 0 {
		if t := 2 * float64(l.MACs) / m.OpsPerSecond; t > b.Seconds {
			b.Seconds, b.LimitedBy = t, Compute
		}
	}
	return b
}

// Total returns the least time of all layers one after the other, limited by
// what limits most of it. An unknown bandwidth is an error.
func (m Machine) Total(c Count) (Bound, error) {
	if m.BytesPerSecond <= 0 {
		return Bound{}, fmt.Errorf("bound speed: the memory bandwidth is unknown")
	}
	total, by := Bound{LimitedBy: Bandwidth}, map[string]float64{}
	for _, l := range c.Layers {
		b := m.Bound(l)
		total.Seconds += b.Seconds
		total.Bytes += b.Bytes
		by[b.LimitedBy] += b.Seconds
	}
	if by[Compute] > by[Bandwidth] {
		total.LimitedBy = Compute
	}
	return total, nil
}
