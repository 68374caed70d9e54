package onnx_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

func initializer(t *testing.T, path, name string) onnx.Tensor {
	t.Helper()
	x, ok := read(t, path).Graph().Initializer(name)
	if !ok {
		t.Fatalf("%s has no initializer %q", path, name)
	}
	return x
}

func TestTensorValues(t *testing.T) {
	for _, tt := range []struct {
		name string
		get  func(onnx.Tensor) (any, error)
		want any
	}{
		{"i8", func(x onnx.Tensor) (any, error) { return x.Int8s() }, []int8{1, -2, 3}},
		{"i8", func(x onnx.Tensor) (any, error) { return x.Int64s() }, []int64{1, -2, 3}},
		{"u8", func(x onnx.Tensor) (any, error) { return x.Uint8s() }, []uint8{1, 200, 255}},
		{"f16", func(x onnx.Tensor) (any, error) { return x.Float32s() }, []float32{1.5, -0.25, 65504}},
		{"f64", func(x onnx.Tensor) (any, error) { return x.Float32s() }, []float32{1.5, -2.5}},
		{"i64", func(x onnx.Tensor) (any, error) { return x.Int64s() }, []int64{-1, 1 << 40}},
		{"scalar", func(x onnx.Tensor) (any, error) { return x.Int64s() }, []int64{7}},
		{"list_i8", func(x onnx.Tensor) (any, error) { return x.Int8s() }, []int8{-128, 127}},
		{"list_f", func(x onnx.Tensor) (any, error) { return x.Float32s() }, []float32{1, 2, 3, 4}},
		{"list_bf16", func(x onnx.Tensor) (any, error) { return x.Float32s() }, []float32{1, -2}},
	} {
		got, err := tt.get(initializer(t, "testdata/tensors.onnx", tt.name))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if v, err := initializer(t, "testdata/tensors.onnx", "empty").Float32s(); len(v) != 0 || err != nil {
		t.Errorf("empty: got %v, %v", v, err)
	}
}

func TestExternalDataIsNamed(t *testing.T) {
	x := initializer(t, "testdata/external.onnx", "w")
	if _, err := x.Float32s(); !errors.Is(err, onnx.ErrExternalData) || !x.External() {
		t.Errorf("got %v, want %v", err, onnx.ErrExternalData)
	}
}

// with makes a one-node model around a tensor.
func with(t *testing.T, x *onnxpb.TensorProto) onnx.Tensor {
	t.Helper()
	x.Name = proto.String("w")
	m, err := onnx.FromProto(&onnxpb.ModelProto{
		IrVersion: proto.Int64(7), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}},
		Graph: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{x}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := m.Graph().Initializer("w")
	return out
}

func TestTensorFaults(t *testing.T) {
	typ := func(x onnx.ElemType) *int32 { return proto.Int32(int32(x)) }
	for _, tt := range []struct {
		name string
		pb   *onnxpb.TensorProto
		want error
	}{
		{"short raw", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{2}, RawData: make([]byte, 7)},
			onnx.ErrShape},
		{"long raw", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{2}, RawData: make([]byte, 9)},
			onnx.ErrShape},
		{"short list", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{2}, FloatData: []float32{1}},
			onnx.ErrShape},
		{"negative", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{-2}, FloatData: []float32{1}},
			onnx.ErrShape},
		{"huge", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{1 << 40, 1 << 40}}, onnx.ErrShape},
		{"wraps", &onnxpb.TensorProto{DataType: typ(onnx.Float), Dims: []int64{1 << 62}, RawData: []byte{}}, onnx.ErrShape},
		{"text", &onnxpb.TensorProto{DataType: typ(onnx.String), Dims: []int64{1}}, onnx.ErrType},
	} {
		if v, err := with(t, tt.pb).Float32s(); !errors.Is(err, tt.want) || v != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, v, err, tt.want)
		}
	}
	wide := with(t, &onnxpb.TensorProto{DataType: typ(onnx.Int8), Dims: []int64{1}, Int32Data: []int32{128}})
	if _, err := wide.Int8s(); !errors.Is(err, onnx.ErrType) {
		t.Errorf("128 as int8: got %v", err)
	}
	big := with(t, &onnxpb.TensorProto{DataType: typ(onnx.Uint64), Dims: []int64{1}, Uint64Data: []uint64{math.MaxUint64}})
	if _, err := big.Int64s(); !errors.Is(err, onnx.ErrType) {
		t.Errorf("2^64-1 as int64: got %v", err)
	}
}

// Half precision against the definition, for every bit pattern.
func TestHalfPrecision(t *testing.T) {
	raw := make([]byte, 0, 2<<16)
	for h := range 1 << 16 {
		raw = append(raw, byte(h), byte(h>>8))
	}
	got, err := with(t, &onnxpb.TensorProto{
		DataType: proto.Int32(int32(onnx.Float16)), Dims: []int64{1 << 16}, RawData: raw,
	}).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for h, v := range got {
		exp, frac := h>>10&0x1f, float64(h&0x3ff)
		want := math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(frac/1024, -14)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		if w := float32(want); v != w && !(v != v && w != w) || math.Signbit(float64(v)) != (h>>15 == 1) {
			t.Fatalf("%#04x: got %v, want %v", h, v, want)
		}
	}
}
