package calib

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// vector is one tensor of testdata/vectors.json, which vectors.py computed.
type vector struct {
	Name       string
	Min, Max   float64
	Lo, Hi     float64
	Bins       int
	At         []int
	Count      []uint64
	Entropy    float64
	Percentile map[string][2]float64
	// Squared errors: lo, hi, symmetric, levels, error.
	SquaredError [][5]any `json:"squared_error"`
}

func (v vector) stats() *Stats {
	h := &Histogram{Lo: v.Lo, Hi: v.Hi, Counts: make([]uint64, v.Bins)}
	for i, at := range v.At {
		h.Counts[at] = v.Count[i]
	}
	return &Stats{Ranged: 1, Binned: 1, Min: v.Min, Max: v.Max, AvgMin: v.Min, AvgMax: v.Max, Hist: h}
}

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Tensors []vector }
	if err := json.Unmarshal(b, &file); err != nil || len(file.Tensors) < 5 {
		t.Fatal(err, len(file.Tensors))
	}
	return file.Tensors
}

func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
}

func TestEntropyIsNumpys(t *testing.T) {
	for _, v := range vectors(t) {
		if got := v.stats().Hist.entropy(128); !near(got, v.Entropy, 1e-9) {
			t.Errorf("%s: got %v, want %v", v.Name, got, v.Entropy)
		}
	}
}

func TestPercentileIsNumpys(t *testing.T) {
	for _, v := range vectors(t) {
		for name, want := range v.Percentile {
			var percent float64
			var symmetric string
			if _, err := fmt.Sscanf(name, "percentile %g %s", &percent, &symmetric); err != nil {
				t.Fatal(err)
			}
			got := v.stats().Hist.percentile(percent, symmetric == "True")
			if !near(got.Lo, want[0], 1e-9) || !near(got.Hi, want[1], 1e-9) {
				t.Errorf("%s %s: got %v, want %v", v.Name, name, got, want)
			}
		}
	}
}

func TestSquaredErrorIsNumpys(t *testing.T) {
	for _, v := range vectors(t) {
		for _, e := range v.SquaredError {
			r := Range{e[0].(float64), e[1].(float64)}
			got := v.stats().Hist.squaredError(r, Scheme{e[2].(bool), int(e[3].(float64))})
			if want := e[4].(float64); math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s %v symmetric %v: got %v, want %v", v.Name, r, e[2], got, want)
			}
		}
	}
}

// TestEntropyHasMoreThanOneCandidate guards against a search that has only one
// threshold to choose, with which entropy is min-max under another name.
func TestEntropyHasMoreThanOneCandidate(t *testing.T) {
	inner := 0
	for _, v := range vectors(t) {
		if e := v.stats().Hist.entropy(128); e < v.Hi && e > v.Hi*128/2048 {
			inner++
		}
	}
	if inner < 2 {
		t.Errorf("%d of the vectors get a threshold between the ends, want at least 2", inner)
	}
}

func TestLeastSquaresBeatsTheRangeSeen(t *testing.T) {
	for _, v := range vectors(t) {
		s := v.stats()
		for _, sch := range []Scheme{{false, 256}, {true, 255}} {
			seen, mse := s.Range(Method{Kind: MinMax}, sch), s.Range(Method{Kind: MSE}, sch)
			if a, b := s.Hist.squaredError(mse, sch), s.Hist.squaredError(seen, sch); a > b {
				t.Errorf("%s: error %v of %v is above %v of the range seen", v.Name, a, mse, b)
			}
		}
	}
}

// drawn is a tensor of any shape.
func drawn(t *rapid.T) (*Stats, []float32) {
	values := rapid.SliceOfN(rapid.Float32Range(-1e6, 1e6), 2, 300).Draw(t, "values")
	s := new(Stats)
	for _, v := range values {
		s.observe(float64(v), float64(v))
	}
	s.Hist = newHistogram(s.Min, s.Max)
	s.Hist.add(values)
	return s, values
}

func TestRangesCoverZeroAndLieWithinWhatWasSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, values := drawn(t)
		if n := total(s.Hist.Counts); n != float64(len(values)) {
			t.Fatalf("%v values in the histogram, want %d", n, len(values))
		}
		for _, m := range Methods() {
			for _, sch := range []Scheme{{false, 256}, {true, 255}} {
				r := s.Range(m, sch)
				if !(r.Lo <= 0 && r.Hi >= 0 && r.Lo >= math.Min(0, s.Min) && r.Hi <= math.Max(0, s.Max)) {
					t.Fatalf("%s %+v: got %v of %v to %v", m, sch, r, s.Min, s.Max)
				}
			}
		}
	})
}

func TestPercentilesAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := drawn(t)
		a := rapid.Float64Range(51, 100).Draw(t, "a")
		b := rapid.Float64Range(a, 100).Draw(t, "b")
		for _, symmetric := range []bool{false, true} {
			narrow, wide := s.Hist.percentile(a, symmetric), s.Hist.percentile(b, symmetric)
			if narrow.Lo < wide.Lo || narrow.Hi > wide.Hi {
				t.Fatalf("%v%%: %v is wider than %v%%: %v", a, narrow, b, wide)
			}
		}
	})
}

func TestParseMethod(t *testing.T) {
	for _, m := range Methods() {
		if got, err := ParseMethod(m.String()); err != nil || got != m {
			t.Errorf("%s: got %v, %v", m, got, err)
		}
	}
	for _, bad := range []string{"", "kl", "percentile=", "percentile=50", "percentile=100.1", "percentile=NaN", "mse=1"} {
		if m, err := ParseMethod(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, m)
		}
	}
}
