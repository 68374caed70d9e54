package graph_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// FuzzCanonical feeds models that the reader takes to everything that walks
// over graphs: no model may crash it, what comes out must be sound, have the inputs and
// outputs of the model, and be canonical.
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
		once, err := g.Model()
		if err != nil {
			t.Fatalf("the canonical form is not sound: %v", err)
		}
		if got, want := ends(once), ends(m); got != want {
			t.Errorf("got inputs and outputs %s, want %s", got, want)
		}
		again, _, err := graph.Canonical(once)
		if err != nil {
			t.Fatalf("the canonical form is refused: %v", err)
		}
		if got, want := len(again.Nodes()), len(g.Nodes()); got != want {
			t.Errorf("a second time leaves %d nodes of %d", got, want)
		}
	})
}

// ends lists the inputs without a default and the outputs of a model.
func ends(m *onnx.Model) string {
	var names []string
	for _, v := range m.Graph().Inputs() {
		if _, given := m.Graph().Initializer(v.Name); !given {
			names = append(names, v.Name)
		}
	}
	names = append(names, "->")
	for _, v := range m.Graph().Outputs() {
		names = append(names, v.Name)
	}
	return fmt.Sprintf("%q", names)
}
