package roofline

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"emberwing/infer"
	"emberwing/infer/models"
	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// build makes a model of nodes, a float input "x" and constants by shape.
func build(t *testing.T, input []int64, constants map[string][]int64, nodes ...*onnxpb.NodeProto) *onnx.Model {
	t.Helper()
	g := &onnxpb.GraphProto{Name: proto.String("g"), Node: nodes}
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range input {
		shape.Dim = append(shape.Dim,
			&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	typ := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(1), Shape: shape}}}
	g.Input = []*onnxpb.ValueInfoProto{{Name: proto.String("x"), Type: typ}}
	g.Output = []*onnxpb.ValueInfoProto{{Name: proto.String(nodes[len(nodes)-1].Output[0])}}
	for name, dims := range constants {
		g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: proto.String(name), Dims: dims,
			DataType: proto.Int32(1),
			RawData:  make([]byte, 4*product(dims))})
	}
	m, err := onnx.FromProto(&onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: g,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func node(op, out string, in []string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(op), Name: proto.String(out), Input: in, Output: []string{out},
		Attribute: attributes}
}

func product(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return n
}

func ints(name string, v ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(), Ints: v}
}

func integer(name string, v int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(v)}
}

// TestCountsByHand: a convolution, a depthwise one, a residual and a
// classifier, each worked out on paper.
func TestCountsByHand(t *testing.T) {
	m := build(t, []int64{1, 3, 8, 8},
		map[string][]int64{"w1": {16, 3, 3, 3}, "b1": {16}, "w2": {16, 1, 3, 3}, "w3": {10, 16}},
		node("Conv", "c1", []string{"x", "w1", "b1"}, ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)),
		node("Relu", "r1", []string{"c1"}),
		node("Conv", "c2", []string{"r1", "w2"}, ints("pads", 1, 1, 1, 1), integer("group", 16)),
		node("Add", "a", []string{"c2", "r1"}),
		node("GlobalAveragePool", "p", []string{"a"}),
		node("Flatten", "f", []string{"p"}),
		node("Gemm", "y", []string{"f", "w3"}, integer("transB", 1)))
	c, err := Of(m)
	if err != nil {
		t.Fatal(err)
	}
	want := []Layer{
		{"c1", "Conv", 16 * 4 * 4 * 3 * 9, 16*27 + 16, 3*64 + 256},
		{"c2", "Conv", 256 * 9, 16 * 9, 512},
		{"a", "Add", 0, 0, 256},
		{"p", "GlobalAveragePool", 0, 0, 256 + 16},
		{"y", "Gemm", 160, 160, 26},
	}
	if !slices.Equal(c.Layers, want) || c.Unknown != nil {
		t.Errorf("got %+v and unknown %v,\nwant %+v", c.Layers, c.Unknown, want)
	}
}

func TestBoundTakesTheSlowerSide(t *testing.T) {
	m := Machine{OpsPerSecond: 1e9, BytesPerSecond: 1e8, ElementBytes: 2}
	if b := m.Bound(Layer{MACs: 5e6, Weights: 100, Activations: 100}); b.LimitedBy != Compute || b.Seconds != 0.01 {
		t.Errorf("heavy arithmetic: %+v, want 10 ms of compute", b)
	}
	if b := m.Bound(Layer{MACs: 10, Weights: 5e5, Activations: 5e5}); b.LimitedBy != Bandwidth || b.Seconds != 0.02 ||
		b.Bytes != 2e6 {
		t.Errorf("heavy traffic: %+v, want 20 ms of bandwidth", b)
	}
	m.OpsPerSecond = 0
	if b := m.Bound(Layer{MACs: 5e9, Weights: 1}); b.LimitedBy != Bandwidth {
		t.Errorf("unknown peak: %+v, want the bandwidth", b)
	}
	if _, err := (Machine{}).Total(Count{}); err == nil {
		t.Error("no bandwidth is no error")
	}
}

// TestShippedModels counts every file of every shipped model: nothing is
// unknown, and all precisions of a model compute the same products, because
// quantise pairs move nothing and compute nothing. Only the first layer of a
// file for x86-64 may have a third more, for the channel that the picture is
// padded with.
func TestShippedModels(t *testing.T) {
	for _, name := range infer.ModelNames(models.FS) {
		m, err := infer.Resolve(models.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		var first Count
		for _, v := range m.Variants {
			data, err := m.Bytes(v)
			if err != nil {
				t.Fatal(err)
			}
			graph, err := onnx.Parse(data, onnx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := Of(graph)
			if err != nil || c.Unknown != nil {
				t.Errorf("%s: %v, unknown %v", v.File, err, c.Unknown)
			}
			if len(first.Layers) == 0 {
				first = c
			}
			if extra := c.MACs() - first.MACs(); extra != 0 && extra*3 != first.Layers[0].MACs {
				t.Errorf("%s: got %d products, want those of the first file, %d", v.File, c.MACs(), first.MACs())
			}
		}
	}
}

func TestUnknownShapesAreNamed(t *testing.T) {
	m := build(t, []int64{1, 3, 8, 8}, map[string][]int64{"w": {4, 3, 1, 1}},
		node("Conv", "c", []string{"x", "w"}),
		node("Mystery", "m", nil),
		node("Conv", "d", []string{"m", "w"}))
	c, err := Of(m)
	if err != nil || len(c.Unknown) != 2 {
		t.Errorf("got %v, unknown %v, want the mystery and its reader", err, c.Unknown)
	}
	if _, err := Of(build(t, []int64{1, 3}, nil, node("Relu", "y", []string{"x"}))); err == nil {
		t.Error("a model without products was counted")
	}
}
