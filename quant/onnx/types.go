package onnx

import (
	"fmt"
	"strconv"
	"strings"

	"emberwing/quant/onnx/onnxpb"
)

// ElemType is the type of the elements of a tensor, numbered as in the file.
type ElemType int32

// The element types that models for vision use; others keep their number.
const (
	Undefined = ElemType(onnxpb.TensorProto_UNDEFINED)
	Float     = ElemType(onnxpb.TensorProto_FLOAT)
	Uint8     = ElemType(onnxpb.TensorProto_UINT8)
	Int8      = ElemType(onnxpb.TensorProto_INT8)
	Uint16    = ElemType(onnxpb.TensorProto_UINT16)
	Int16     = ElemType(onnxpb.TensorProto_INT16)
	Int32     = ElemType(onnxpb.TensorProto_INT32)
	Int64     = ElemType(onnxpb.TensorProto_INT64)
	String    = ElemType(onnxpb.TensorProto_STRING)
	Bool      = ElemType(onnxpb.TensorProto_BOOL)
	Float16   = ElemType(onnxpb.TensorProto_FLOAT16)
	Double    = ElemType(onnxpb.TensorProto_DOUBLE)
	Uint32    = ElemType(onnxpb.TensorProto_UINT32)
	Uint64    = ElemType(onnxpb.TensorProto_UINT64)
	BFloat16  = ElemType(onnxpb.TensorProto_BFLOAT16)
)

// String returns the schema's name in lower case: "float", "int8".
func (t ElemType) String() string {
	if name, ok := onnxpb.TensorProto_DataType_name[int32(t)]; ok {
		return strings.ToLower(name)
	}
	return "type " + strconv.Itoa(int(t))
}

// Size returns the bytes of one element in raw data, 0 for types of no fixed
// number of whole bytes (strings, 4-bit numbers) and unknown ones.
func (t ElemType) Size() int {
	switch t {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16, Float16, BFloat16:
		return 2
	case Float, Int32, Uint32:
		return 4
	case Double, Int64, Uint64:
		return 8
	}
	return 0
}

// Dim is one dimension of a shape: a number, a name (batch), or neither.
type Dim struct {
	Size int64  // -1 = not a number
	Name string // "" = not named
}

// String prints the number, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.Name != "":
		return d.Name
	case d.Size >= 0:
		return strconv.FormatInt(d.Size, 10)
	}
	return "?"
}

// Shape is the shape of a value.
type Shape struct {
	Known bool  // false: not even the rank is known
	Dims  []Dim // empty and Known: a scalar
}

// String prints "[batch,3,224,224]", or "?" for an unknown rank.
func (s Shape) String() string {
	if !s.Known {
		return "?"
	}
	parts := make([]string, len(s.Dims))
	for i, d := range s.Dims {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Value is what a graph declares of an input, an output or an intermediate.
type Value struct {
	Name  string
	Type  ElemType // Undefined for values that are no tensors, and where nothing is declared
	Shape Shape
}

// String prints "input: float[1,3,224,224]".
func (v Value) String() string { return fmt.Sprintf("%s: %s%s", v.Name, v.Type, v.Shape) }

// valueOf reads a declaration.
func valueOf(pb *onnxpb.ValueInfoProto) Value {
	v := Value{Name: pb.GetName()}
	tensor := pb.GetType().GetTensorType()
	if tensor == nil {
		return v
	}
	v.Type = ElemType(tensor.GetElemType())
	if tensor.Shape == nil {
		return v
	}
	v.Shape = Shape{Known: true, Dims: make([]Dim, len(tensor.Shape.Dim))}
	for i, d := range tensor.Shape.Dim {
		v.Shape.Dims[i] = dimOf(d)
	}
	return v
}

// dimOf reads one dimension; a negative number counts as none.
func dimOf(pb *onnxpb.TensorShapeProto_Dimension) Dim {
	if n, ok := pb.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && n.DimValue >= 0 {
		return Dim{Size: n.DimValue}
	}
	return Dim{Size: -1, Name: pb.GetDimParam()}
}
