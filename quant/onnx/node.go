package onnx

import (
	"fmt"
	"slices"

	"emberwing/quant/onnx/onnxpb"
)

// Node is one operator of a graph.
type Node struct{ pb *onnxpb.NodeProto }

// Name returns the node's name, often "".
func (n Node) Name() string { return n.pb.GetName() }

// Op returns the operator: "Conv".
func (n Node) Op() string { return n.pb.GetOpType() }

// Domain returns the operator's domain; "" is the standard one.
func (n Node) Domain() string { return standard(n.pb.GetDomain()) }

// Inputs returns the names the node reads; "" stands for an input that is
// left out.
func (n Node) Inputs() []string { return slices.Clone(n.pb.Input) }

// Outputs returns the names the node defines; "" stands for an output that
// nobody wants.
func (n Node) Outputs() []string { return slices.Clone(n.pb.Output) }

// String names the node for messages: `Conv "conv_1"`, or by its first output
// where it has no name.
func (n Node) String() string { return describe(n.pb) }

// describe is String on the message.
func describe(pb *onnxpb.NodeProto) string {
	if pb.GetName() == "" && len(pb.Output) > 0 {
		return fmt.Sprintf("%s -> %q", pb.GetOpType(), pb.Output[0])
	}
	return fmt.Sprintf("%s %q", pb.GetOpType(), pb.GetName())
}

// Attributes returns the names of the attributes in file order.
func (n Node) Attributes() []string {
	out := make([]string, len(n.pb.Attribute))
	for i, a := range n.pb.Attribute {
		out[i] = a.GetName()
	}
	return out
}

// HasAttribute says whether the node carries an attribute of that name.
func (n Node) HasAttribute(name string) bool { return n.attribute(name) != nil }

// attribute returns the attribute of that name, nil if there is none.
func (n Node) attribute(name string) *onnxpb.AttributeProto {
	for _, a := range n.pb.Attribute {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// typed returns the attribute if it has the type, ErrMissing if it is not
// there, ErrType if it has another. Files of IR 1 leave the type out.
func (n Node) typed(name string, want onnxpb.AttributeProto_AttributeType) (*onnxpb.AttributeProto, error) {
	a := n.attribute(name)
	if a == nil {
		return nil, fmt.Errorf("%s: attribute %q: %w", n, name, ErrMissing)
	}
	if a.Type != nil && a.GetType() != want {
		return nil, fmt.Errorf("%s: attribute %q: %w: got %s, want %s", n, name, ErrType, a.GetType(), want)
	}
	return a, nil
}

// Int returns an integer attribute. Errors: ErrMissing, ErrType.
func (n Node) Int(name string) (int64, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_INT)
	return a.GetI(), err
}

// Ints returns a copy of a list of integers. Errors: ErrMissing, ErrType.
func (n Node) Ints(name string) ([]int64, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_INTS)
	return slices.Clone(a.GetInts()), err
}

// Float returns a number attribute. Errors: ErrMissing, ErrType.
func (n Node) Float(name string) (float32, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_FLOAT)
	return a.GetF(), err
}

// Floats returns a copy of a list of numbers. Errors: ErrMissing, ErrType.
func (n Node) Floats(name string) ([]float32, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_FLOATS)
	return slices.Clone(a.GetFloats()), err
}

// Text returns a string attribute. Errors: ErrMissing, ErrType.
func (n Node) Text(name string) (string, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_STRING)
	return string(a.GetS()), err
}

// Tensor returns a tensor attribute. Errors: ErrMissing, ErrType.
func (n Node) Tensor(name string) (Tensor, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_TENSOR)
	return Tensor{a.GetT()}, err
}

// Subgraph returns a graph attribute, such as a branch of If. Errors:
// ErrMissing, ErrType.
func (n Node) Subgraph(name string) (*Graph, error) {
	a, err := n.typed(name, onnxpb.AttributeProto_GRAPH)
	if err != nil {
		return nil, err
	}
	if a.G == nil {
		return nil, fmt.Errorf("%s: attribute %q: %w", n, name, ErrMissing)
	}
	return newGraph(a.G), nil
}

// subgraphs returns every graph among the attributes of a node.
func subgraphs(pb *onnxpb.NodeProto) []*onnxpb.GraphProto {
	var out []*onnxpb.GraphProto
	for _, a := range pb.Attribute {
		if a.G != nil {
			out = append(out, a.G)
		}
		out = append(out, a.Graphs...)
	}
	return out
}
