package infer_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

// rule returns the decision rule of the tiny model: labels red green blue
// dark, alarm red and green, temperature 1.5.
func rule(t testing.TB) *infer.Rule {
	m := infertest.Tiny(t)
	return m.Rule(m.Variants[0])
}

func TestDecide(t *testing.T) {
	r := rule(t)
	tests := []struct {
		logits       []float32
		label        int
		score, alarm float64
		raw          float64
	}{
		{[]float32{0, 0, 0, 0}, 0, 0.25, 0.5, 0.5},
		{[]float32{3, 0, 0, 0}, 0, e(2) / (e(2) + 3), (e(2) + 1) / (e(2) + 3), (e(3) + 1) / (e(3) + 3)},
		{[]float32{0, 0, 3, 0}, 2, e(2) / (e(2) + 3), 2 / (e(2) + 3), 2 / (e(3) + 3)},
		{[]float32{1e30, 1e30, -1e30, -1e30}, 0, 0.5, 1, 1},
		{[]float32{-math.MaxFloat32, math.MaxFloat32, 0, 0}, 1, 1, 1, 1},
	}
	var res infer.Result
	for _, tt := range tests {
		if err := r.Decide(tt.logits, &res); err != nil {
			t.Fatal(err)
		}
		if res.Label != tt.label || !close(res.Score, tt.score) || !close(res.Alarm, tt.alarm) || !close(res.Raw, tt.raw) {
			t.Errorf("%v: got %+v, want %+v", tt.logits, res, tt)
		}
		if res.Trigger != res.Alarm || r.Threshold() != 0.6 {
			t.Errorf("%v: trigger %v, alarm %v, threshold %v", tt.logits, res.Trigger, res.Alarm, r.Threshold())
		}
	}
}

func e(x float64) float64 { return math.Exp(x) }

func close(a float32, b float64) bool { return math.Abs(float64(a)-b) < 1e-6 }

func TestDecideWithoutAlarm(t *testing.T) {
	m := infertest.Tiny(t).Manifest
	m.Alarm = nil
	var res infer.Result
	if err := m.Rule(m.Variants[0]).Decide([]float32{0, 3, 0, 0}, &res); err != nil {
		t.Fatal(err)
	}
	if res.Alarm != 0 || res.Trigger != res.Score || !close(res.Raw, e(3)/(e(3)+3)) {
		t.Errorf("got %+v", res)
	}
}

func TestDecideRefusesWhatIsNotANumber(t *testing.T) {
	r := rule(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	res := infer.Result{Label: 2, Score: 0.9, Alarm: 0.9, Trigger: 0.9, Scores: []float32{1, 1, 1, 1}}
	for _, logits := range [][]float32{{nan, 0, 0, 0}, {0, 0, 0, nan}, {inf, 0, 0, 0}, {0, -inf, 0, 0}} {
		if err := r.Decide(logits, &res); !errors.Is(err, infer.ErrNotFinite) {
			t.Errorf("%v: got %v, want %v", logits, err, infer.ErrNotFinite)
		}
		if res.Label != -1 || res.Score != 0 || res.Alarm != 0 || res.Trigger != 0 || res.Scores[0] != 0 {
			t.Errorf("%v: got %+v, want nothing decided", logits, res)
		}
	}
	if err := r.Decide(make([]float32, 3), &res); !errors.Is(err, infer.ErrShape) {
		t.Errorf("three logits: got %v, want %v", err, infer.ErrShape)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	r, res, logits := rule(t), infer.Result{}, []float32{1, 2, 3, 4}
	if err := r.Decide(logits, &res); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { r.Decide(logits, &res) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	logits[0] = float32(math.NaN())
	if n := testing.AllocsPerRun(100, func() { r.Decide(logits, &res) }); n != 0 {
		t.Errorf("not a number: got %v allocations, want 0", n)
	}
}

func TestDecideProperties(t *testing.T) {
	r, m := rule(t), infertest.Tiny(t).Manifest
	m.Alarm = &infer.Alarm{Labels: m.Labels}
	everything := m.Rule(m.Variants[0])
	rapid.Check(t, func(rt *rapid.T) {
		logits := rapid.SliceOfN(rapid.Float32Range(-50, 50), 4, 4).Draw(rt, "logits")
		var res infer.Result
		if err := r.Decide(logits, &res); err != nil {
			rt.Fatal(err)
		}
		sum := 0.0
		for i, s := range res.Scores {
			sum += float64(s)
			if s > res.Score || logits[i] > logits[res.Label] {
				rt.Fatalf("label %d is not the best of %v", res.Label, logits)
			}
		}
		var sure infer.Result
		if err := everything.Decide(logits, &sure); err != nil || sure.Alarm > 1 || sure.Alarm < 0.99999 {
			rt.Fatalf("the alarm of all labels is %v, %v", sure.Alarm, err)
		}
		if math.Abs(sum-1) > 1e-5 || res.Alarm < 0 || res.Alarm > 1 {
			rt.Fatalf("scores %v add up to %v, alarm %v", res.Scores, sum, res.Alarm)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	r, res, logits := rule(b), infer.Result{}, []float32{1, 2, 3, 4}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Decide(logits, &res); err != nil {
			b.Fatal(err)
		}
	}
}
