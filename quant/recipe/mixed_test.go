package recipe_test

import (
	"errors"
	"strings"
	"testing"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
	"emberwing/quant/recipe"
)

// broken returns the small network with one convolution whose channels have
// such different sizes that 8 bits for their common input lose most of them.
func broken(t *testing.T) (m *onnx.Model, culprit string) {
	t.Helper()
	b := quanttest.NewBuilder(11)
	x := b.Input("input", 1, 3, 16, 16)
	x = b.Node("Relu", []string{b.Conv(x, 3, 8, 3, 2, 1, true)})
	wide := make([]float32, 8)
	narrow := make([]float32, 8)
	for c := range wide {
		wide[c], narrow[c] = 1, 1
	}
	wide[0], narrow[0] = 3000, 1.0/3000
	x = b.Node("Mul", []string{b.Node("Relu", []string{x}), b.Floats([]int64{1, 8, 1, 1}, wide...)})
	x = b.Node("Mul", []string{b.Node("Relu", []string{x}), b.Floats([]int64{1, 8, 1, 1}, narrow...)})
	x = b.Node("Relu", []string{b.Conv(x, 8, 16, 3, 2, 1, true)})
	x = b.Node("Flatten", []string{b.Node("GlobalAveragePool", []string{x})})
	b.Node("Gemm", []string{x, b.Random(0, 0.3, 5, 16), b.Random(0, 0.3, 5)}, graph.IntAttr("transB", 1))
	b.Output(b.Rename("logits"))
	return b.Model(t, 13), "Mul"
}

func TestMixedPrecisionKeepsTheCulpritsInFloat(t *testing.T) {
	j := job(t, "cpu-vnni")
	j.Samples, j.Method = quanttest.NewSamples(120), "minmax"
	var culprit string
	j.Model, culprit = broken(t)
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Mix(t.Context(), recipe.Labelled{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	first, last := m.Trials[0], m.Trials[len(m.Trials)-1]
	if first.Drop <= 0 || !m.Met || len(m.Float) == 0 || len(m.Float) > 3 {
		t.Errorf("got %+v to %+v, float %v; want few nodes in float to mend the drop", first, last, m.Float)
	}
	for _, s := range m.Sensitivity[:2] {
		if !strings.HasPrefix(s.Node, culprit) {
			t.Errorf("%+v: want the two operators %s first", m.Sensitivity, culprit)
		}
	}
	for i, s := range m.Sensitivity {
		if i > 0 && s.Changed > m.Sensitivity[i-1].Changed {
			t.Errorf("sensitivity is not in order: %+v", m.Sensitivity)
		}
	}
}

func TestMixedPrecisionWithLabelsThatNothingMeets(t *testing.T) {
	j := job(t, "cpu-vnni")
	j.Method = "minmax"
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Mix(t.Context(), recipe.Labelled{Samples: quanttest.NewSamples(5), Truth: make([]int, 5)},
		-1); !errors.Is(err, recipe.ErrDrop) {
		t.Errorf("got %v, want %v", err, recipe.ErrDrop)
	}
	if _, err := p.Mix(t.Context(), recipe.Labelled{Samples: quanttest.NewSamples(5), Truth: []int{1}}, 0); err == nil {
		t.Error("one label for five samples passes")
	}
}
