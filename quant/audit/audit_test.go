package audit

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// builder writes small quantised graphs.
type builder struct {
	t *testing.T
	g *onnxpb.GraphProto
}

func newGraph(t *testing.T, output string) *builder {
	value := func(name string) *onnxpb.ValueInfoProto { return &onnxpb.ValueInfoProto{Name: proto.String(name)} }
	return &builder{t, &onnxpb.GraphProto{Name: proto.String("g"), Input: []*onnxpb.ValueInfoProto{value("x")},
		Output: []*onnxpb.ValueInfoProto{value(output)}}}
}

func (b *builder) node(op, out string, in ...string) *builder {
	b.g.Node = append(b.g.Node, &onnxpb.NodeProto{OpType: proto.String(op), Name: proto.String(out + "_node"), Input: in,
		Output: []string{out}})
	return b
}

// constant adds integers or, as Float, scales.
func (b *builder) constant(name string, kind onnx.ElemType, values ...float64) *builder {
	t := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(kind))}
	if len(values) != 1 {
		t.Dims = []int64{int64(len(values))}
	}
	for _, v := range values {
		switch kind {
		case onnx.Float:
			t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(float32(v)))
		case onnx.Int32:
			t.RawData = binary.LittleEndian.AppendUint32(t.RawData, uint32(int32(v)))
		default:
			t.RawData = append(t.RawData, byte(int8(v)))
		}
	}
	b.g.Initializer = append(b.g.Initializer, t)
	return b
}

// pair puts value in a pair and calls the result value_dq.
func (b *builder) pair(value string, kind onnx.ElemType, scale, zero float64) *builder {
	return b.constant(value+"_s", onnx.Float, scale).constant(value+"_z", kind, zero).
		node("QuantizeLinear", value+"_q", value, value+"_s", value+"_z").
		node("DequantizeLinear", value+"_dq", value+"_q", value+"_s", value+"_z")
}

// weight adds a dequantised constant name_dq.
func (b *builder) weight(name string, kind onnx.ElemType, scale float64) *builder {
	return b.constant(name, kind, 1).constant(name+"_s", onnx.Float, scale).constant(name+"_z", kind, 0).
		node("DequantizeLinear", name+"_dq", name, name+"_s", name+"_z")
}

