package qdq

import (
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// lane is the number of channels that integer kernels for x86-64 take at once.
// A convolution over fewer, such as the three of a picture, falls back to
// copying windows, which costs more than the arithmetic.
const lane = 4

// Widen gives the first convolution of a written graph a whole number of
// lanes: the quantised picture gets channels of zero, and the weights zeros for
// them. The result is the same in every bit. It returns how many convolutions
// were widened.
func Widen(g *graph.Graph) int {
	n := 0
	for _, in := range g.Inputs() {
		q := g.Sole(in.GetName())
		if !graph.Is(q, "QuantizeLinear") {
			continue
		}
		dq := g.Sole(q.Output[0])
		if !graph.Is(dq, "DequantizeLinear") {
			continue
		}
		if conv := g.Sole(dq.Output[0]); graph.Is(conv, "Conv") && widen(g, q, dq, conv) {
			n++
		}
	}
	return n
}

// widen pads one convolution, if its weights are integers and need it.
func widen(g *graph.Graph, q, dq, conv *graph.Node) bool {
	w := g.Producer(conv.Input[1])
	if !graph.Is(w, "DequantizeLinear") || graph.Int(conv, "group", 1) != 1 {
		return false
	}
	t, ok := g.Constant(w.Input[0])
	if !ok || t.Type() != onnx.Int8 || len(t.Dims()) != 4 || t.Dims()[1]%lane == 0 {
		return false
	}
	values, err := t.Int8s()
	if err != nil || len(g.Consumers(w.Input[0])) != 1 {
		return false
	}
	dims := t.Dims()
	have, want := dims[1], (dims[1]+lane-1)/lane*lane
	g.SetRaw(w.Input[0], onnx.Int8, []int64{dims[0], want, dims[2], dims[3]},
		padChannels(values, int(dims[0]), int(have*dims[2]*dims[3]), int(want*dims[2]*dims[3])))
	padded := g.Fresh(q.Output[0] + "_wide")
	pads := g.NewInts(padded+"_pads", 0, 0, 0, 0, 0, want-have, 0, 0)
	g.Add("Pad", []string{q.Output[0], pads, q.Input[2]}, []string{padded})
	dq.Input[0] = padded
	g.Touch()
	return true
}

// padChannels lengthens each of n rows from one length to another with zeros.
func padChannels(values []int8, n, from, to int) []byte {
	out := make([]byte, n*to)
	for row := range n {
		for i, v := range values[row*from : (row+1)*from] {
			out[row*to+i] = byte(v)
		}
	}
	return out
}
