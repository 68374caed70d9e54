package accuracy

import (
	"math"
	"math/rand/v2"
	"testing"

	"emberwing/infer"
)

// TestFitTemperature draws labels from softmax(z/2.5) and finds 2.5 again.
func TestFitTemperature(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var logits [][]float32
	var truth []int
	for range 5000 {
		z := []float32{float32(4 * r.NormFloat64()), float32(4 * r.NormFloat64()), float32(4 * r.NormFloat64())}
		sum, p := 0.0, [3]float64{}
		for i, v := range z {
			p[i] = math.Exp(float64(v) / 2.5)
			sum += p[i]
		}
		u, label := r.Float64()*sum, 0
		for u > p[label] && label < 2 {
			u -= p[label]
			label++
		}
		logits, truth = append(logits, z), append(truth, label)
	}
	got, err := FitTemperature(logits, truth)
	if err != nil || math.Abs(float64(got)-2.5) > 0.15 {
		t.Errorf("got %v, %v, want 2.5", got, err)
	}
	if _, err := FitTemperature(nil, nil); err == nil {
		t.Error("no samples are no error")
	}
}

// TestFitOOD draws from two Gaussians with a known covariance: distances of
// such samples follow a chi-squared law with two degrees of freedom.
func TestFitOOD(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var features [][]float32
	var truth []int
	for i := range 20000 {
		c := i % 2
		a, b := r.NormFloat64(), r.NormFloat64()
		features = append(features, []float32{float32(10*c) + float32(2*a), float32(0.5*a + 0.3*b)})
		truth = append(truth, c)
	}
	o, err := FitOOD(features, truth, 3, 0, 0.99)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(o.Threshold)-9.21) > 0.4 { // the 0.99 quantile
		t.Errorf("threshold: got %v, want 9.21", o.Threshold)
	}
	f := infer.NewFamiliarity(o)
	// Covariance [[4 1][1 0.34]]; its inverse is [[0.34 -1][-1 4]]/0.36.
	for _, tt := range []struct {
		x    []float32
		want float64
	}{{[]float32{0, 0}, 0}, {[]float32{0, 1}, 4 / 0.36}, {[]float32{11, 0}, 0.34 / 0.36}} {
		d, err := f.Distance(tt.x)
		if err != nil || math.Abs(float64(d)-tt.want) > 0.06*tt.want+0.02 {
			t.Errorf("%v: got %v, %v, want %v", tt.x, d, err, tt.want)
		}
	}
}

func TestFitOODOfFeaturesThatNeverVary(t *testing.T) {
	features := [][]float32{{1, 5}, {2, 5}, {3, 5}, {4, 5}}
	o, err := FitOOD(features, []int{0, 0, 1, 1}, 2, 0.01, 1)
	if err != nil || !(o.Threshold > 0) {
		t.Fatalf("got %+v, %v", o, err)
	}
	if _, err := FitOOD(features[:1], []int{0}, 2, 0.01, 1); err == nil {
		t.Error("a single sample is no error")
	}
}
