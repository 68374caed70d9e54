package infer_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

const fp32File = "tiny/tiny-fp32.onnx"

// TestLoadNamesEachFault damages one file at a time.
func TestLoadNamesEachFault(t *testing.T) {
	replace := func(name string) func(t *testing.T, files fstest.MapFS) {
		return func(t *testing.T, files fstest.MapFS) { swap(t, files, files["tiny/bad/"+name].Data) }
	}
	tests := []struct {
		name string
		want error
		harm func(t *testing.T, files fstest.MapFS)
	}{
		{"truncated file", infer.ErrTruncated, func(_ *testing.T, files fstest.MapFS) {
			files[fp32File].Data = files[fp32File].Data[:100]
		}},
		{"empty file", infer.ErrTruncated, func(_ *testing.T, files fstest.MapFS) { files[fp32File].Data = nil }},
		{"longer file", infer.ErrSize, func(_ *testing.T, files fstest.MapFS) {
			files[fp32File].Data = append(files[fp32File].Data, 0)
		}},
		{"changed byte", infer.ErrChecksum, func(_ *testing.T, files fstest.MapFS) { files[fp32File].Data[50] ^= 1 }},
		{"missing file", fs.ErrNotExist, func(_ *testing.T, files fstest.MapFS) { delete(files, fp32File) }},
		{"missing manifest", fs.ErrNotExist, func(_ *testing.T, files fstest.MapFS) { delete(files, "tiny/manifest.json") }},
		{"truncated before it was stamped", infer.ErrTruncated, func(t *testing.T, files fstest.MapFS) {
			swap(t, files, files[fp32File].Data[:200])
		}},
		{"not ONNX", infer.ErrModel, func(t *testing.T, files fstest.MapFS) { swap(t, files, []byte("\x00PNG")) }},
		{"shape", infer.ErrShape, replace("shape.onnx")},
		{"input name", infer.ErrTensor, replace("name.onnx")},
		{"dtype", infer.ErrDType, replace("dtype.onnx")},
		{"labels", infer.ErrLabels, func(_ *testing.T, files fstest.MapFS) {
			f := files["tiny/manifest.json"]
			f.Data = []byte(strings.Replace(string(f.Data), `"labels": [`, `"labels": [], "x": [`, 1))
		}},
	}
	named := []error{infer.ErrTruncated, infer.ErrSize, infer.ErrChecksum, infer.ErrModel, infer.ErrShape,
		infer.ErrTensor, infer.ErrDType, infer.ErrVariant, fs.ErrNotExist}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := infertest.Files(t)
			tt.harm(t, files)
			m, err := infer.Load(files, "tiny/manifest.json")
			if m != nil || !errors.Is(err, tt.want) {
				t.Fatalf("got %v, %v, want %v", m, err, tt.want)
			}
			for _, other := range named {
				if other != tt.want && tt.want != infer.ErrLabels && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
			if !strings.Contains(err.Error(), "tiny/") {
				t.Errorf("no file is named in %v", err)
			}
		})
	}
}

// swap replaces the fp32 file and the checksum in the manifest.
func swap(t *testing.T, files fstest.MapFS, data []byte) {
	t.Helper()
	manifest := files["tiny/manifest.json"]
	manifest.Data = infertest.Restamp(t, manifest.Data, infer.FP32, data)
	files[fp32File].Data = data
}

