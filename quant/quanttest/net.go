package quanttest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Input is the input of Net.
func Input() quant.Input { return quant.Input{Name: "input", Dims: []int64{1, 3, 16, 16}} }

// Conv adds a convolution of k by k with padding and returns its output.
// groups equal to in makes it depthwise. bias says whether it has one.
func (b *Builder) Conv(x string, in, out, k, stride, groups int64, bias bool) string {
	inputs := []string{x, b.Random(0, 1.2/float64(k), out, in/groups, k, k)}
	if bias {
		inputs = append(inputs, b.Random(0, 0.3, out))
	}
	p := k / 2
	return b.Node("Conv", inputs, graph.IntsAttr("kernel_shape", k, k), graph.IntsAttr("strides", stride, stride),
		graph.IntsAttr("pads", p, p, p, p), graph.IntAttr("group", groups))
}

// Norm adds a batch norm.
func (b *Builder) Norm(x string, c int64) string {
	return b.Node("BatchNormalization", []string{x, b.Positive(c), b.Random(0, 0.3, c), b.Random(0, 0.3, c),
		b.Positive(c)})
}

// ReLU6 adds Clip(0, 6) with its limits as Constant nodes, as PyTorch does.
func (b *Builder) ReLU6(x string) string {
	return b.Node("Clip", []string{x, b.constant(0), b.constant(6)})
}

// constant adds a Constant node of one number.
func (b *Builder) constant(v float32) string {
	b.Floats(nil, v)
	last := len(b.Graph.Initializer) - 1
	t := b.Graph.Initializer[last]
	b.Graph.Initializer = b.Graph.Initializer[:last]
	t.Name = nil
	return b.Node("Constant", nil, &onnxpb.AttributeProto{Name: ptr("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(),
		T: t})
}

func ptr[T any](v T) *T { return &v }

// Gate adds a squeeze-and-excitation gate, as in MobileNetV3.
func (b *Builder) Gate(x string, c int64) string {
	s := b.Node("GlobalAveragePool", []string{x})
	s = b.Node("Relu", []string{b.Conv(s, c, c/2, 1, 1, 1, true)})
	s = b.Node("HardSigmoid", []string{b.Conv(s, c/2, c, 1, 1, 1, true)}, graph.FloatAttr("alpha", 1.0/6),
		graph.FloatAttr("beta", 0.5))
	return b.Node("Mul", []string{x, s})
}

// HardSwish adds x*HardSigmoid(x).
func (b *Builder) HardSwish(x string) string {
	s := b.Node("HardSigmoid", []string{x}, graph.FloatAttr("alpha", 1.0/6), graph.FloatAttr("beta", 0.5))
	return b.Node("Mul", []string{x, s})
}

// Net builds a small network at opset 13 with batch norms, ReLU6, a depthwise
// convolution, hard swish, a gate, a residual addition, pools, a
// concatenation, nearest resizing, dropout, identities and two outputs:
// "logits" [1,5] and "features" [1,24].
func Net(t testing.TB) *onnx.Model {
	t.Helper()
	b := NewBuilder(7)
	x := b.Input("input", 1, 3, 16, 16)
	x = b.ReLU6(b.Norm(b.Conv(x, 3, 8, 3, 2, 1, false), 8))
	y := b.HardSwish(b.Norm(b.Conv(x, 8, 8, 3, 1, 8, false), 8))
	y = b.Conv(b.Gate(y, 8), 8, 8, 1, 1, 1, true)
	x = b.Node("Identity", []string{b.Node("Add", []string{x, y})})
	left := b.Node("MaxPool", []string{x}, graph.IntsAttr("kernel_shape", 2, 2), graph.IntsAttr("strides", 2, 2))
	right := b.Node("AveragePool", []string{b.Node("Relu", []string{b.Conv(x, 8, 16, 3, 1, 1, true)})},
		graph.IntsAttr("kernel_shape", 2, 2), graph.IntsAttr("strides", 2, 2))
	x = b.Node("Concat", []string{left, right}, graph.IntAttr("axis", 1))
	scales := b.Floats([]int64{4}, 1, 1, 2, 2)
	x = b.Node("Resize", []string{x, "", scales}, &onnxpb.AttributeProto{Name: ptr("mode"),
		Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte("nearest")})
	x = b.Node("Relu", []string{b.Conv(x, 24, 24, 3, 2, 1, true)})
	b.Node("Flatten", []string{b.Node("GlobalAveragePool", []string{x})})
	x = b.Node("Dropout", []string{b.Rename("features")})
	b.Node("Gemm", []string{x, b.Random(0, 0.3, 5, 24), b.Random(0, 0.3, 5)}, graph.IntAttr("transB", 1))
	b.Output(b.Rename("logits"), "features")
	return b.Model(t, 13)
}

// Samples are n inputs of random numbers, smoothed so that layers see
// structure, which follow from their index.
type Samples struct{ N, Size int }

// NewSamples returns n inputs for Net.
func NewSamples(n int) Samples { return Samples{n, 3 * 16 * 16} }

// Len implements quant.Samples.
func (s Samples) Len() int { return s.N }

// ID implements quant.Samples.
func (s Samples) ID() string { return fmt.Sprintf("random/%d/%d", s.N, s.Size) }

// Load implements quant.Samples.
func (s Samples) Load(i int, dst []float32) error {
	if len(dst) != s.Size || i < 0 || i >= s.N {
		return fmt.Errorf("load sample %d: got %d values, want %d", i, len(dst), s.Size)
	}
	rng := rand.New(rand.NewPCG(uint64(i), 99))
	var smooth float64
	for k := range dst {
		smooth = 0.7*smooth + rng.NormFloat64()
		dst[k] = float32(smooth)
	}
	return nil
}
