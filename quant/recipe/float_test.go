package recipe_test

import (
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// uneven returns a network with a depthwise convolution, "Conv_2", whose
// channels have weights of such different sizes that one scale for all of them
// leaves nothing of most. ReLU6 behind it evens the results out.
func uneven(t *testing.T) *onnx.Model {
	t.Helper()
	b := quanttest.NewBuilder(7)
	x := b.Input("input", 1, 3, 16, 16)
	x = b.Node("Relu", []string{b.Conv(x, 3, 8, 3, 1, 1, true)})
	weights := make([]float32, 8*9)
	for i := range weights {
		weights[i] = 0.002 + 0.0001*float32(i%7)
		if i < 9 {
			weights[i] = float32(i%3) - 0.5
		}
	}
	x = b.Node("Conv", []string{x, b.Floats([]int64{8, 1, 3, 3}, weights...), b.Floats([]int64{8}, make([]float32, 8)...)},
		graph.IntsAttr("kernel_shape", 3, 3), graph.IntsAttr("pads", 1, 1, 1, 1), graph.IntAttr("group", 8))
	x = b.Node("Clip", []string{x, b.Floats(nil, 0), b.Floats(nil, 0.05)})
	x = b.Node("Relu", []string{b.Conv(x, 8, 8, 1, 1, 1, true)})
	x = b.Node("Flatten", []string{b.Node("GlobalAveragePool", []string{x})})
	b.Node("Gemm", []string{x, b.Random(0, 1, 5, 8), b.Random(0, 0.1, 5)}, graph.IntAttr("transB", 1))
	b.Output(b.Rename("logits"))
	return b.Model(t, 13)
}

// TestNodesInFloatStayInFloat: the runtime must not quantise by itself, with
// one scale for all channels, what was asked to stay in float.
func TestNodesInFloatStayInFloat(t *testing.T) {
	j := job(t, "cpu-vnni")
	j.Model, j.Method = uneven(t), "minmax"
	all := written(t, j).Choice.SQNR
	j.Float = []string{"Conv_2"}
	if got := written(t, j).Choice.SQNR; got < all-3 {
		t.Errorf("the depthwise convolution in float: got %.1f dB, with everything in integers %.1f", got, all)
	}
}
