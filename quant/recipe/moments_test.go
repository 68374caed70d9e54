package recipe_test

import (
	"math"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/quanttest"
	"emberwing/quant/recipe"
)

// prepared measures a job.
func prepared(t *testing.T, j *recipe.Job) *recipe.Prepared {
	t.Helper()
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rounded writes with weights to the nearest, and rounds them again.
func rounded(t *testing.T, j *recipe.Job) (before, after *recipe.Written) {
	t.Helper()
	p := prepared(t, j)
	before, err := p.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after, err = p.Round(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	return before, after
}

// Which rounding is nearer in one set of samples depends on chance too, where
// activations lose more than weights, so the gain is that over several sets.
func TestCompensatedWeightsAreNearerToTheFloatModel(t *testing.T) {
	for _, target := range []string{"cpu-vnni", "cpu-avx2", "tensorrt"} {
		var gain float64
		for _, n := range []int{60, 80, 100, 120, 140} {
			j := job(t, target)
			j.Method, j.Samples = "minmax", quanttest.NewSamples(n)
			before, after := rounded(t, j)
			if len(after.Tried) != 2 || after.Tried[1].Rounding != recipe.Compensated ||
				after.Choice.SQNR != max(after.Tried[0].SQNR, after.Tried[1].SQNR) || after.Choice.SQNR < before.Choice.SQNR {
				t.Errorf("%s: got %+v of %+v, nearest %+v", target, after.Choice, after.Tried, before.Choice)
				continue
			}
			gain += (after.Tried[1].SQNR - before.Choice.SQNR) / 5
		}
		if gain < 0.1 {
			t.Errorf("%s: got a gain of %.2f dB, want 0.1 at least", target, gain)
		}
	}
}

func TestMomentsFitAnyMemory(t *testing.T) {
	whole, parts := job(t, "cpu-vnni"), job(t, "cpu-vnni")
	whole.Method, parts.Method, parts.Memory = "minmax", "minmax", 1<<10
	_, want := rounded(t, whole)
	_, got := rounded(t, parts)
	if string(got.Model.Bytes()) != string(want.Model.Bytes()) {
		t.Error("layers measured one at a time give another model")
	}
}

// TestTensorRTRoundsFloatWeightsAlike: TensorRT quantises the weights itself,
// so they must lie on the integers already.
func TestTensorRTRoundsFloatWeightsAlike(t *testing.T) {
	j := job(t, "tensorrt")
	j.Method, j.Samples = "minmax", quanttest.NewSamples(80)
	_, w := rounded(t, j)
	if w.Choice.Rounding != recipe.Compensated {
		t.Fatalf("got %+v, want weights that were compensated", w.Tried)
	}
	g := graph.New(w.Model)
	checked := 0
	for _, n := range g.Nodes() {
		if n.GetOpType() != "QuantizeLinear" || !g.IsConstant(n.Input[0]) {
			continue
		}
		values, dims, _ := g.Floats(n.Input[0])
		scales, _, _ := g.Floats(n.Input[1])
		checked++
		if axis := graph.Int(n, "axis", 0); axis != 0 {
			continue
		}
		for i, v := range values {
			q := float64(v) / float64(scales[i/(len(values)/int(dims[0]))%len(scales)])
			if math.Abs(q-math.Round(q)) > 1e-3 {
				t.Fatalf("%s: weight %d is %v steps, want a whole number", n.Input[0], i, q)
			}
		}
	}
	if checked == 0 {
		t.Fatal("got no weights with pairs")
	}
}
