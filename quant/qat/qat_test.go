package qat_test

import (
	"math"
	"strings"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qat"
	"emberwing/quant/qdq"
	"emberwing/quant/quanttest"
	"emberwing/quant/recipe"
)

func profile(t *testing.T, name string) qdq.Profile {
	t.Helper()
	p, err := qdq.ProfileOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// quantised writes the small network for a target.
func quantised(t *testing.T, target string) *recipe.Written {
	t.Helper()
	j := &recipe.Job{Model: quanttest.Net(t), Input: quanttest.Input(), Open: quanttest.Open(t),
		Samples: quanttest.NewSamples(20), Profile: profile(t, target), Method: "minmax", Plain: true}
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func strip(t *testing.T, m *onnx.Model) *qat.Stripped {
	t.Helper()
	g, _, err := graph.Canonical(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := qat.Strip(g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStrippingGivesBackTheParameters(t *testing.T) {
	for _, target := range []string{"cpu-vnni", "cpu-arm", "tensorrt"} {
		w := quantised(t, target)
		s := strip(t, w.Model)
		for _, n := range s.Graph.Nodes() {
			if graph.Is(n, "QuantizeLinear", "DequantizeLinear") {
				t.Fatalf("%s: %s is left", target, graph.Describe(n))
			}
		}
		found := 0
		for _, p := range s.Values {
			for _, want := range w.Result.Values {
				if p == want {
					found++
					break
				}
			}
		}
		if found != len(s.Values) || found < 10 {
			t.Errorf("%s: %d of %d parameters are those that were written", target, found, len(s.Values))
		}
	}
}

// TestWritingAgainKeepsTheScales goes Q/DQ, float, Q/DQ without samples.
func TestWritingAgainKeepsTheScales(t *testing.T) {
	for _, target := range []string{"cpu-vnni", "tensorrt"} {
		w := quantised(t, target)
		s := strip(t, w.Model)
		j := &recipe.Job{Graph: s.Graph, Input: quanttest.Input(), Open: quanttest.Open(t), Profile: profile(t, target),
			Values: s.Values, Weights: s.Weights, Known: s.Ranges()}
		p, err := j.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Write(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Result.Layers) != len(w.Result.Layers) {
			t.Errorf("%s: got %d layers, want %d", target, len(again.Result.Layers), len(w.Result.Layers))
		}
		for name, want := range w.Result.Layers {
			for c, got := range again.Result.Layers[name] {
				if math.Abs(float64(got/want[c]-1)) > 1e-6 {
					t.Errorf("%s: layer %s channel %d: got scale %v, want %v", target, name, c, got, want[c])
				}
			}
		}
	}
}

func TestMissingRangesAreNamed(t *testing.T) {
	s := strip(t, quantised(t, "tensorrt").Model)
	j := &recipe.Job{Graph: s.Graph, Input: quanttest.Input(), Profile: profile(t, "cpu-vnni"), Known: s.Ranges()}
	if _, err := j.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "values such as") {
		t.Errorf("got %v, want the values named that have no range", err)
	}
}

func TestLint(t *testing.T) {
	clean := func(target, against string) []qat.Issue {
		g, _, err := graph.Canonical(quantised(t, target).Model)
		if err != nil {
			t.Fatal(err)
		}
		return qat.Lint(g, profile(t, against))
	}
	for _, target := range []string{"cpu-vnni", "tensorrt"} {
		if issues := clean(target, target); len(issues) > 0 {
			t.Errorf("%s against itself: %v", target, issues)
		}
	}
	all := ""
	for _, i := range clean("cpu-vnni", "tensorrt") {
		all += i.String() + "\n"
	}
	for _, want := range []string{"numbers are uint8", "the bias is int32", "both inputs have pairs",
		"inputs have scales"} {
		if !strings.Contains(all, want) {
			t.Errorf("cpu-vnni against tensorrt does not say %q:\n%s", want, all)
		}
	}
}

// TestLintOfFaults plants one fault each.
func TestLintOfFaults(t *testing.T) {
	faults := map[string]func(g *graph.Graph, q, dq *graph.Node){
		"zero point is 3": func(g *graph.Graph, q, _ *graph.Node) { g.SetRaw(q.Input[2], onnx.Int8, nil, []byte{3}) },
		"scale is 0":      func(g *graph.Graph, q, _ *graph.Node) { g.SetFloats(q.Input[1], nil, []float32{0}) },
		"nobody reads it": func(g *graph.Graph, q, dq *graph.Node) { g.Rewire(dq.Output[0], q.Input[0]); g.Remove(dq) },
		"along axis 1, want 0": func(g *graph.Graph, _, _ *graph.Node) {
			for _, n := range g.Nodes() {
				if a := graph.Attribute(n, "axis"); graph.Is(n, "DequantizeLinear") && a != nil {
					*a.I = 1
				}
			}
		},
		"a Clip stands between": func(g *graph.Graph, q, dq *graph.Node) {
			g.Add("Clip", []string{q.Output[0]}, []string{"clipped"})
			dq.Input[0] = "clipped"
			g.Touch()
		},
		"batch norm is not folded": func(g *graph.Graph, _, _ *graph.Node) {
			for _, n := range g.Nodes() {
				if graph.Is(n, "Relu") {
					op := "BatchNormalization"
					n.OpType = &op
				}
			}
		},
	}
	for want, plant := range faults {
		g, _, err := graph.Canonical(quantised(t, "tensorrt").Model)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range g.Nodes() {
			if graph.Is(q, "QuantizeLinear") && q.Input[0] == "input" {
				plant(g, q, g.Consumers(q.Output[0])[0])
				break
			}
		}
		all := ""
		for _, i := range qat.Lint(g, profile(t, "tensorrt")) {
			all += i.String() + "\n"
		}
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said:\n%s", want, all)
		}
	}
}

func TestIntegerModelsAreRefused(t *testing.T) {
	g, _, err := graph.Canonical(quantised(t, "cpu-vnni").Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes() {
		if graph.Is(n, "DequantizeLinear") && graph.Is(g.Producer(n.Input[0]), "QuantizeLinear") {
			g.Add("MaxPool", []string{n.Input[0]}, []string{"pooled"}, graph.IntsAttr("kernel_shape", 1, 1))
			n.Input[0] = "pooled"
			g.Touch()
			break
		}
	}
	if _, err := qat.Strip(g); err == nil || !strings.Contains(err.Error(), "no QuantizeLinear computes") {
		t.Errorf("got %v, want the operator between Q and DQ named", err)
	}
}
