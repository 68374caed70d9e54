package qdq

import "emberwing/quant/graph"

// correct returns the bias less the mean of what rounding the weights adds to
// each output: sum over the kernel of (rounded - exact) * mean of the input
// channel (Nagel et al., "Data-Free Quantization", 2019, section 4.2, with
// measured means). At padded borders it is an approximation. Without means, or
// in a node without bias, the bias is returned as it is.
func (w *writer) correct(n *graph.Node, values []float32, dims []int64, scales, bias []float32) []float32 {
	means := w.Means[n.Input[0]]
	if bias == nil || means == nil || graph.Is(n, "ConvTranspose") {
		return bias
	}
	shift := make([]float64, len(bias))
	inputOf := inputChannel(n, dims, len(bias))
	for i, v := range values {
		c, in := graph.ChannelOf(n, dims, i), inputOf(i)
		if in >= len(means) {
			return bias // the input is not laid out as the weights expect
		}
		rounded := float64(roundWeight(v, scales[c], w.Profile.WeightMax)) * float64(scales[c])
		shift[c] += (rounded - float64(v)) * means[in]
	}
	out := make([]float32, len(bias))
	for c := range out {
		out[c] = bias[c] - float32(shift[c])
	}
	return out
}

// inputChannel returns the function from the index of a weight to the input
// channel it multiplies.
func inputChannel(n *graph.Node, dims []int64, outputs int) func(int) int {
	inner := 1
	for _, d := range dims[1:] {
		inner *= int(d)
	}
	switch {
	case graph.Is(n, "Conv"):
		perGroup, kernel := int(dims[1]), inner/int(dims[1])
		groups := max(1, int(graph.Int(n, "group", 1)))
		return func(i int) int {
			group := i / inner / max(1, outputs/groups)
			return group*perGroup + i%inner/kernel
		}
	case graph.Is(n, "Gemm") && graph.Int(n, "transB", 0) == 1:
		return func(i int) int { return i % inner }
	}
	return func(i int) int { return i / inner } // [inputs, outputs]
}

// lower subtracts a measured shift from a bias.
func lower(bias, shift []float32) []float32 {
	if len(bias) == 0 || len(shift) != len(bias) { // nil, a node without bias, stays nil
		return bias
	}
	out := make([]float32, len(bias))
	for c := range out {
		out[c] = bias[c] - shift[c]
	}
	return out
}
