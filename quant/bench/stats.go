package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// z95 is the 97.5 % point of the normal distribution.
const z95 = 1.959963984540054

// resamples is how often the bootstrap draws.
const resamples = 2000

// Quantile returns the smallest value that at least the share q (0..1) of the
// values do not exceed: the nearest-rank definition, always one of them. The
// values must be sorted; without any it is NaN.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median returns the middle of the values, which may be unsorted and are not
// changed; of two middles their mean, without any NaN.
func Median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// Interval is a 95 % interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Contains reports whether v lies within the interval.
func (i Interval) Contains(v float64) bool { return i.Low <= v && v <= i.High }

// Drop is a difference of two accuracies on the same pictures, before minus
// after: positive is a loss.
type Drop struct {
	Images int `json:"images"`
	// Lost and Gained count the pictures that only one of the two got right:
	// the earlier one, the later one.
	Lost     int      `json:"lost"`
	Gained   int      `json:"gained"`
	Drop     float64  `json:"drop"` // of the accuracy, 0..1
	Interval Interval `json:"interval_95"`
	// P is McNemar's exact two-sided probability of a split this uneven if
	// neither were better.
	P float64 `json:"p"`
}

// Paired compares two lists of answers to the same pictures; true is right.
// The lists must be of one length; of longer ones the rest is ignored.
//
// The interval is that of Agresti and Min (2005) for paired proportions: Wald's
// after half a picture is added to each of the four cells. It never collapses
// to a point, so "no difference seen" on few pictures stays visibly vague.
func Paired(before, after []bool) Drop {
	d := Drop{Images: min(len(before), len(after))}
	for i := range d.Images {
		switch {
		case before[i] && !after[i]:
			d.Lost++
		case after[i] && !before[i]:
			d.Gained++
		}
	}
	if d.Images > 0 {
		d.Drop = float64(d.Lost-d.Gained) / float64(d.Images)
	}
	d.Interval, d.P = agrestiMin(d.Lost, d.Gained, d.Images), McNemar(d.Lost, d.Gained)
	return d
}

// agrestiMin is the interval of (lost-gained)/n.
func agrestiMin(lost, gained, n int) Interval {
	b, c, m := float64(lost)+0.5, float64(gained)+0.5, float64(n)+2
	centre := (b - c) / m
	half := z95 * math.Sqrt(math.Max(0, b+c-(b-c)*(b-c)/m)) / m
	return Interval{math.Max(-1, centre-half), math.Min(1, centre+half)}
}

// McNemar returns the exact two-sided probability that of lost+gained fair
// coins the split is at least this uneven (McNemar, 1947; the binomial form).
func McNemar(lost, gained int) float64 {
	n, k := lost+gained, min(lost, gained)
	logHalf := float64(n) * math.Log(0.5)
	tail := 0.0
	for i := range k + 1 {
		tail += math.Exp(logChoose(n, i) + logHalf)
	}
	return math.Min(1, 2*tail)
}

// logChoose is the logarithm of n over k.
func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n) + 1)
	b, _ := math.Lgamma(float64(k) + 1)
	c, _ := math.Lgamma(float64(n-k) + 1)
	return a - b - c
}

// Unpaired is the interval of a difference of two accuracies on different
// pictures, before minus after: Newcombe's method 10 (1998), from the two
// Wilson intervals.
func Unpaired(before, after float64, beforeCI, afterCI Interval) Interval {
	d := before - after
	return Interval{
		d - math.Hypot(before-beforeCI.Low, afterCI.High-after),
		d + math.Hypot(beforeCI.High-before, after-afterCI.Low),
	}
}

// Ratio is how many times faster one mode is than another, turn by turn.
type Ratio struct {
	To       string    `json:"to"`     // the mode it is compared with
	Median   float64   `json:"median"` // over turns; above 1 is faster
	Interval Interval  `json:"interval_95"`
	Min      float64   `json:"min"`
	Max      float64   `json:"max"`
	Turns    []float64 `json:"turns"` // one ratio a turn
}

// Ratios divides the latencies of one mode by those of another, turn by turn,
// and bootstraps the median. Both lists hold one latency a turn, above 0.
func Ratios(to string, reference, mode []float64) Ratio {
	r := Ratio{To: to}
	for i := range min(len(reference), len(mode)) {
		r.Turns = append(r.Turns, reference[i]/mode[i])
	}
	if len(r.Turns) == 0 {
		return r
	}
	r.Median, r.Min, r.Max = Median(r.Turns), slices.Min(r.Turns), slices.Max(r.Turns)
	r.Interval = BootstrapMedian(r.Turns)
	return r
}

// BootstrapMedian is the percentile bootstrap interval (Efron, 1979) of the
// median, from a fixed seed so that a report repeats.
func BootstrapMedian(values []float64) Interval {
	return bootstrap(func(draw func([]float64) []float64) float64 { return Median(draw(values)) })
}

// BootstrapQuotient is the interval of the quotient of two medians, the values
// of each drawn by themselves.
func BootstrapQuotient(above, below []float64) Interval {
	return bootstrap(func(draw func([]float64) []float64) float64 { return Median(draw(above)) / Median(draw(below)) })
}

// bootstrap repeats a statistic over samples with replacement.
func bootstrap(statistic func(draw func([]float64) []float64) float64) Interval {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(values []float64) []float64 {
		s := make([]float64, len(values))
		for i := range s {
			s[i] = values[rng.IntN(len(values))]
		}
		return s
	}
	all := make([]float64, resamples)
	for i := range all {
		all[i] = statistic(draw)
	}
	slices.Sort(all)
	return Interval{Quantile(all, 0.025), Quantile(all, 0.975)}
}
