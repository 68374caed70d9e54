package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Constant returns the initializer of that name, and whether there is one.
func (g *Graph) Constant(name string) (onnx.Tensor, bool) {
	t, ok := g.at().constants[name]
	return onnx.TensorOf(t), ok
}

// IsConstant says whether a value is an initializer.
func (g *Graph) IsConstant(name string) bool { return g.at().constants[name] != nil }

// Floats returns the values and dimensions of a floating-point initializer,
// and whether there is one that can be read.
func (g *Graph) Floats(name string) (values []float32, dims []int64, ok bool) {
	t, ok := g.Constant(name)
	if !ok {
		return nil, nil, false
	}
	values, err := t.Float32s()
	return values, t.Dims(), err == nil
}

// Ints is Floats for integers.
func (g *Graph) Ints(name string) ([]int64, bool) {
	t, ok := g.Constant(name)
	if !ok {
		return nil, false
	}
	values, err := t.Int64s()
	return values, err == nil
}

// Scalar returns the value of a floating-point initializer of one element.
func (g *Graph) Scalar(name string) (float32, bool) {
	v, _, ok := g.Floats(name)
	if !ok || len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// SetRaw defines or replaces an initializer. raw is kept.
func (g *Graph) SetRaw(name string, elem onnx.ElemType, dims []int64, raw []byte) {
	data := int32(elem)
	t := &onnxpb.TensorProto{Name: &name, DataType: &data, Dims: dims, RawData: raw}
	g.taken[name] = true
	x := g.at()
	if old := x.constants[name]; old != nil {
		i := slices.Index(g.pb.Graph.Initializer, old)
		g.pb.Graph.Initializer[i] = t
	} else {
		g.pb.Graph.Initializer = append(g.pb.Graph.Initializer, t)
	}
	x.constants[name] = t
}

// SetFloats defines or replaces a float initializer in row-major order.
func (g *Graph) SetFloats(name string, dims []int64, values []float32) {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	g.SetRaw(name, onnx.Float, dims, raw)
}

// SetInts defines or replaces an int64 initializer of one dimension.
func (g *Graph) SetInts(name string, values ...int64) {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	g.SetRaw(name, onnx.Int64, []int64{int64(len(values))}, raw)
}

// NewFloats adds a float initializer under a name that begins with prefix.
func (g *Graph) NewFloats(prefix string, dims []int64, values []float32) string {
	name := g.Fresh(prefix)
	g.SetFloats(name, dims, values)
	return name
}

// NewInts adds an int64 initializer of one dimension.
func (g *Graph) NewInts(prefix string, values ...int64) string {
	name := g.Fresh(prefix)
	g.SetInts(name, values...)
	return name
}

// Owned returns a name for the constant input i of a node that no other node
// reads, copying the constant if it is shared.
func (g *Graph) Owned(n *Node, i int) (string, error) {
	name := n.Input[i]
	t, ok := g.at().constants[name]
	if !ok {
		return "", fmt.Errorf("%s: input %d: got %q, want an initializer", Describe(n), i, name)
	}
	if len(g.Consumers(name)) == 1 && !g.Kept(name) {
		return name, nil
	}
	v, err := onnx.TensorOf(t).Float32s()
	if err != nil {
		return "", err
	}
	own := g.NewFloats(name, t.GetDims(), v)
	n.Input[i] = own
	g.Touch()
	return own, nil
}
