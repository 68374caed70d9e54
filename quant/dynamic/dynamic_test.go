package dynamic

import (
	"math"
	"testing"

	"emberwing/quant"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

func TestQuantiseRoundsWithinHalfAStep(t *testing.T) {
	values := []float32{0.5, -1, 0.25, 0, 0, 0, 3, 1e-3, -3}
	integers, scales := quantise(values, 3)
	for i, v := range values {
		got := (float64(integers[i]) - zeroPoint) * float64(scales[i/3])
		if math.Abs(got-float64(v)) > float64(scales[i/3])/2+1e-7 {
			t.Errorf("weight %v became %v with scale %v", v, got, scales[i/3])
		}
	}
	if integers[1] != zeroPoint-127 || integers[3] != zeroPoint || scales[1] != 1 {
		t.Errorf("got %v, scales %v", integers, scales)
	}
}

// TestDynamicStaysNearFloat runs both on the real library.
func TestDynamicStaysNearFloat(t *testing.T) {
	open := quanttest.Open(t)
	float := quanttest.Net(t)
	written, n, err := Write(float)
	if err != nil {
		t.Fatal(err)
	}
	if n != 8 {
		t.Errorf("got %d layers in integers, want 8", n)
	}
	run := func(m *onnx.Model) []float32 {
		s, err := open(m.Bytes(), []quant.Input{quanttest.Input()}, []string{"logits"})
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
		return append([]float32(nil), s.Output(0)...)
	}
	want, got := run(float), run(written)
	signal, noise := 0.0, 0.0
	for i := range want {
		signal += float64(want[i] * want[i])
		noise += float64((want[i] - got[i]) * (want[i] - got[i]))
	}
	if db := 10 * math.Log10(signal/noise); db < 25 || noise == 0 {
		t.Errorf("got %.1f dB, want at least 25: %v instead of %v", db, got, want)
	}
}

func TestNothingToQuantiseIsAnError(t *testing.T) {
	b := quanttest.NewBuilder(1)
	x := b.Input("x", 1, 3, 4, 4)
	b.Node("Relu", []string{x})
	b.Output(b.Rename("y"))
	if _, _, err := Write(b.Model(t, 13)); err == nil {
		t.Error("a model without products was written")
	}
}
