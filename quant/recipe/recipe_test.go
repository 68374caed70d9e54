package recipe_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emberwing/quant"
	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
	"emberwing/quant/quanttest"
	"emberwing/quant/recipe"
)

// job returns a job on the small network.
func job(t *testing.T, target string) *recipe.Job {
	t.Helper()
	p, err := qdq.ProfileOf(target)
	if err != nil {
		t.Fatal(err)
	}
	return &recipe.Job{Model: quanttest.Net(t), Input: quanttest.Input(), Open: quanttest.Open(t),
		Samples: quanttest.NewSamples(60), Profile: p}
}

// written runs a job.
func written(t *testing.T, j *recipe.Job) *recipe.Written {
	t.Helper()
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

func TestEveryTargetIsNearTheFloatModel(t *testing.T) {
	for target, want := range map[string]float64{"cpu-vnni": 24, "cpu-avx2": 20, "cpu-arm": 24, "tensorrt": 22} {
		w := written(t, job(t, target))
		if w.Choice.SQNR < want || len(w.Tried) != 2*len(calib.Methods()) {
			t.Errorf("%s: got %+v of %d tried, want at least %v dB", target, w.Choice, len(w.Tried), want)
		}
		for _, c := range w.Tried {
			if c.SQNR > w.Choice.SQNR {
				t.Errorf("%s: %+v is better than the chosen %+v", target, c, w.Choice)
			}
		}
		if v, _ := w.Model.Opset(""); v != 13 || w.Model.Info().IRVersion != 8 {
			t.Errorf("%s: got opset %d, IR %d, want 13 and 8", target, v, w.Model.Info().IRVersion)
		}
	}
}

func TestActivationFunctionsAreAbsorbed(t *testing.T) {
	for target, want := range map[string]int{"cpu-vnni": 0, "tensorrt": 4} {
		j := job(t, target)
		j.Method = "minmax"
		n := 0
		for _, node := range written(t, j).Model.Graph().Nodes() {
			if node.Op() == "Relu" || node.Op() == "Clip" {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: got %d activation functions, want %d", target, n, want)
		}
	}
}

func TestTensorRTTakesZeroPointsOfZeroAndFloatBias(t *testing.T) {
	j := job(t, "tensorrt")
	j.Method = "mse"
	m := written(t, j).Model
	g := graph.New(m)
	for _, n := range g.Nodes() {
		switch n.GetOpType() {
		case "QuantizeLinear", "DequantizeLinear":
			zero, ok := g.Ints(n.Input[2])
			if !ok || slices.ContainsFunc(zero, func(z int64) bool { return z != 0 }) {
				t.Errorf("%s has zero point %v", graph.Describe(n), zero)
			}
		case "Conv", "Gemm":
			if _, _, ok := g.Floats(n.Input[2]); !ok {
				t.Errorf("%s has no float bias", graph.Describe(n))
			}
			w := g.Producer(n.Input[1])
			if !graph.Is(w, "DequantizeLinear") || !graph.Is(g.Producer(w.Input[0]), "QuantizeLinear") {
				t.Errorf("%s: weights are not float, Q, DQ", graph.Describe(n))
			}
		case "Add":
			pairs := 0
			for _, in := range n.Input {
				if graph.Is(g.Producer(in), "DequantizeLinear") {
					pairs++
				}
			}
			if pairs != 1 {
				t.Errorf("%s: %d inputs have pairs, want one: the other fuses with its convolution", graph.Describe(n), pairs)
			}
		case "Concat":
			if scales := inputScales(g, n); len(scales) != 2 || scales[0] != scales[1] {
				t.Errorf("%s: inputs have scales %v, want one", graph.Describe(n), scales)
			}
		}
	}
}

func inputScales(g *graph.Graph, n *graph.Node) (out []float32) {
	for _, in := range n.Input {
		if dq := g.Producer(in); graph.Is(dq, "DequantizeLinear") {
			s, _ := g.Scalar(dq.Input[1])
			out = append(out, s)
		}
	}
	return out
}

func TestAnInterruptedCalibrationGoesOn(t *testing.T) {
	whole := job(t, "cpu-vnni")
	whole.Stored = filepath.Join(t.TempDir(), "whole.calib")
	want := written(t, whole)

	j := job(t, "cpu-vnni")
	j.Stored, j.Memory = filepath.Join(t.TempDir(), "parts.calib"), 64<<10
	for stops := 1; ; stops++ {
		ctx, cancel := context.WithCancel(t.Context())
		j.Progress = func(step string, done, total int) {
			if done%40 == 17 {
				cancel()
			}
		}
		_, err := j.Prepare(ctx)
		cancel()
		if err == nil {
			if stops < 3 {
				t.Fatalf("finished after %d attempts: nothing was interrupted", stops)
			}
			break
		}
		if !errors.Is(err, context.Canceled) || stops > 100 {
			t.Fatal(err)
		}
	}
	j.Progress = nil
	if got := written(t, j); string(got.Model.Bytes()) != string(want.Model.Bytes()) {
		t.Errorf("got %+v, want %+v", got.Choice, want.Choice)
	}
}

func TestAStoredCalibrationOfSomethingElseIsRefused(t *testing.T) {
	j := job(t, "cpu-vnni")
	j.Stored = filepath.Join(t.TempDir(), "c.calib")
	if _, err := j.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.Samples = quanttest.NewSamples(30)
	if _, err := j.Prepare(t.Context()); !errors.Is(err, calib.ErrStored) || !strings.Contains(err.Error(), "c.calib") {
		t.Errorf("got %v, want %v with the file named", err, calib.ErrStored)
	}
}

func TestNodesKeptInFloat(t *testing.T) {
	j := job(t, "cpu-vnni")
	j.Method, j.Float = "minmax", []string{"no such node"}
	if _, err := j.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "no such node") {
		t.Errorf("got %v, want the misspelt node named", err)
	}
	g, _, err := graph.Canonical(j.Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes() {
		if n.GetOpType() == "Gemm" {
			j.Float = []string{n.GetName()}
		}
	}
	m := written(t, j).Model.Graph()
	for _, n := range m.Nodes() {
		if n.Op() != "Gemm" {
			continue
		}
		if w, ok := m.Initializer(n.Inputs()[1]); !ok || w.Type() != onnx.Float {
			t.Errorf("got weights of %s, want float ones", n)
		}
	}
}

// TestAWidenedPictureChangesNothing compares every bit of the outputs.
func TestAWidenedPictureChangesNothing(t *testing.T) {
	var got [2][]float32
	for i, widen := range []bool{false, true} {
		j := job(t, "cpu-vnni")
		j.Method, j.Widen = "minmax", widen
		m := written(t, j).Model
		pads := 0
		for _, n := range m.Graph().Nodes() {
			if n.Op() == "Pad" {
				pads++
			}
		}
		if pads != i {
			t.Errorf("widen %v: got %d paddings", widen, pads)
		}
		s, err := j.Open(m.Bytes(), []quant.Input{j.Input}, []string{"logits"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := errors.Join(j.Samples.Load(3, s.Input(0)), s.Run()); err != nil {
			t.Fatal(err)
		}
		got[i] = slices.Clone(s.Output(0))
	}
	if !slices.Equal(got[0], got[1]) {
		t.Errorf("got %v, narrow %v", got[1], got[0])
	}
}