func TestLoadJoinsFaultsOfAllFiles(t *testing.T) {
	files := infertest.Files(t)
	files[fp32File].Data = files[fp32File].Data[:10]
	files["tiny/tiny-int8.onnx"].Data[10] ^= 1
	_, err := infer.Load(files, "tiny/manifest.json")
	if !errors.Is(err, infer.ErrTruncated) || !errors.Is(err, infer.ErrChecksum) {
		t.Errorf("got %v, want both faults", err)
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	files := infertest.Files(t)
	files[fp32File].Data = files[fp32File].Data[:100]
	_, err := infer.Load(files, "tiny/manifest.json")
	const want = "read model tiny/tiny-fp32.onnx: file is truncated: got 100 bytes, want 282 (copy the file again)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestVariant(t *testing.T) {
	m := infertest.Tiny(t)
	v, err := m.Variant(infer.INT8)
	if err != nil || v.File != "tiny-int8.onnx" {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := m.Variant(infer.FP16); !errors.Is(err, infer.ErrVariant) {
		t.Errorf("got %v, want %v", err, infer.ErrVariant)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, infertest.Files(t)); err != nil {
		t.Fatal(err)
	}
	models := infertest.FS()
	for _, name := range []string{"tiny", filepath.Join(dir, "tiny"), filepath.Join(dir, "tiny", "manifest.json")} {
		if m, err := infer.Resolve(models, name); err != nil || m.Name != "tiny" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if m, err := infer.Resolve(nil, filepath.Join(dir, "tiny")); err != nil || m.Name != "tiny" {
		t.Errorf("without embedded models: got %v", err)
	}
	for name, want := range map[string]error{
		"tinny":                                 infer.ErrUnknownModel,
		"":                                      infer.ErrUnknownModel,
		dir:                                     fs.ErrNotExist,
		filepath.Join(dir, fp32File):            infer.ErrManifest,
		filepath.Join(dir, "tiny/no/such.json"): infer.ErrUnknownModel,
	} {
		if _, err := infer.Resolve(models, name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	_, err := infer.Resolve(models, "tinny")
	if !strings.Contains(err.Error(), "one of tiny") {
		t.Errorf("the models are not listed in %v", err)
	}
}

func TestReadGraph(t *testing.T) {
	data := infertest.Files(t)["tiny/tiny-int8.onnx"].Data
	g, err := infer.ReadGraph(data)
	if err != nil {
		t.Fatal(err)
	}
	if g.IR != 7 || g.Opset != 13 || g.Producer != "emberwing-tiny" {
		t.Errorf("got %+v", g)
	}
	if len(g.Inputs) != 1 || g.Inputs[0].String() != "input float32[1 3 8 8]" {
		t.Errorf("inputs %v", g.Inputs)
	}
	if len(g.Outputs) != 1 || g.Outputs[0].String() != "logits float32[1 4]" {
		t.Errorf("outputs %v", g.Outputs)
	}
	for n := range data { // no prefix is a model, and none panics
		if _, err := infer.ReadGraph(data[:n]); n < len(data)-20 && err == nil {
			t.Errorf("the first %d of %d bytes pass", n, len(data))
		}
	}
}

// TestReadGraphSkipsWeights reads a model of IR 3, which lists weights among
// the inputs, with its operator set under the long name and one of another
// domain.
func TestReadGraphSkipsWeights(t *testing.T) {
	tensor := func(name string) []byte { return sub(1, []byte(name)) }
	graph := slices.Concat(
		sub(11, tensor("weight")), sub(11, tensor("image")), sub(12, tensor("logits")),
		sub(5, sub(8, []byte("weight"))))
	model := slices.Concat([]byte{1 << 3, 3}, sub(7, graph),
		sub(8, slices.Concat(sub(1, []byte("ai.onnx")), []byte{2 << 3, 12})),
		sub(8, slices.Concat(sub(1, []byte("com.microsoft")), []byte{2 << 3, 1})))
	g, err := infer.ReadGraph(model)
	if err != nil {
		t.Fatal(err)
	}
	if g.IR != 3 || g.Opset != 12 || !slices.Equal(g.Domains, []string{"com.microsoft 1"}) || len(g.Inputs) != 1 || g.Inputs[0].Name != "image" {
		t.Errorf("got %+v", g)
	}
}

// sub encodes a short protobuf field of wire type 2.
func sub(number byte, content []byte) []byte {
	return append([]byte{number<<3 | 2, byte(len(content))}, content...)
}

func FuzzReadGraph(f *testing.F) {
	for _, name := range []string{fp32File, "tiny/tiny-int8.onnx", "tiny/bad/dtype.onnx"} {
		data, err := fs.ReadFile(infertest.FS(), name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := infer.ReadGraph(data)
		if err != nil && !errors.Is(err, infer.ErrTruncated) && !errors.Is(err, infer.ErrModel) {
			t.Errorf("got %v without a name", err)
		}
		if err == nil && len(g.Outputs) == 0 {
			t.Error("accepted a graph without output")
		}
	})
}
