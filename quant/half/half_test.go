package half_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/half"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// TestEveryHalfComesBack walks all 65536 numbers, and the middles between
// neighbours.
func TestEveryHalfComesBack(t *testing.T) {
	for h := range 1 << 16 {
		f := half.ToFloat(uint16(h))
		if f != f {
			continue
		}
		if got := half.FromFloat(f); got != uint16(h) {
			t.Fatalf("%04x is %v is %04x", h, f, got)
		}
		if next := half.ToFloat(uint16(h + 1)); h&0x7fff < 0x7bff {
			even := uint16(h + h&1)
			if got := half.FromFloat((f + next) / 2); got != even {
				t.Fatalf("middle of %04x and its neighbour: got %04x, want the even %04x", h, got, even)
			}
		}
	}
	for f, want := range map[float32]uint16{65504: 0x7bff, 65519: 0x7bff, 65520: 0x7c00, 1e-8: 0, -3e-8: 0x8001,
		5.9604645e-8:          1,
		float32(math.Inf(-1)): 0xfc00} {
		if got := half.FromFloat(f); got != want {
			t.Errorf("%v: got %04x, want %04x", f, got, want)
		}
	}
}

// run returns the logits of a model for one sample.
func run(t *testing.T, m *onnx.Model) []float32 {
	t.Helper()
	s, err := quanttest.Open(t)(m.Bytes(), []quant.Input{quanttest.Input()}, []string{"logits"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := quanttest.NewSamples(1).Load(0, s.Input(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(s.Output(0))
}

func canonical(t *testing.T) *graph.Graph {
	t.Helper()
	g, _, err := graph.Canonical(quanttest.Net(t))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func model(t *testing.T, g *graph.Graph) *onnx.Model {
	t.Helper()
	m, err := g.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTheEmulationRoundsAsTheModelDoes compares both with the float model: the
// runtime has no 16-bit kernels for most operators and widens around them,
// which is what the emulation does too.
func TestTheEmulationRoundsAsTheModelDoes(t *testing.T) {
	exact := run(t, model(t, canonical(t)))
	g, e := canonical(t), canonical(t)
	if _, err := half.Convert(g, half.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := half.Emulate(e, half.Options{}); err != nil {
		t.Fatal(err)
	}
	converted, emulated := run(t, model(t, g)), run(t, model(t, e))
	var worst, apart float64
	for i := range exact {
		worst = max(worst, math.Abs(float64(exact[i]-emulated[i])))
		apart = max(apart, math.Abs(float64(converted[i]-emulated[i])))
	}
	if worst < 1e-5 || worst > 0.1 {
		t.Errorf("emulated %v, exact %v: off by %v, want what 16 bits cost", emulated, exact, worst)
	}
	if apart > worst {
		t.Errorf("emulated %v, converted %v, exact %v", emulated, converted, exact)
	}
}

func TestInputsOutputsAndBlockedNodesStayFloat(t *testing.T) {
	g := canonical(t)
	var conv string
	for _, n := range g.Nodes() {
		if n.GetOpType() == "Conv" {
			conv = n.GetName()
		}
	}
	if _, err := half.Convert(g, half.Options{Nodes: []string{conv}}); err != nil {
		t.Fatal(err)
	}
	shapes := g.Shapes()
	for _, n := range g.Nodes() {
		want := onnx.Float16
		if n.GetName() == conv || n.GetOpType() == "Resize" {
			want = onnx.Float
		}
		if got := shapes[n.Output[0]].Type; got != want && n.GetOpType() != "Cast" {
			t.Errorf("%s computes %v, want %v", graph.Describe(n), got, want)
		}
	}
	for _, v := range model(t, g).Graph().Outputs() {
		if v.Type != onnx.Float {
			t.Errorf("output %v, want float", v)
		}
	}
	_, err := half.Convert(canonical(t), half.Options{Nodes: []string{"Misspelt"}})
	if err == nil || !strings.Contains(err.Error(), "Misspelt") {
		t.Errorf("got %v, want the node named", err)
	}
}

func TestWhatDoesNotFitIsReportedAndStaysFloat(t *testing.T) {
	b := quanttest.NewBuilder(1)
	x := b.Node("Mul", []string{b.Input("input", 1, 3, 16, 16), b.Floats(nil, 1e6)})
	x = b.Node("Mul", []string{x, b.Floats(nil, 1e-9)})
	x = b.Node("Mul", []string{x, b.Floats(nil, 2)})
	b.Output(b.Node("Relu", []string{x}))
	g, _, err := graph.Canonical(b.Model(t, 13))
	if err != nil {
		t.Fatal(err)
	}
	hot := g.Nodes()[2].Output[0]
	findings, err := half.Convert(g, half.Options{Largest: map[string]float64{hot: 70000}})
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, n := range g.Nodes() {
		if n.GetOpType() != "Cast" && g.Shapes()[n.Output[0]].Type == onnx.Float {
			kept++
		}
	}
	// 1e6 keeps the first node, 70000 the third and the one that reads it;
	// 1e-9 becomes 0, which is said.
	if len(findings) != 4 || kept != 3 {
		t.Errorf("got %v and %d nodes in float, want 4 findings and 3 nodes", findings, kept)
	}
}
