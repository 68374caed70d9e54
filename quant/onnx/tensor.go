package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"emberwing/quant/onnx/onnxpb"
)

// Tensor is a constant: an initializer or the value of an attribute. Values
// are in row-major order.
type Tensor struct{ pb *onnxpb.TensorProto }

// TensorOf reads a message.
func TensorOf(pb *onnxpb.TensorProto) Tensor { return Tensor{pb} }

// Name returns the tensor's name, "" for most attributes.
func (t Tensor) Name() string { return t.pb.GetName() }

// Type returns the type of the elements.
func (t Tensor) Type() ElemType { return ElemType(t.pb.GetDataType()) }

// Dims returns a copy of the dimensions; none = a scalar.
func (t Tensor) Dims() []int64 { return slices.Clone(t.pb.GetDims()) }

// External says whether the values are in another file.
func (t Tensor) External() bool {
	return t.pb.GetDataLocation() == onnxpb.TensorProto_EXTERNAL || len(t.pb.GetExternalData()) > 0
}

// Len returns the number of elements. A negative dimension or a product that
// does not fit an int is ErrShape.
func (t Tensor) Len() (int, error) {
	n := uint64(1)
	for _, d := range t.pb.GetDims() {
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 0 || hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("tensor %q: %w: dimensions %v", t.Name(), ErrShape, t.pb.GetDims())
		}
		n = lo
	}
	return int(n), nil
}

// Float32s returns the values of a float, float16, bfloat16 or double tensor
// as new float32 numbers; doubles are rounded. Errors: ErrType, ErrShape,
// ErrExternalData.
func (t Tensor) Float32s() ([]float32, error) {
	switch t.Type() {
	case Float:
		return values(t, t.pb.GetFloatData(), func(b []byte) float32 {
			return math.Float32frombits(binary.LittleEndian.Uint32(b))
		})
	case Double:
		wide, err := values(t, t.pb.GetDoubleData(), func(b []byte) float64 {
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		})
		return convert(wide, func(v float64) float32 { return float32(v) }), err
	case Float16:
		half, err := t.halves()
		return convert(half, halfToFloat), err
	case BFloat16:
		half, err := t.halves()
		return convert(half, func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }), err
	}
	return nil, t.wrongType("a floating-point type")
}

// Int64s returns the values of an integer or bool tensor as new int64
// numbers; a uint64 above the range of int64 is ErrType. Other errors:
// ErrShape, ErrExternalData.
func (t Tensor) Int64s() ([]int64, error) {
	switch t.Type() {
	case Int64:
		return values(t, t.pb.GetInt64Data(), func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
	case Uint64, Uint32:
		return t.unsigned()
	case Int32, Int16, Int8, Uint16, Uint8, Bool:
		narrow, err := values(t, t.pb.GetInt32Data(), t.narrow())
		return convert(narrow, func(v int32) int64 { return int64(v) }), err
	}
	return nil, t.wrongType("an integer type")
}

// Int8s returns the values of an int8 tensor. Errors: ErrType, ErrShape,
// ErrExternalData.
func (t Tensor) Int8s() ([]int8, error) {
	if t.Type() != Int8 {
		return nil, t.wrongType("int8")
	}
	return narrowTo[int8](t)
}

// Uint8s returns the values of a uint8 tensor. Errors: ErrType, ErrShape,
// ErrExternalData.
func (t Tensor) Uint8s() ([]uint8, error) {
	if t.Type() != Uint8 {
		return nil, t.wrongType("uint8")
	}
	return narrowTo[uint8](t)
}

// unsigned reads uint32 and uint64 tensors.
func (t Tensor) unsigned() ([]int64, error) {
	wide, err := values(t, t.pb.GetUint64Data(), func(b []byte) uint64 {
		if len(b) == 4 {
			return uint64(binary.LittleEndian.Uint32(b))
		}
		return binary.LittleEndian.Uint64(b)
	})
	for _, v := range wide {
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("tensor %q: %w: %d does not fit int64", t.Name(), ErrType, v)
		}
	}
	return convert(wide, func(v uint64) int64 { return int64(v) }), err
}

// halves reads the bit patterns of 16-bit numbers.
func (t Tensor) halves() ([]uint16, error) {
	return narrowTo[uint16](t)
}

// narrowTo reads a tensor of small numbers; lists keep them as int32, and one
// that does not fit is ErrType.
func narrowTo[T int8 | uint8 | uint16](t Tensor) ([]T, error) {
	wide, err := values(t, t.pb.GetInt32Data(), t.narrow())
	for _, v := range wide {
		if int32(T(v)) != v {
			return nil, fmt.Errorf("tensor %q: %w: %d does not fit %s", t.Name(), ErrType, v, t.Type())
		}
	}
	return convert(wide, func(v int32) T { return T(v) }), err
}

// narrow returns the reader of one raw element of at most 32 bits.
func (t Tensor) narrow() func([]byte) int32 {
	switch t.Type() {
	case Int8:
		return func(b []byte) int32 { return int32(int8(b[0])) }
	case Uint8, Bool:
		return func(b []byte) int32 { return int32(b[0]) }
	case Int16:
		return func(b []byte) int32 { return int32(int16(binary.LittleEndian.Uint16(b))) }
	case Uint16, Float16, BFloat16:
		return func(b []byte) int32 { return int32(binary.LittleEndian.Uint16(b)) }
	}
	return func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) }
}

// values reads a tensor from raw data with get, or copies it from its list.
func values[T any](t Tensor, list []T, get func([]byte) T) ([]T, error) {
	n, err := t.Len()
	if err != nil {
		return nil, err
	}
	if t.External() {
		return nil, fmt.Errorf("tensor %q: %w: save the model with its weights inside", t.Name(), ErrExternalData)
	}
	raw := t.pb.GetRawData()
	if raw == nil {
		if len(list) != n {
			return nil, t.misfit(len(list), n)
		}
		return slices.Clone(list), nil
	}
	size := t.Type().Size()
	if n > len(raw) || len(raw) != n*size {
		return nil, t.misfit(len(raw)/size, n)
	}
	out := make([]T, n)
	for i := range out {
		out[i] = get(raw[i*size : (i+1)*size])
	}
	return out, nil
}

// misfit is the error for got elements where the dimensions ask for want.
func (t Tensor) misfit(got, want int) error {
	return fmt.Errorf("tensor %q: %w: got %d elements, want %d for %s%v",
		t.Name(), ErrShape, got, want, t.Type(), t.pb.GetDims())
}

// wrongType is the error for a tensor of another type.
func (t Tensor) wrongType(want string) error {
	return fmt.Errorf("tensor %q: %w: got %s, want %s", t.Name(), ErrType, t.Type(), want)
}

// convert maps a slice; nil stays nil.
func convert[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// halfToFloat widens an IEEE 754 binary16 number.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch {
	case exp == 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case exp == 0: // zero or subnormal: frac * 2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
