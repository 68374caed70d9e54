package graph_test

import (
	"encoding/binary"
	"math"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
	"emberwing/quant/quanttest"
)

// branch makes a subgraph that reads x: Squeeze with its axes as an attribute,
// as before opset 13, and Neg.
func branch(name, x string) *onnxpb.AttributeProto {
	squeeze, neg, mid, out := "Squeeze", "Neg", name+"_squeezed", name+"_out"
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{
		Name: &name,
		Node: []*onnxpb.NodeProto{
			{OpType: &squeeze, Input: []string{x}, Output: []string{mid},
				Attribute: []*onnxpb.AttributeProto{graph.IntsAttr("axes", 0)}},
			{OpType: &neg, Input: []string{mid}, Output: []string{out}},
		},
		Output: []*onnxpb.ValueInfoProto{{Name: &out, Type: floatType()}},
	}}
}

// floatType is float32 of any shape.
func floatType() *onnxpb.TypeProto {
	elem := int32(onnx.Float)
	return &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: &elem}}}
}

func TestSubgraphsAreRaisedToo(t *testing.T) {
	open := quanttest.Open(t)
	b := quanttest.NewBuilder(1)
	x := b.Node("Relu", []string{b.Input("input", 1, 3, 16, 16)})
	top := b.Node("ReduceMax", []string{x}, graph.IntAttr("keepdims", 0))
	cond := b.Node("Greater", []string{top, b.Floats(nil, 0)})
	y := b.Node("If", []string{cond}, branch("then_branch", x), branch("else_branch", x))
	b.Node("Relu", []string{b.Node("Neg", []string{y})})
	b.Output(b.Rename("out"))
	m := b.Model(t, 11)
	form, err := canonical(t, m).Model()
	if err != nil {
		t.Fatal(err)
	}
	want, got := run(t, open, m, 1, "out")[0], run(t, open, form, 1, "out")[0]
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("value %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// A model of 16-bit floats between casts computes the same, to the precision
// of those, once it is widened, and nothing of 16 bits is left.
func TestSingleWidensHalves(t *testing.T) {
	open := quanttest.Open(t)
	b := quanttest.NewBuilder(1)
	x := b.Node("Cast", []string{b.Input("input", 1, 3, 16, 16)}, graph.IntAttr("to", int64(onnx.Float16)))
	w := b.Random(0, 1, 4, 3, 1, 1)
	halve(t, b.Graph.Initializer[len(b.Graph.Initializer)-1])
	x = b.Node("Relu", []string{b.Node("Conv", []string{x, w})})
	b.Node("Cast", []string{x}, graph.IntAttr("to", int64(onnx.Float)))
	b.Output(b.Rename("out"))
	m := b.Model(t, 13)
	wide, changed, err := graph.Single(m)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	g := canonical(t, wide)
	if n := ops(g); n["Cast"] != 0 || n["Conv"] != 1 || !g.Shapes().Float(w) {
		t.Errorf("got %v, weights %+v", n, g.Shapes()[w])
	}
	want, got := run(t, open, m, 1, "out")[0], run(t, open, wide, 1, "out")[0]
	for i := range want {
		if math.Abs(float64(want[i]-got[i])) > 0.01*math.Max(1, math.Abs(float64(want[i]))) {
			t.Fatalf("value %d: got %v, want %v", i, got[i], want[i])
		}
	}
	if same, changed, err := graph.Single(wide); same != wide || changed || err != nil {
		t.Errorf("a float32 model: got changed %v, %v, want itself", changed, err)
	}
}

// halve makes a float32 constant of random numbers one of float16, each number
// 1.0 or -2.0 by its sign.
func halve(t *testing.T, pb *onnxpb.TensorProto) {
	t.Helper()
	values, err := onnx.TensorOf(pb).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	elem := int32(onnx.Float16)
	pb.DataType, pb.RawData = &elem, nil
	for _, v := range values {
		bits := uint16(0x3c00)
		if v < 0 {
			bits = 0xc000
		}
		pb.RawData = binary.LittleEndian.AppendUint16(pb.RawData, bits)
	}
}
