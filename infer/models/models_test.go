package models_test

import (
	"io/fs"
	"slices"
	"testing"

	"emberwing/infer"
	"emberwing/infer/models"
)

// TestShippedModels verifies every embedded model: manifest, files, checksums
// and tensors.
func TestShippedModels(t *testing.T) {
	for _, name := range models.List() {
		m, err := infer.Resolve(models.FS, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Name != name {
			t.Errorf("the manifest in folder %s has name %s", name, m.Name)
		}
		for _, v := range m.Variants {
			checkFile(t, m, v)
		}
	}
}

// checkFile demands what the oldest supported runtime opens.
func checkFile(t *testing.T, m *infer.Model, v infer.Variant) {
	t.Helper()
	const largest = 25 << 20
	data, err := m.Bytes(v)
	if err != nil {
		t.Error(err)
		return
	}
	g, err := infer.ReadGraph(data)
	if err != nil {
		t.Error(err)
		return
	}
	if len(g.Domains) > 0 {
		t.Errorf("%s %s imports %q besides opset 13; ONNX Runtime before 1.17 refuses versions it does not know, even unused ones", m.Name, v.Precision, g.Domains)
	}
	if g.IR > 8 || g.Opset > 13 || len(data) > largest {
		t.Errorf("%s %s: IR %d, opset %d, %d bytes; want at most 8, 13, %d", m.Name, v.Precision, g.IR, g.Opset, len(data), largest)
	}
}

// TestNoStrayFiles finds ONNX files that no manifest names.
func TestNoStrayFiles(t *testing.T) {
	named := map[string]bool{}
	for _, name := range models.List() {
		m, err := infer.Resolve(models.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range m.Variants {
			named[name+"/"+v.File] = true
		}
	}
	files, err := fs.Glob(models.FS, "*/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return named[f] })
	if len(files) > 0 {
		t.Errorf("no manifest names %v", files)
	}
}
