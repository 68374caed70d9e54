package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// values draws a list of plausible latencies.
func values(t *rapid.T, name string) []float64 {
	return rapid.SliceOfN(rapid.Float64Range(1e-4, 10), 1, 60).Draw(t, name)
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, tt := range []struct{ q, want float64 }{{0, 1}, {0.01, 1}, {0.5, 50}, {0.501, 51}, {0.9, 90}, {0.95, 95},
		{0.99, 99}, {1, 100}} {
		if got := Quantile(hundred, tt.q); got != tt.want {
			t.Errorf("quantile %v of 1..100: got %v, want %v", tt.q, got, tt.want)
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) || !math.IsNaN(Median(nil)) {
		t.Error("a quantile of nothing is a number")
	}
}

func TestQuantileProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := slices.Sorted(slices.Values(values(t, "values")))
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		lo, hi := Quantile(s, min(a, b)), Quantile(s, max(a, b))
		if lo > hi || !slices.Contains(s, lo) {
			t.Fatalf("quantiles %v and %v of %v are out of order or not values", lo, hi, s)
		}
		below := 0
		for _, v := range s {
			if v <= hi {
				below++
			}
		}
		if float64(below) < max(a, b)*float64(len(s))-1e-9 {
			t.Fatalf("%d of %d values within quantile %v", below, len(s), max(a, b))
		}
	})
}

func TestMedian(t *testing.T) {
	in := []float64{9, 1, 5, 3}
	if got := Median(in); got != 4 {
		t.Errorf("got %v, want 4", got)
	}
	if !slices.Equal(in, []float64{9, 1, 5, 3}) {
		t.Errorf("the values were sorted in place: %v", in)
	}
}

// outcomes draws two lists of answers to the same pictures.
func outcomes(t *rapid.T) (a, b []bool) {
	n := rapid.IntRange(0, 200).Draw(t, "n")
	a = rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "a")
	return a, rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "b")
}

func TestPairedProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := outcomes(t)
		d, back := Paired(a, b), Paired(b, a)
		switch {
		case d.Lost != back.Gained || d.Drop != -back.Drop || math.Abs(d.Interval.Low+back.Interval.High) > 1e-12 ||
			d.P != back.P:
			t.Fatalf("the other way round is not the mirror image: %+v and %+v", d, back)
		case !d.Interval.Contains(d.Drop):
			t.Fatalf("interval %v misses the drop %v", d.Interval, d.Drop)
		case d.Interval.Low >= d.Interval.High || d.Interval.Low < -1 || d.Interval.High > 1:
			t.Fatalf("interval %v is empty or leaves -1..1", d.Interval)
		case d.P < 0 || d.P > 1:
			t.Fatalf("p is %v", d.P)
		}
		same := Paired(a, a)
		if same.Drop != 0 || same.P != 1 || same.Lost+same.Gained != 0 {
			t.Fatalf("a list against itself: %+v", same)
		}
	})
}

// TestPairedNarrows: ten times the same pictures say more.
func TestPairedNarrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := outcomes(t)
		if len(a) == 0 {
			return
		}
		few, many := Paired(a, b), Paired(slices.Repeat(a, 10), slices.Repeat(b, 10))
		if many.Interval.High-many.Interval.Low >= few.Interval.High-few.Interval.Low {
			t.Fatalf("ten times the pictures gave %v, once gave %v", many.Interval, few.Interval)
		}
	})
}

// TestPairedCovers draws pictures of a known truth: the interval must hold the
// true difference about 95 times in 100.
func TestPairedCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const lost, gained, n, rounds = 0.06, 0.03, 300, 2000
	hits := 0
	for range rounds {
		b, c := 0, 0
		for range n {
			switch u := rng.Float64(); {
			case u < lost:
				b++
			case u < lost+gained:
				c++
			}
		}
		if agrestiMin(b, c, n).Contains(lost - gained) {
			hits++
		}
	}
	if share := float64(hits) / rounds; share < 0.935 || share > 0.975 {
		t.Errorf("the interval holds the truth in %.3f of %d rounds, want about 0.95", share, rounds)
	}
}

func TestMcNemarKnownValues(t *testing.T) {
	for _, tt := range []struct {
		lost, gained int
		want         float64
	}{
		{0, 0, 1}, {1, 1, 1}, {5, 0, 2.0 / 32}, {6, 0, 2.0 / 64}, {1, 9, 2 * 11.0 / 1024},
		{10, 2, 2 * (1 + 12 + 66.0) / 4096},
	} {
		if got := McNemar(tt.lost, tt.gained); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%d lost, %d gained: got %v, want %v", tt.lost, tt.gained, got, tt.want)
		}
	}
	if p := McNemar(4000, 3000); p > 1e-20 || math.IsNaN(p) {
		t.Errorf("4000 against 3000: got p %v", p)
	}
}

func TestUnpaired(t *testing.T) {
	a, b := Interval{0.90, 0.96}, Interval{0.91, 0.97}
	i := Unpaired(0.93, 0.94, a, b)
	if !i.Contains(-0.01) || i.Low >= 0 || i.High <= 0 {
		t.Errorf("got %v, want an interval around -0.01 that holds 0", i)
	}
	if i := Unpaired(0.93, 0.70, a, Interval{0.67, 0.73}); i.Low <= 0 {
		t.Errorf("got %v for a loss of 23 points, want it above 0", i)
	}
}

func TestBootstrapProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(t, "values")
		i := BootstrapMedian(v)
		if m := Median(v); !i.Contains(m) && len(v) > 3 {
			t.Fatalf("interval %v of %v misses the median %v", i, v, m)
		}
		if i.Low < slices.Min(v) || i.High > slices.Max(v) {
			t.Fatalf("interval %v leaves the values %v", i, v)
		}
		if again := BootstrapMedian(v); again != i {
			t.Fatalf("got %v, then %v: a report must repeat", i, again)
		}
	})
}

func TestRatiosAreOfTheSameTurn(t *testing.T) {
	// The machine is four times slower in every second turn; the ratio is not.
	reference, mode := []float64{0.010, 0.040, 0.010, 0.040}, []float64{0.005, 0.020, 0.005, 0.020}
	r := Ratios("fp32", reference, mode)
	if r.Median != 2 || r.Interval != (Interval{2, 2}) || r.Min != 2 || r.Max != 2 || r.To != "fp32" {
		t.Errorf("got %+v, want exactly 2", r)
	}
	if r := Ratios("fp32", nil, nil); r.Turns != nil || r.Median != 0 {
		t.Errorf("ratios of nothing: %+v", r)
	}
}

func TestBootstrapQuotient(t *testing.T) {
	i := BootstrapQuotient([]float64{2, 2.1, 1.9, 2, 2.05}, []float64{1, 1.05, 0.95, 1, 1.02})
	if !i.Contains(2) || i.Low < 1.7 || i.High > 2.3 {
		t.Errorf("got %v, want a tight interval around 2", i)
	}
}
