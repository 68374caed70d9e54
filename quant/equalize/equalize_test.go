package equalize_test

import (
	"math"
	"slices"
	"testing"

	"emberwing/quant"
	"emberwing/quant/equalize"
	"emberwing/quant/graph"
	"emberwing/quant/quanttest"
)

// uneven is Conv, Relu, depthwise Conv, Relu, Conv with channels of very
// different sizes.
func uneven(t *testing.T) *graph.Graph {
	t.Helper()
	b := quanttest.NewBuilder(5)
	x := b.Input("input", 1, 3, 16, 16)
	x = b.Conv(x, 3, 8, 3, 1, 1, true)
	scale := b.Floats([]int64{1, 8, 1, 1}, 1, 10, 100, 0.01, 1, 5, 0.5, 2)
	x = b.Node("Relu", []string{b.Node("Mul", []string{x, scale})})
	x = b.Node("Relu", []string{b.Conv(x, 8, 8, 3, 1, 8, false)})
	b.Conv(x, 8, 4, 1, 1, 1, true)
	b.Output(b.Rename("out"))
	g, _, err := graph.Canonical(b.Model(t, 13))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t *testing.T, g *graph.Graph) []float32 {
	t.Helper()
	m, err := g.Clone().Model()
	if err != nil {
		t.Fatal(err)
	}
	s, err := quanttest.Open(t)(m.Bytes(), []quant.Input{quanttest.Input()}, []string{"out"})
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

// spread is the ratio of the largest to the smallest channel of weights.
func spread(g *graph.Graph, n *graph.Node) float64 {
	w, dims, _ := g.Floats(n.Input[1])
	lo, hi := math.Inf(1), 0.0
	for c := range int(dims[0]) {
		var top float64
		for _, v := range w[c*len(w)/int(dims[0]) : (c+1)*len(w)/int(dims[0])] {
			top = math.Max(top, math.Abs(float64(v)))
		}
		lo, hi = math.Min(lo, top), math.Max(hi, top)
	}
	return hi / lo
}

func TestEqualisingKeepsTheFunctionAndEvensTheChannels(t *testing.T) {
	g := uneven(t)
	want, before := run(t, g), spread(g, g.Nodes()[0])
	pairs, largest, err := equalize.Graph(g)
	if err != nil || pairs != 2 || largest < 5 {
		t.Fatalf("got %d pairs, factor %v, %v; want 2 pairs", pairs, largest, err)
	}
	for i, got := range run(t, g) {
		if math.Abs(float64(got-want[i])) > 1e-4*math.Max(1, math.Abs(float64(want[i]))) {
			t.Fatalf("output %d: got %v, want %v", i, got, want[i])
		}
	}
	if after := spread(g, g.Nodes()[0]); after > before/5 {
		t.Errorf("channels differ by %v, before by %v", after, before)
	}
	if _, again, _ := equalize.Graph(g); again > 1.1 {
		t.Errorf("equalising again scales by %v, want about 1", again)
	}
}

func TestNothingIsScaledAcrossReLU6OrBranches(t *testing.T) {
	g, _, err := graph.Canonical(quanttest.Net(t))
	if err != nil {
		t.Fatal(err)
	}
	pairs, _, err := equalize.Graph(g)
	if err != nil || pairs != 1 { // the two convolutions of the gate
		t.Errorf("got %d pairs, %v, want 1", pairs, err)
	}
}
