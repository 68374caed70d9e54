package infer_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

func TestDistanceIsMahalanobis(t *testing.T) {
	// L = [[1 0][0.5 2]], Σ⁻¹ = L·Lᵀ = [[1 0.5][0.5 4.25]], by hand.
	f := infer.NewFamiliarity(
		&infer.OOD{Means: [][]float32{{0, 0}, {10, 10}}, Factor: []float32{1, 0.5, 2}, Threshold: 3},
	)
	for _, tt := range []struct {
		x    []float32
		want float64
	}{{[]float32{0, 0}, 0}, {[]float32{1, 0}, 1}, {[]float32{0, 1}, 4.25}, {[]float32{1, 1}, 6.25}, {[]float32{10, 11}, 4.25}} {
		got, err := f.Distance(tt.x)
		if err != nil || math.Abs(float64(got)-tt.want) > 1e-5 {
			t.Errorf("%v: got %v, %v, want %v", tt.x, got, err, tt.want)
		}
	}
	if _, err := f.Distance([]float32{1}); !errors.Is(err, infer.ErrShape) {
		t.Errorf("got %v, want %v", err, infer.ErrShape)
	}
	if _, err := f.Distance([]float32{float32(math.NaN()), 0}); !errors.Is(err, infer.ErrNotFinite) {
		t.Errorf("got %v, want %v", err, infer.ErrNotFinite)
	}
	x := []float32{1, 2}
	if n := testing.AllocsPerRun(100, func() { f.Distance(x) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	if infer.NewFamiliarity(nil) != nil || f.Threshold() != 3 {
		t.Error("nil statistics must be no familiarity, and the threshold the manifest's")
	}
}

// detector is a detector of two labels.
func detector() *infer.Manifest {
	return &infer.Manifest{Kind: infer.Detector, Labels: []string{"hand", "face"}, NMS: &infer.NMS{IoU: 0.5, Max: 2},
		Output:   infer.Output{Shape: []int64{1, 5, 6}},
		Variants: []infer.Variant{{Temperature: 1, Threshold: 0.5}}}
}

func TestBoxes(t *testing.T) {
	m := detector()
	r := m.BoxRule(m.Variants[0])
	out := []float32{
		0.5, 0.5, 0.2, 0.2, 1, -5, // covered by the third
		0.1, 0.1, 0.1, 0.1, -5, 0, // exactly at the threshold
		0.51, 0.5, 0.2, 0.2, 2, -5, // the best
		0.9, 0.9, 0.1, 0.1, -1, -0.1, // below
		0.9, 0.9, float32(math.NaN()), 0.1, 9, 9, // faulty
		0.9, 0.9, 0, 0.1, 9, 9, // empty
	}
	boxes, dropped, err := r.Decide(out, nil)
	if err != nil || dropped != 2 || len(boxes) != 2 {
		t.Fatalf("got %+v, %d dropped, %v", boxes, dropped, err)
	}
	if boxes[0].X != 0.51 || boxes[0].Label != 0 || !close(boxes[0].Score, 1/(1+e(-2))) {
		t.Errorf("best box %+v", boxes[0])
	}
	if boxes[1].X != 0.1 || boxes[1].Label != 1 || !close(boxes[1].Score, 0.5) {
		t.Errorf("second box %+v", boxes[1])
	}
	if _, _, err := r.Decide(out[:7], nil); !errors.Is(err, infer.ErrShape) {
		t.Errorf("got %v, want %v", err, infer.ErrShape)
	}
	dst := make([]infer.Box, 0, 2)
	if n := testing.AllocsPerRun(100, func() { r.Decide(out, dst) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestBoxesKeepsTheBestOfMany has more candidates than the shortlist holds.
func TestBoxesKeepsTheBestOfMany(t *testing.T) {
	m := detector()
	m.NMS.Max = infer.MaxBoxes
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float32Range(0.1, 9), 200, 200).Draw(t, "logits")
		var out []float32
		for i, s := range scores {
			out = append(out, float32(i), 0, 0.5, 0.5, s, -9) // far apart: none covers another
		}
		boxes, _, err := m.BoxRule(m.Variants[0]).Decide(out, nil)
		if err != nil || len(boxes) != infer.MaxBoxes {
			t.Fatalf("got %d boxes, %v", len(boxes), err)
		}
		slices.Sort(scores)
		for i, b := range boxes {
			if want := scores[len(scores)-1-i]; !close(b.Score, 1/(1+e(-float64(want)))) {
				t.Errorf("box %d: got score %v, want that of logit %v", i, b.Score, want)
			}
		}
	})
}

func TestIoU(t *testing.T) {
	a := infer.Box{X: 0.5, Y: 0.5, W: 0.2, H: 0.2}
	for _, tt := range []struct {
		b    infer.Box
		want float64
	}{
		{a, 1}, {infer.Box{X: 0.6, Y: 0.5, W: 0.2, H: 0.2}, 1.0 / 3}, {infer.Box{X: 0.9, Y: 0.5, W: 0.2, H: 0.2}, 0}, {infer.Box{}, 0},
	} {
		if got := a.IoU(tt.b); !close(got, tt.want) || a.IoU(tt.b) != tt.b.IoU(a) {
			t.Errorf("%+v: got %v, want %v", tt.b, got, tt.want)
		}
	}
}

func TestRegions(t *testing.T) {
	m := &infer.Manifest{Labels: []string{"smoke", "fire"}, Output: infer.Output{Shape: []int64{1, 2, 2, 4}}}
	r := m.MaskRule(infer.Variant{Temperature: 1, Threshold: 0.5})
	masks := []float32{ // logits
		-9, -9, -9, -9,
		9, -9, -9, -9,
		-9, -9, 9, 9,
		-9, -9, 9, 9,
	}
	if err := r.Scores(masks); err != nil {
		t.Fatal(err)
	}
	smoke, fire, both := r.Region(masks, 0), r.Region(masks, 1), r.Region(masks, -1)
	if smoke.Area != 1.0/8 || !close(smoke.X, 0.125) || !close(smoke.Y, 0.75) {
		t.Errorf("smoke %+v", smoke)
	}
	if fire.Area != 0.5 || !close(fire.X, 0.75) || !close(fire.Y, 0.5) || !close(fire.Peak, 1/(1+e(-9))) {
		t.Errorf("fire %+v", fire)
	}
	if fire.Left != 0.5 || fire.Right != 1 || fire.Top != 0 || fire.Bottom != 1 || smoke.Bottom != 1 ||
		smoke.Top != 0.5 {
		t.Errorf("rectangles around fire %+v and smoke %+v", fire, smoke)
	}
	if both.Area != 5.0/8 {
		t.Errorf("both %+v", both)
	}
	if none := r.Region(make([]float32, 16), -1); none != (infer.Region{}) {
		t.Errorf("nothing: got %+v", none)
	}
	if err := r.Scores(masks[:3]); !errors.Is(err, infer.ErrShape) {
		t.Errorf("got %v, want %v", err, infer.ErrShape)
	}
	masks[2] = float32(math.Inf(1))
	if err := r.Scores(masks); !errors.Is(err, infer.ErrNotFinite) {
		t.Errorf("got %v, want %v", err, infer.ErrNotFinite)
	}
}

func TestHeat(t *testing.T) {
	cam := []float32{1, 2, 3, 4, -1, 2, 4, float32(math.NaN())}
	dst := make([]float32, 4)
	infer.HeatOf(cam, 1, dst)
	if !slices.Equal(dst, []float32{0, 0.5, 1, 0}) {
		t.Errorf("got %v", dst)
	}
	infer.HeatOf([]float32{-1, -2, -3, -4}, 0, dst)
	if !slices.Equal(dst, make([]float32, 4)) {
		t.Errorf("no support: got %v", dst)
	}
}

func TestBlend(t *testing.T) {
	r := rule(t)
	var own, other infer.Result
	if err := errors.Join(r.Decide([]float32{3, 0, 0, 0}, &own), r.Decide([]float32{0, 0, 5, 0}, &other)); err != nil {
		t.Fatal(err)
	}
	a, b := slices.Clone(own.Scores), own.Raw
	r.Blend(&own, &other, 0.25)
	for i := range a {
		if want := 0.75*float64(a[i]) + 0.25*float64(other.Scores[i]); !close(own.Scores[i], want) {
			t.Errorf("score %d: got %v, want %v", i, own.Scores[i], want)
		}
	}
	if own.Label != 0 || !close(own.Raw, 0.75*float64(b)+0.25*float64(other.Raw)) || own.Trigger != own.Alarm {
		t.Errorf("got %+v", own)
	}
	r.Blend(&own, &other, 1)
	if own.Label != 2 || !close(own.Score, float64(other.Score)) {
		t.Errorf("all of the other: got %+v, want %+v", own, other)
	}
}

func TestMixFollowsTheSurerModel(t *testing.T) {
	x := &infer.Mix{Bias: 0, Slope: 4}
	sure, unsure := &infer.Result{Scores: []float32{0.9, 0.05, 0.05}}, &infer.Result{Scores: []float32{0.4, 0.4, 0.2}}
	if w := x.Weight(unsure, sure); !close(w, 1/(1+e(-4*0.85))) {
		t.Errorf("sure other: got %v", w)
	}
	if w := x.Weight(sure, unsure); !close(w, 1/(1+e(4*0.85))) {
		t.Errorf("sure own: got %v", w)
	}
	if w := x.Weight(sure, sure); w != 0.5 {
		t.Errorf("equal: got %v, want 0.5", w)
	}
}

func TestCertain(t *testing.T) {
	m := infertest.Tiny(t)
	r := m.Rule(m.Variants[0])
	if q := r.Quiet(); q != 2 {
		t.Errorf("quiet label: got %d, want 2, the first that raises no alarm", q)
	}
	var res infer.Result
	r.Certain(2, 0.97, &res)
	if res.Label != 2 || !close(res.Score, 0.97) || !close(res.Alarm, 0.02) || res.Trigger != res.Alarm ||
		res.Raw != res.Alarm {
		t.Errorf("got %+v", res)
	}
}
