// Package dynamic quantises convolutions and matrix products without
// calibration: weights are stored as 8-bit integers, and the range of each
// activation is taken from the activation itself, at every run.
//
// It is there to be compared with. For convolutional networks on a CPU it is
// rarely worth using: measuring every tensor at every run costs more than the
// integers save, and ONNX Runtime's ConvInteger is not an optimised kernel.
package dynamic

import (
	"errors"
	"math"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// zeroPoint of the weights: ONNX Runtime's ConvInteger wants them unsigned.
const zeroPoint = 128

// Write returns a copy of a float model in canonical form whose convolutions
// and matrix products with constant weights compute in integers, and their
// number. Weights are symmetric with one scale for each output channel. A
// model without any is an error.
func Write(m *onnx.Model) (*onnx.Model, int, error) {
	g, _, err := graph.Canonical(m)
	if err != nil {
		return nil, 0, err
	}
	w := &writer{Graph: g, quantised: map[string]activation{}}
	for _, n := range append([]*graph.Node(nil), g.Nodes()...) {
		w.node(n)
	}
	if w.count == 0 {
		return nil, 0, errors.New("quantise: got no convolution or matrix product with constant weights")
	}
	g.Stamp("emberwing", map[string]string{"emberwing.target": "dynamic"})
	out, err := g.Model()
	return out, w.count, err
}

// writer rewrites one graph.
type writer struct {
	*graph.Graph
	quantised map[string]activation // by the float value
	count     int
}

// activation is a value as integers with scale and zero point.
type activation struct{ integers, scale, zero string }

// of returns the quantised form of a value, made once.
func (w *writer) of(value string) activation {
	a, ok := w.quantised[value]
	if !ok {
		a = activation{w.Fresh(value + "_u8"), w.Fresh(value + "_scale"), w.Fresh(value + "_zero")}
		w.Add("DynamicQuantizeLinear", []string{value}, []string{a.integers, a.scale, a.zero})
		w.quantised[value] = a
	}
	return a
}

// node rewrites a convolution or matrix product whose weights are constant.
func (w *writer) node(n *graph.Node) {
	if len(n.Input) < 2 || !graph.Is(n, "Conv", "Gemm") {
		return
	}
	values, dims, ok := w.Floats(n.Input[1])
	if !ok || len(dims) < 2 {
		return
	}
	if n.GetOpType() == "Gemm" {
		if graph.Int(n, "transA", 0) != 0 || graph.Float(n, "alpha", 1) != 1 || graph.Float(n, "beta", 1) != 1 {
			return
		}
		if graph.Int(n, "transB", 0) == 0 {
			values, dims = transposed(values, dims)
		}
	}
	w.count++
	w.replace(n, values, dims)
}

// transposed turns rows into columns.
func transposed(values []float32, dims []int64) ([]float32, []int64) {
	rows, columns := int(dims[0]), int(dims[1])
	out := make([]float32, len(values))
	for r := range rows {
		for c := range columns {
			out[c*rows+r] = values[r*columns+c]
		}
	}
	return out, []int64{dims[1], dims[0]}
}

// replace writes the node in integers: weights have their output channels
// first.
func (w *writer) replace(n *graph.Node, values []float32, dims []int64) {
	integers, scales := quantise(values, int(dims[0]))
	name, x := n.Output[0], w.of(n.Input[0])
	zero := w.Fresh(name + "_weight_zero")
	w.SetRaw(zero, onnx.Uint8, nil, []byte{zeroPoint})
	weights, product := w.Fresh(name+"_weight"), w.Fresh(name+"_i32")
	channel := []int64{1, dims[0], 1, 1}
	if n.GetOpType() == "Conv" {
		w.SetRaw(weights, onnx.Uint8, dims, integers)
		w.Add("ConvInteger", []string{x.integers, weights, x.zero, zero}, []string{product}, n.Attribute...)
		channel = channel[:len(dims)]
	} else {
		w.SetRaw(weights, onnx.Uint8, []int64{dims[1], dims[0]}, columns(integers, dims))
		w.Add("MatMulInteger", []string{x.integers, weights, x.zero, zero}, []string{product})
		channel = channel[:2]
	}
	bias := ""
	if len(n.Input) > 2 {
		bias = n.Input[2]
	}
	w.Remove(n)
	w.rescale(product, x.scale, w.NewFloats(name+"_weight_scale", channel, scales), bias, channel, name)
}

// columns turns [out,in] into [in,out].
func columns(integers []byte, dims []int64) []byte {
	rows, inner := int(dims[0]), int(dims[1])
	out := make([]byte, len(integers))
	for r := range rows {
		for c := range inner {
			out[c*rows+r] = integers[r*inner+c]
		}
	}
	return out
}

// rescale makes floats of integer sums and adds the bias.
func (w *writer) rescale(product, xScale, wScale, bias string, channel []int64, out string) {
	float, scale, scaled := w.Fresh(out+"_f32"), w.Fresh(out+"_both_scales"), out
	if bias != "" {
		scaled = w.Fresh(out + "_scaled")
	}
	w.Add("Cast", []string{product}, []string{float}, graph.IntAttr("to", int64(onnxpb.TensorProto_FLOAT)))
	w.Add("Mul", []string{wScale, xScale}, []string{scale})
	w.Add("Mul", []string{float, scale}, []string{scaled})
	if bias == "" {
		return
	}
	if values, _, ok := w.Floats(bias); ok {
		bias = w.NewFloats(out+"_bias", channel, values)
	}
	w.Add("Add", []string{scaled, bias}, []string{out})
}

// quantise rounds weights, output channels first, to 1..255 around zeroPoint.
func quantise(values []float32, channels int) ([]byte, []float32) {
	integers, scales := make([]byte, len(values)), make([]float32, channels)
	n := len(values) / channels
	for c := range channels {
		row := values[c*n : (c+1)*n]
		largest := 0.0
		for _, v := range row {
			largest = math.Max(largest, math.Abs(float64(v)))
		}
		scale := largest / 127
		if scale == 0 {
			scale = 1
		}
		scales[c] = float32(scale)
		for i, v := range row {
			integers[c*n+i] = byte(math.RoundToEven(float64(v)/float64(scales[c])) + zeroPoint)
		}
	}
	return integers, scales
}
