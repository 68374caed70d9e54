package onnx_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
)

// files are the committed models, and the shipped ones where they are built.
func files(t testing.TB) []string {
	t.Helper()
	small, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(small) < 5 {
		t.Fatalf("testdata: got %d models, %v", len(small), err)
	}
	shipped, err := filepath.Glob("../../infer/models/*/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return append(small, shipped...)
}

func read(t testing.TB, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.ReadFile(path, onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWrittenModelIsByteIdentical(t *testing.T) {
	for _, path := range files(t) {
		t.Run(path, func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m := read(t, path)
			out := filepath.Join(t.TempDir(), "out.onnx")
			if err := m.WriteFile(out); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			var streamed bytes.Buffer
			if n, err := m.WriteTo(&streamed); err != nil || n != int64(len(want)) {
				t.Errorf("WriteTo: got %d, %v, want %d bytes", n, err, len(want))
			}
			if !bytes.Equal(got, want) || !bytes.Equal(streamed.Bytes(), want) {
				t.Error("written bytes differ from those read")
			}
		})
	}
}

// Files of the usual exporters are in field order, so that even a model that
// is encoded anew keeps its bytes.
func TestEncodedAnewIsByteIdentical(t *testing.T) {
	for _, path := range files(t) {
		m := read(t, path)
		again, err := onnx.FromProto(m.CloneProto())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), m.Bytes()) {
			t.Errorf("%s: %d bytes became %d other ones", path, len(m.Bytes()), len(again.Bytes()))
		}
	}
}

// A file in an order of its own, with a field the schema does not have, is
// kept as it is; encoding it anew keeps the meaning and the unknown field.
func TestForeignFieldOrder(t *testing.T) {
	conv := read(t, "testdata/conv.onnx")
	var b []byte
	b = protowire.AppendTag(b, 4242, protowire.BytesType)
	b = protowire.AppendString(b, "kept")
	pb := conv.CloneProto()
	version := pb.IrVersion
	pb.IrVersion = nil
	rest, err := proto.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, rest...)
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(*version))

	m, err := onnx.Parse(bytes.Clone(b), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Bytes(), b) {
		t.Error("the bytes of an untouched model changed")
	}
	again, err := onnx.FromProto(m.CloneProto())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(again.Bytes(), b) || !bytes.Contains(again.Bytes(), []byte("kept")) {
		t.Error("encoding anew: want field order and the unknown field")
	}
	if diff := cmp.Diff(m.Info(), again.Info()); diff != "" {
		t.Error(diff)
	}
}

func TestInfo(t *testing.T) {
	m := read(t, "testdata/conv.onnx")
	want := onnx.Info{IRVersion: 7, Opsets: []onnx.Opset{{Version: 13}}, Producer: "make.py", Doc: "a tiny network"}
	if diff := cmp.Diff(want, m.Info()); diff != "" {
		t.Error(diff)
	}
	for domain, want := range map[string]bool{"": true, "ai.onnx": true, "com.microsoft": false} {
		if v, ok := m.Opset(domain); ok != want || want && v != 13 {
			t.Errorf("opset of %q: got %d, %v", domain, v, ok)
		}
	}
}

func TestReadFaults(t *testing.T) {
	if _, err := onnx.ReadFile(filepath.Join(t.TempDir(), "none.onnx"), onnx.Limits{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	if _, err := onnx.ReadFile(t.TempDir(), onnx.Limits{}); err == nil {
		t.Error("a directory was read")
	}
	broken := errors.New("cable out")
	if _, err := onnx.Read(iotest.ErrReader(broken), onnx.Limits{}); !errors.Is(err, broken) {
		t.Errorf("broken stream: got %v", err)
	}
	b := read(t, "testdata/conv.onnx").Bytes()
	small := onnx.Limits{FileBytes: int64(len(b)) - 1}
	if _, err := onnx.Read(bytes.NewReader(b), small); !errors.Is(err, onnx.ErrLimit) {
		t.Errorf("stream over the limit: got %v", err)
	}
	if _, err := onnx.ReadFile("testdata/conv.onnx", small); !errors.Is(err, onnx.ErrLimit) {
		t.Errorf("file over the limit: got %v", err)
	}
	exact := onnx.Limits{FileBytes: int64(len(b))}
	if _, err := onnx.Read(bytes.NewReader(b), exact); err != nil {
		t.Errorf("stream at the limit: %v", err)
	}
}

// A write that fails leaves the old file and no debris.
func TestWriteFileKeepsOldFileOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := read(t, "testdata/conv.onnx").WriteFile(path); err == nil {
		t.Fatal("a directory was overwritten")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
