package graph_test

import (
	"os"
	"path/filepath"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// FuzzCanonical feeds models that the reader takes to everything that walks
// over graphs: no model may crash it, and what comes out must be sound.
func FuzzCanonical(f *testing.F) {
	f.Add(quanttest.Net(f).Bytes())
	files, err := filepath.Glob(filepath.Join("..", "onnx", "testdata", "*.onnx"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnx.Parse(b, onnx.Limits{FileBytes: 1 << 20, Nodes: 2000})
		if err != nil {
			return
		}
		g, _, err := graph.Canonical(m)
		if err != nil {
			return
		}
		g.Shapes()
		if _, err := g.Model(); err != nil {
			t.Errorf("the canonical form is not sound: %v", err)
		}
	})
}
