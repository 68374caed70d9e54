package graph

import (
	"encoding/binary"
	"math"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Single returns the model with 16-bit floating point (float16, bfloat16)
// widened to float32 everywhere: constants, inputs, outputs and casts. Every
// 16-bit number is a float32 number, so that constants keep their values. It
// returns m itself, and false, where nothing is of 16 bits.
func Single(m *onnx.Model) (wide *onnx.Model, changed bool, err error) {
	pb := m.CloneProto()
	var w widener
	if err := w.graph(pb.Graph); err != nil || !w.changed {
		return m, false, err
	}
	wide, err = onnx.FromProto(pb)
	return wide, true, err
}

// widener widens graphs and notes whether there was anything to do.
type widener struct{ changed bool }

// graph widens one graph and those inside its nodes.
func (w *widener) graph(pb *onnxpb.GraphProto) error {
	for _, list := range [][]*onnxpb.ValueInfoProto{pb.Input, pb.Output, pb.ValueInfo} {
		for _, v := range list {
			if t := v.GetType().GetTensorType(); t != nil && isHalf(t.GetElemType()) {
				t.ElemType = w.float()
			}
		}
	}
	for _, t := range pb.Initializer {
		if err := w.tensor(t); err != nil {
			return err
		}
	}
	for _, n := range pb.Node {
		if err := w.node(n); err != nil {
			return err
		}
	}
	return nil
}

// node widens the attributes of a node and its subgraphs.
func (w *widener) node(n *Node) error {
	if a := Attribute(n, "to"); a != nil && Is(n, "Cast") && isHalf(int32(a.GetI())) {
		to := int64(*w.float())
		a.I = &to
	}
	for _, a := range n.Attribute {
		if a.T == nil {
			continue
		}
		if err := w.tensor(a.T); err != nil {
			return err
		}
	}
	for _, sub := range subgraphs(n) {
		if err := w.graph(sub); err != nil {
			return err
		}
	}
	return nil
}

// tensor widens one constant.
func (w *widener) tensor(t *onnxpb.TensorProto) error {
	if !isHalf(t.GetDataType()) {
		return nil
	}
	values, err := onnx.TensorOf(t).Float32s()
	if err != nil {
		return err
	}
	t.RawData = make([]byte, 0, 4*len(values))
	for _, v := range values {
		t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(v))
	}
	t.DataType, t.Int32Data = w.float(), nil
	return nil
}

// float returns the type that everything becomes.
func (w *widener) float() *int32 {
	w.changed = true
	elem := int32(onnx.Float)
	return &elem
}

// isHalf says whether a type of elements is a 16-bit floating-point one.
func isHalf(elem int32) bool {
	return onnx.ElemType(elem) == onnx.Float16 || onnx.ElemType(elem) == onnx.BFloat16
}