func (b *builder) model() *onnx.Model {
	b.t.Helper()
	m, err := onnx.FromProto(&onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: b.g,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// TestReasons judges graphs in which the runtime fused nothing: what runs is
// the plan itself. Each has one fault.
func TestReasons(t *testing.T) {
	const u8, s8, i32 = onnx.Uint8, onnx.Int8, onnx.Int32
	conv := func(in, w, bias onnx.ElemType, biasScale float64, out onnx.ElemType) *builder {
		return newGraph(t, "y_dq").pair("x", in, 0.5, 0).weight("w", w, 0.25).weight("b", bias, biasScale).
			node("Conv", "y", "x_dq", "w_dq", "b_dq").pair("y", out, 1, 0)
	}
	for _, tt := range []struct {
		name string
		b    *builder
		op   string
		want string
	}{
		{"nothing wrong", conv(u8, s8, i32, 0.125, u8), "Conv", "a rule of this version"},
		{"types differ", conv(u8, s8, i32, 0.125, s8), "Conv", "its input is uint8 and its output int8"},
		{"int8 by uint8", conv(s8, u8, i32, 0.125, s8), "Conv", "weights are uint8 and its input int8"},
		{"bias scale", conv(u8, s8, i32, 0.2, u8), "Conv", "scale of its bias in channel 0 is 0.2, want 0.125"},
		{"bias type", conv(u8, s8, s8, 0.125, u8), "Conv", "its bias is int8, want int32"},
		{"float bias", newGraph(t, "y_dq").pair("x", u8, 1, 0).weight("w", s8, 1).constant("b", onnx.Float, 1).
			node("Conv", "y", "x_dq", "w_dq", "b").pair("y", u8, 1, 0), "Conv", `bias "b" is float`},
		{"float input", newGraph(t, "y_dq").pair("x", u8, 1, 0).node("Exp", "e", "x_dq").node("Add", "y", "e",
			"x_dq").pair("y", u8, 1, 0),
			"Add", `input "e" comes from Exp`},
		{"graph output", newGraph(t, "y").pair("x", u8, 1, 0).node("Sigmoid", "y", "x_dq"), "Sigmoid",
			`"y" is an output of the graph`},
		{"float reader", newGraph(t, "z").pair("x", u8, 1, 0).node("Sigmoid", "y", "x_dq").node("Exp", "z", "y"), "Sigmoid",
			"is read by Exp"},
		{"no kernel", newGraph(t, "y_dq").pair("x", u8, 1, 0).node("HardSwish", "y", "x_dq").pair("y", u8, 1, 0),
			"HardSwish", "has no integer HardSwish"},
		{"useful relu", newGraph(t, "y_dq").pair("x", s8, 1, 0).node("Relu", "y", "x_dq").pair("y", s8, 0.5, 0), "Relu",
			"represents [-64, 63.5]"},
		{"useful clip, unused range", newGraph(t, "y_dq").pair("x", u8, 1, 0).node("Clip", "y", "x_dq").pair("y", u8, 0.1,
			10), "Clip", "represents [-1, 24.5]"},
		{"several scales", newGraph(t, "y_dq").constant("s", onnx.Float, 1, 2).constant("z", u8, 0,
			0).node("QuantizeLinear", "q", "x", "s", "z").
			node("DequantizeLinear", "d", "q", "s", "z").node("Sigmoid", "y", "d").pair("y", u8, 1, 0), "Sigmoid",
			`input "d" has 2 scales`},
		{"float weights", newGraph(t, "y_dq").pair("x", u8, 1, 0).constant("w", onnx.Float, 1).pair("w", s8, 1, 0).
			node("MatMul", "y", "x_dq", "w_dq").pair("y", u8, 1, 0), "MatMul", "weights are float behind a QuantizeLinear"},
	} {
		m := tt.b.model()
		r := Compare(m, m)
		i := slices.IndexFunc(r.Floats, func(f Finding) bool { return f.Op == tt.op })
		if i < 0 || !strings.Contains(r.Floats[i].Reason, tt.want) {
			t.Errorf("%s: got %+v, want a reason with %q", tt.name, r.Floats, tt.want)
		}
	}
}

func TestCompareCountsWhatFused(t *testing.T) {
	plan := newGraph(t, "y_dq").pair("x", onnx.Uint8, 1, 0).weight("w", onnx.Int8, 1).
		node("Conv", "c", "x_dq", "w_dq").node("Relu", "r", "c").pair("r", onnx.Uint8, 1, 0).
		node("Flatten", "f", "r_dq").pair("f", onnx.Uint8, 1, 0).
		node("HardSwish", "y", "f_dq").pair("y", onnx.Uint8, 1, 0).node("Exp", "free", "x").model()
	running := newGraph(t, "y_dq").constant("s", onnx.Float, 1).constant("z", onnx.Uint8, 0).
		node("QuantizeLinear", "x_q", "x", "s", "z").
		node("QLinearConv", "c_node_token_12", "x_q").node("Flatten", "f_q", "c_node_token_12").
		node("DequantizeLinear", "f_dq", "f_q", "s", "z").node("HardSwish", "y", "f_dq").
		node("QuantizeLinear", "y_q", "y", "s", "z").node("DequantizeLinear", "y_dq", "y_q", "s", "z").node("Exp", "free",
		"x").model()
	for _, n := range running.CloneProto().Graph.Node {
		if n.GetOpType() == "QLinearConv" && n.GetName() != "c_node_token_12_node" {
			t.Fatal("the builder names nodes otherwise")
		}
	}
	pb := running.CloneProto()
	rename := map[string]string{"c_node_token_12_node": "c_node_token_12", "f_q_node": "f_node"}
	for _, n := range pb.Graph.Node {
		if name, ok := rename[n.GetName()]; ok {
			n.Name = proto.String(name)
		}
	}
	running, err := onnx.FromProto(pb)
	if err != nil {
		t.Fatal(err)
	}
	r := Compare(plan, running)
	if r.Planned != 3 || r.Fused["QLinearConv"] != 1 || r.Passed != 1 || r.Absorbed != 0 || len(r.Floats) != 1 ||
		r.Surviving != 4 || r.Run != 8 {
		t.Errorf("%+v", r)
	}
	if f := r.Floats[0]; f.Node != "y_node" || !slices.Equal(f.Pairs, []string{"f_q", "y_q"}) {
		t.Errorf("%+v", f)
	}
	if r.Unplanned["Exp"] != 1 || r.Unplanned["Relu"] != 1 {
		t.Errorf("left in float by the file: %v, want Exp, and Relu, whose input is no pair", r.Unplanned)
	}
}

func TestPrepareNamesEveryNode(t *testing.T) {
	b := newGraph(t, "y").node("Relu", "a", "x").node("Relu", "b", "a").node("Relu", "y", "b")
	b.g.Node[0].Name, b.g.Node[1].Name, b.g.Node[2].Name = nil, proto.String("same"), proto.String("same")
	m, err := Prepare(b.model())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"": true}
	for _, n := range m.Graph().Nodes() {
		if seen[n.Name()] {
			t.Errorf("node %q is not the only one of its name", n.Name())
		}
		seen[n.Name()] = true
	}
}
