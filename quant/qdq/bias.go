package qdq

import "emberwing/quant/graph"

// correct returns the bias less the mean of what rounding the weights adds to
// each output: sum over the kernel of (rounded - exact) * mean of the input
// channel (Nagel et al., "Data-Free Quantization", 2019, section 4.2, with
// measured means). With the moments of the windows it is exact, with the means
// of channels an approximation at padded borders. Without means, or in a node
// without bias, the bias is returned as it is.
func (w *writer) correct(n *graph.Node, values []float32, dims []int64, scales, bias []float32,
	ints []int32) []float32 {
	mean, ok := w.meanOf(n, dims, len(bias))
	if bias == nil || !ok || graph.Is(n, "ConvTranspose") {
		return bias
	}
	shift := make([]float64, len(bias))
	for i, v := range values {
		c := graph.ChannelOf(n, dims, i)
		shift[c] += (float64(ints[i])*float64(scales[c]) - float64(v)) * mean(i)
	}
	out := make([]float32, len(bias))
	for c := range out {
		out[c] = bias[c] - float32(shift[c])
	}
	return out
}

// meanOf returns the function from the index of a weight to the mean of what it
// multiplies, if that is known.
func (w *writer) meanOf(n *graph.Node, dims []int64, outputs int) (func(int) float64, bool) {
	if m := w.Moments[n.GetName()]; m != nil {
		return m.MeanOf, true
	}
	means, last := w.Means[n.Input[0]], 1
	for _, d := range dims {
		last *= int(d)
	}
	inputOf := inputChannel(n, dims, outputs)
	if means == nil || inputOf(last-1) >= len(means) {
		return nil, false // unknown, or not laid out as the weights expect
	}
	return func(i int) float64 { return means[inputOf(i)] }, true
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
