// Package quanttest holds what tests of the quant room share: a small network
// with everything that makes quantisation hard, inputs for it, and the way to
// open graphs on the real ONNX Runtime.
package quanttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"emberwing/infer/ort"
	"emberwing/quant"
	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Open returns the opener of the real ONNX Runtime. It skips the test in a
// build without cgo, and on a machine where scripts/setup never ran.
func Open(t testing.TB) quant.Opener {
	t.Helper()
	rt := load(t)
	return func(model []byte, inputs []quant.Input, outputs []string) (quant.Session, error) {
		return open(rt, model, inputs, ort.NetOptions{Outputs: outputs})
	}
}

// OpenPlain is Open without any optimisation of graphs.
func OpenPlain(t testing.TB) quant.Opener {
	t.Helper()
	rt := load(t)
	return func(model []byte, inputs []quant.Input, outputs []string) (quant.Session, error) {
		return open(rt, model, inputs, ort.NetOptions{Outputs: outputs, Plain: true})
	}
}

func open(rt *ort.Runtime, model []byte, inputs []quant.Input, o ort.NetOptions) (quant.Session, error) {
	for _, in := range inputs {
		o.Inputs = append(o.Inputs, ort.NetInput{Name: in.Name, Shape: in.Dims})
	}
	n, err := rt.OpenNet(model, o)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func load(t testing.TB) *ort.Runtime {
	t.Helper()
	rt, err := ort.Load("")
	_, missing := os.Stat(moduleLib())
	if errors.Is(err, ort.ErrNoCgo) || errors.Is(err, ort.ErrNoLibrary) && os.Getenv("CI") == "" && missing != nil {
		t.Skipf("needs ONNX Runtime: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

// moduleLib is where scripts/setup puts the library, from a package's folder.
func moduleLib() string { return filepath.Join("..", "..", "bin", "lib") }

// Builder writes a model node by node.
type Builder struct {
	Graph *onnxpb.GraphProto
	rng   *rand.Rand
	count int
}

// NewBuilder starts a graph whose random weights follow from seed.
func NewBuilder(seed uint64) *Builder {
	name := "test"
	return &Builder{Graph: &onnxpb.GraphProto{Name: &name}, rng: rand.New(rand.NewPCG(seed, 1))}
}

// Input declares a float input; dims of -1 are free.
func (b *Builder) Input(name string, dims ...int64) string {
	b.Graph.Input = append(b.Graph.Input, declare(name, dims))
	return name
}

// Output declares float outputs.
func (b *Builder) Output(names ...string) {
	for _, name := range names {
		b.Graph.Output = append(b.Graph.Output, declare(name, nil))
	}
}

func declare(name string, dims []int64) *onnxpb.ValueInfoProto {
	elem := int32(onnx.Float)
	tensor := &onnxpb.TypeProto_Tensor{ElemType: &elem}
	if dims != nil {
		tensor.Shape = &onnxpb.TensorShapeProto{}
	}
	for i, d := range dims {
		dim := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}}
		if d < 0 {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: fmt.Sprintf("d%d", i)}
		}
		tensor.Shape.Dim = append(tensor.Shape.Dim, dim)
	}
	return &onnxpb.ValueInfoProto{Name: &name,
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}}
}

// fresh returns a name that was not used.
func (b *Builder) fresh(prefix string) string {
	b.count++
	return fmt.Sprintf("%s::%d", prefix, b.count) // as PyTorch names things
}

// Floats adds a float initializer.
func (b *Builder) Floats(dims []int64, values ...float32) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return b.raw(onnx.Float, dims, raw)
}

// Ints adds an int64 initializer of one dimension.
func (b *Builder) Ints(values ...int64) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return b.raw(onnx.Int64, []int64{int64(len(values))}, raw)
}

func (b *Builder) raw(elem onnx.ElemType, dims []int64, raw []byte) string {
	name, typ := b.fresh("const"), int32(elem)
	b.Graph.Initializer = append(b.Graph.Initializer, &onnxpb.TensorProto{Name: &name, DataType: &typ, Dims: dims,
		RawData: raw})
	return name
}

// Random adds a float initializer of normal numbers with a mean and a spread.
func (b *Builder) Random(mean, spread float64, dims ...int64) string {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(mean + spread*b.rng.NormFloat64())
	}
	return b.Floats(dims, values...)
}

// Positive adds a float initializer of one dimension with numbers of 0.5..1.5.
func (b *Builder) Positive(n int64) string {
	values := make([]float32, n)
	for i := range values {
		values[i] = 0.5 + b.rng.Float32()
	}
	return b.Floats([]int64{n}, values...)
}

// Node adds an operator with one output and returns the output's name. The
// node is named after its number: "Conv_3".
func (b *Builder) Node(op string, inputs []string, attributes ...*onnxpb.AttributeProto) string {
	name, out := fmt.Sprintf("%s_%d", op, len(b.Graph.Node)), b.fresh(op)
	b.Graph.Node = append(b.Graph.Node, &onnxpb.NodeProto{
		OpType: &op, Name: &name, Input: inputs, Output: []string{out}, Attribute: attributes,
	})
	return out
}

// Rename gives the last node's output a name.
func (b *Builder) Rename(name string) string {
	b.Graph.Node[len(b.Graph.Node)-1].Output[0] = name
	return name
}

// Model encodes the graph.
func (b *Builder) Model(t testing.TB, opset int64) *onnx.Model {
	t.Helper()
	ir, domain := int64(8), ""
	m, err := onnx.FromProto(&onnxpb.ModelProto{
		IrVersion: &ir, Graph: b.Graph, OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: &domain, Version: &opset}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
