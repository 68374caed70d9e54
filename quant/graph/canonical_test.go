package graph_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// run computes outputs of a model for sample i.
func run(t *testing.T, open quant.Opener, m *onnx.Model, i int, outputs ...string) [][]float32 {
	t.Helper()
	s, err := open(m.Bytes(), []quant.Input{quanttest.Input()}, outputs)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(quanttest.NewSamples(100).Load(i, s.Input(0)), s.Run()); err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, len(outputs))
	for o := range outputs {
		out[o] = slices.Clone(s.Output(o))
	}
	return out
}

// canonical returns the canonical form of a model.
func canonical(t *testing.T, m *onnx.Model) *graph.Graph {
	t.Helper()
	g, notes, err := graph.Canonical(m)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	return g
}

// ops counts the operators of a graph.
func ops(g *graph.Graph) map[string]int {
	out := map[string]int{}
	for _, n := range g.Nodes() {
		out[n.GetOpType()]++
	}
	return out
}

func TestCanonicalFormComputesTheSame(t *testing.T) {
	open := quanttest.Open(t)
	m := quanttest.Net(t)
	g := canonical(t, m)
	for _, op := range []string{"Constant", "Identity", "Dropout", "BatchNormalization"} {
		if n := ops(g)[op]; n != 0 {
			t.Errorf("%d %s left", n, op)
		}
	}
	form, err := g.Model()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		want, got := run(t, open, m, i, "logits", "features"), run(t, open, form, i, "logits", "features")
		for o := range want {
			for k, w := range want[o] {
				if d := math.Abs(float64(w - got[o][k])); d > 1e-4*math.Max(1, math.Abs(float64(w))) {
					t.Fatalf("sample %d output %d[%d]: got %v, want %v", i, o, k, got[o][k], w)
				}
			}
		}
	}
}

func TestCanonicalFormIsIdempotent(t *testing.T) {
	once, err := canonical(t, quanttest.Net(t)).Model()
	if err != nil {
		t.Fatal(err)
	}
	twice, err := canonical(t, once).Model()
	if err != nil {
		t.Fatal(err)
	}
	if string(once.Bytes()) != string(twice.Bytes()) {
		t.Error("the canonical form of the canonical form differs")
	}
}

func TestInferredShapesAreThoseOfTheRuntime(t *testing.T) {
	open := quanttest.OpenPlain(t)
	g := canonical(t, quanttest.Net(t))
	shapes := g.Shapes()
	var names []string
	for _, n := range g.Nodes() {
		if len(shapes[n.Output[0]].Dims) > 0 {
			names = append(names, n.Output[0])
			g.Expose(n.Output[0])
		}
	}
	if len(names) != len(g.Nodes()) {
		t.Errorf("got shapes of %d values, want all %d", len(names), len(g.Nodes()))
	}
	m, err := g.Model()
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(m.Bytes(), []quant.Input{quanttest.Input()}, names)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		want := s.(interface{ Shape(int) []int64 }).Shape(i)
		if !slices.Equal(shapes[name].Dims, want) || !shapes.Float(name) {
			t.Errorf("%s: got %+v, want %v", name, shapes[name], want)
		}
	}
}

func TestOpsetLimits(t *testing.T) {
	for opset, want := range map[int64]bool{10: false, 11: true, 13: true, 17: true, 18: false} {
		b := quanttest.NewBuilder(1)
		b.Node("Relu", []string{b.Input("input", 1, 3, 4, 4)})
		b.Output(b.Rename("out"))
		_, _, err := graph.Canonical(b.Model(t, opset))
		if (err == nil) != want {
			t.Errorf("opset %d: got %v", opset, err)
		}
		if err != nil && (!errors.Is(err, graph.ErrOpset) || !strings.Contains(err.Error(), "opset_version=13")) {
			t.Errorf("opset %d: got %v, want the fix named", opset, err)
		}
	}
}

func TestLaterOperatorsAreRewrittenOrKept(t *testing.T) {
	b := quanttest.NewBuilder(1)
	x := b.Node("HardSwish", []string{b.Input("input", 1, 3, 4, 4)})
	b.Output(b.Node("Reshape", []string{x, b.Ints(1, 48)}, graph.IntAttr("allowzero", 0)))
	g := canonical(t, b.Model(t, 15))
	if g.Opset() != 13 || ops(g)["HardSwish"] != 0 || ops(g)["HardSigmoid"] != 1 {
		t.Errorf("got opset %d, %v", g.Opset(), ops(g))
	}
	b = quanttest.NewBuilder(1)
	x = b.Node("LayerNormalization", []string{b.Input("input", 1, 3, 4, 4), b.Positive(4)})
	b.Output(b.Node("com.example.Mystery", []string{x}))
	name := "com.example"
	b.Graph.Node[1].Domain = &name
	m := b.Model(t, 17)
	g, notes, err := graph.Canonical(m)
	if err != nil || g.Opset() != 17 || len(notes) != 1 || !strings.Contains(notes[0], "LayerNormalization") {
		t.Errorf("got opset %d, notes %v, %v", g.Opset(), notes, err)
	}
	if ops(g)["com.example.Mystery"] != 1 {
		t.Error("the unknown operator is gone")
	}
}

func TestSortFindsCircles(t *testing.T) {
	b := quanttest.NewBuilder(1)
	x := b.Node("Relu", []string{b.Input("input", 1, 3, 4, 4)})
	y := b.Node("Relu", []string{x})
	b.Output(y)
	g := graph.New(b.Model(t, 13))
	g.Nodes()[0].Input[0] = y
	g.Touch()
	if err := g.Sort(); !errors.Is(err, onnx.ErrCycle) {
		t.Errorf("got %v, want %v", err, onnx.ErrCycle)
	}
}

func TestConvertersPaddingAndScalesAreFolded(t *testing.T) {
	open := quanttest.Open(t)
	b := quanttest.NewBuilder(3)
	x := b.Input("input", 1, 3, 16, 16)
	x = b.Node("Pad", []string{x, b.Ints(0, 0, 0, 0, 0, 0, 1, 1)})
	x = b.Node("Conv", []string{x, b.Random(0, 1, 4, 3, 3, 3)}, graph.IntsAttr("strides", 2, 2))
	x = b.Node("Mul", []string{x, b.Random(1, 0.2, 1, 4, 1, 1)})
	x = b.Node("Sub", []string{x, b.Random(1, 0.2, 4, 1, 1)})
	x = b.Node("Div", []string{x, b.Floats(nil, 2)})
	x = b.Node("Flatten", []string{b.Node("Add", []string{b.Random(0, 1, 4, 1, 1), x})})
	x = b.Node("MatMul", []string{x, b.Random(0, 1, 256, 5)})
	b.Node("Add", []string{x, b.Random(0, 1, 5)})
	b.Output(b.Rename("logits"))
	m := b.Model(t, 11)
	g := canonical(t, m)
	if n := ops(g); len(g.Nodes()) != 3 || n["Conv"] != 1 || n["Flatten"] != 1 || n["Gemm"] != 1 {
		t.Errorf("got %v, want Conv, Flatten and Gemm", n)
	}
	form, err := g.Model()
	if err != nil {
		t.Fatal(err)
	}
	want, got := run(t, open, m, 1, "logits")[0], run(t, open, form, 1, "logits")[0]
	for i := range want {
		if math.Abs(float64(want[i]-got[i])) > 1e-3 {
			t.Errorf("got %v, want %v", got, want)
			break
		}
	}
}
