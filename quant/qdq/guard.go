package qdq

import (
	"slices"

	"emberwing/quant/graph"
)

// guard keeps the nodes in float that were asked to stay. ONNX Runtime from
// about 1.21 on quantises the weights and the bias of a convolution or matrix
// product by itself when its input is dequantised and its output quantised,
// with one scale for all weights; a depthwise convolution can lose everything
// by that. A Clip without limits before the node changes no value and is left
// alone by every release that was tried, which other operators without effect
// are not.
func (w *writer) guard() {
	for _, n := range slices.Clone(w.g.Nodes()) {
		if !w.Float[n.GetName()] || !graph.Is(n, "Conv", "ConvTranspose", "Gemm") ||
			!graph.Is(w.g.Producer(n.Input[0]), "DequantizeLinear") {
			continue
		}
		out := w.g.Fresh(n.GetName() + "_float")
		w.g.Add("Clip", []string{n.Input[0]}, []string{out})
		n.Input[0] = out
		w.g.Touch()
	}
}
