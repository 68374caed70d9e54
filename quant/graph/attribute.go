package graph

import (
	"slices"

	"emberwing/quant/onnx/onnxpb"
)

// Attribute returns the attribute of that name, nil if there is none.
func Attribute(n *Node, name string) *onnxpb.AttributeProto {
	for _, a := range n.Attribute {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// Int returns an integer attribute, or def where there is none.
func Int(n *Node, name string, def int64) int64 {
	if a := Attribute(n, name); a != nil {
		return a.GetI()
	}
	return def
}

// Float returns a number attribute, or def where there is none.
func Float(n *Node, name string, def float32) float32 {
	if a := Attribute(n, name); a != nil {
		return a.GetF()
	}
	return def
}

// Ints returns a list of integers, or def where there is none.
func Ints(n *Node, name string, def []int64) []int64 {
	if a := Attribute(n, name); a != nil {
		return a.GetInts()
	}
	return def
}

// Text returns a string attribute, or def where there is none.
func Text(n *Node, name, def string) string {
	if a := Attribute(n, name); a != nil {
		return string(a.GetS())
	}
	return def
}

// Drop removes an attribute.
func Drop(n *Node, name string) {
	n.Attribute = slices.DeleteFunc(n.Attribute, func(a *onnxpb.AttributeProto) bool { return a.GetName() == name })
}

// IntAttr makes an integer attribute.
func IntAttr(name string, v int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: &v}
}

// FloatAttr makes a number attribute.
func FloatAttr(name string, v float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_FLOAT.Enum(), F: &v}
}

// IntsAttr makes a list attribute.
func IntsAttr(name string, v ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: v}
}
