package onnx_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// outside makes a model whose tensor "w" of three int8 lies in a file, with
// the given keys and values.
func outside(t *testing.T, dims []int64, pairs ...string) *onnx.Model {
	t.Helper()
	pb := graphOf(nil, []string{"w"})
	w := &onnxpb.TensorProto{Name: proto.String("w"), DataType: proto.Int32(int32(onnx.Int8)), Dims: dims,
		DataLocation: onnxpb.TensorProto_EXTERNAL.Enum()}
	for i := 0; i < len(pairs); i += 2 {
		w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: &pairs[i], Value: &pairs[i+1]})
	}
	pb.Graph.Initializer = []*onnxpb.TensorProto{w}
	m, err := onnx.FromProto(pb)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// folder holds a file of five bytes in a folder of its own, and one beside it.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "w.bin"), []byte{9, 1, 2, 253, 9}, 0o644),
		os.WriteFile(filepath.Join(dir, "../secret"), []byte("secret"), 0o644),
		os.Symlink("../secret", filepath.Join(dir, "link")))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEmbedReadsTensorsOfOtherFiles(t *testing.T) {
	for _, keys := range [][]string{{"location", "w.bin", "offset", "1"}, {"location", "w.bin", "offset", "1", "length",
		"3"}} {
		m, err := outside(t, []int64{3}, keys...).Embed(folder(t), onnx.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		w, _ := m.Graph().Initializer("w")
		if got, err := w.Int8s(); !slices.Equal(got, []int8{1, 2, -3}) || err != nil || w.External() {
			t.Errorf("%v: got %v, %v", keys, got, err)
		}
	}
	whole := read(t, "testdata/conv.onnx")
	if m, err := whole.Embed("no such folder", onnx.Limits{}); m != whole || err != nil {
		t.Errorf("a model in one file: got %v, %v, want the model itself", m, err)
	}
}

func TestEmbedRefusesWhatDoesNotFit(t *testing.T) {
	dir := folder(t)
	for _, tt := range []struct {
		dims []int64
		keys []string
		want error
		says string
	}{
		{[]int64{3}, []string{"location", "w.bin", "offset", "3"}, onnx.ErrExternalData, "got 5 bytes, want 3 from byte 3"},
		{[]int64{3}, []string{"location", "w.bin", "length", "4"}, onnx.ErrExternalData, "length 4"},
		{[]int64{3}, []string{"location", "w.bin", "offset", "-1"}, onnx.ErrExternalData, "offset -1"},
		{[]int64{3}, []string{"location", "w.bin", "offset", "x"}, onnx.ErrExternalData, "invalid syntax"},
		{[]int64{3}, []string{"location", "absent"}, onnx.ErrExternalData, "absent"},
		{[]int64{3}, []string{"location", "../secret"}, onnx.ErrExternalData, "escapes"},
		{[]int64{3}, []string{"location", "link"}, onnx.ErrExternalData, "escapes"},
		{[]int64{3}, nil, onnx.ErrExternalData, "want a name"},
		{[]int64{1 << 40}, []string{"location", "w.bin"}, onnx.ErrLimit, "too large"},
		{[]int64{-3}, []string{"location", "w.bin"}, onnx.ErrShape, "dimensions"},
	} {
		_, err := outside(t, tt.dims, tt.keys...).Embed(dir, onnx.Limits{})
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v %v: got %v, want %v with %q", tt.dims, tt.keys, err, tt.want, tt.says)
		}
	}
}
