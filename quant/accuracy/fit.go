package accuracy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"emberwing/infer"
)

// The temperatures that FitTemperature tries: a fine scan of this range.
const (
	coldest, hottest = 0.1, 10.0
	temperatures     = 200
)

// FitTemperature returns the temperature that minimises the mean negative log
// likelihood of softmax(logits/T), by a scan (Guo et al., 2017). logits are
// known up to a constant for each sample.
func FitTemperature(logits [][]float32, truth []int) (float32, error) {
	if len(logits) == 0 || len(logits) != len(truth) {
		return 0, fmt.Errorf("fit temperature: got %d samples and %d labels", len(logits), len(truth))
	}
	best, least := 1.0, math.Inf(1)
	for i := range temperatures {
		t := coldest * math.Pow(hottest/coldest, float64(i)/(temperatures-1))
		if loss := likelihood(logits, truth, t); loss < least {
			best, least = t, loss
		}
	}
	if math.IsInf(least, 1) {
		return 0, errors.New("fit temperature: no temperature gives a finite likelihood")
	}
	return float32(best), nil
}

// likelihood is the mean negative log likelihood at temperature t.
func likelihood(logits [][]float32, truth []int, t float64) float64 {
	sum := 0.0
	for i, z := range logits {
		top, total := float64(slices.Max(z)), 0.0
		for _, v := range z {
			total += math.Exp((float64(v) - top) / t)
		}
		sum += math.Log(total) - (float64(z[truth[i]])-top)/t
	}
	return sum / float64(len(logits))
}

// FitOOD fits a Gaussian with tied covariance for each of labels labels to
// features, after Lee et al. (arXiv:1807.03888), and sets the threshold so that
// a share quantile of these samples lies below it. ridge is added to the
// diagonal of the covariance, as a share of its mean, so that features that
// never vary do no harm. A label without samples takes the mean of all.
func FitOOD(features [][]float32, truth []int, labels int, ridge, quantile float64) (*infer.OOD, error) {
	if len(features) < 2 || len(features) != len(truth) || len(features[0]) == 0 {
		return nil, fmt.Errorf(
			"fit statistics: got %d samples and %d labels, want at least 2 of each",
			len(features),
			len(truth),
		)
	}
	means := classMeans(features, truth, labels)
	cov := tied(features, truth, means)
	d := len(cov)
	mean := 0.0
	for i := range cov {
		mean += cov[i][i] / float64(d)
	}
	for i := range cov {
		cov[i][i] += ridge*mean + 1e-12
	}
	precision, err := inverse(cov)
	if err != nil {
		return nil, fmt.Errorf("fit statistics: %w", err)
	}
	factor, err := cholesky(precision)
	if err != nil {
		return nil, fmt.Errorf("fit statistics: %w", err)
	}
	o := &infer.OOD{Threshold: 1}
	for _, m := range means {
		o.Means = append(o.Means, single(m))
	}
	for i, row := range factor {
		o.Factor = append(o.Factor, single(row[:i+1])...)
	}
	return o, limit(o, features, quantile)
}

func single(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// limit sets the threshold to a quantile of the distances.
func limit(o *infer.OOD, features [][]float32, quantile float64) error {
	f := infer.NewFamiliarity(o)
	distances := make([]float32, len(features))
	for i, x := range features {
		d, err := f.Distance(x)
		if err != nil {
			return fmt.Errorf("fit statistics: %w", err)
		}
		distances[i] = d
	}
	slices.Sort(distances)
	at := min(int(quantile*float64(len(distances))), len(distances)-1)
	o.Threshold = max(distances[at], 1e-6)
	return nil
}

func classMeans(features [][]float32, truth []int, labels int) [][]float64 {
	d := len(features[0])
	means, n := make([][]float64, labels), make([]int, labels)
	all := make([]float64, d)
	for l := range means {
		means[l] = make([]float64, d)
	}
	for i, x := range features {
		n[truth[i]]++
		for j, v := range x {
			means[truth[i]][j] += float64(v)
			all[j] += float64(v) / float64(len(features))
		}
	}
	for l := range means {
		if n[l] == 0 {
			copy(means[l], all)
			continue
		}
		for j := range means[l] {
			means[l][j] /= float64(n[l])
		}
	}
	return means
}

// tied is the covariance around the class means.
func tied(features [][]float32, truth []int, means [][]float64) [][]float64 {
	d := len(features[0])
	cov := square(d)
	for i, x := range features {
		m := means[truth[i]]
		for a := range d {
			for b := range d {
				cov[a][b] += (float64(x[a]) - m[a]) * (float64(x[b]) - m[b]) / float64(len(features))
			}
		}
	}
	return cov
}

func square(d int) [][]float64 {
	m := make([][]float64, d)
	for i := range m {
		m[i] = make([]float64, d)
	}
	return m
}

// cholesky returns the lower triangle L with L·Lᵀ = a.
func cholesky(a [][]float64) ([][]float64, error) {
	l := square(len(a))
	for i := range a {
		for j := range i + 1 {
			sum := a[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i != j {
				l[i][j] = sum / l[j][j]
				continue
			}
			if !(sum > 0) {
				return nil, errors.New("the covariance is not positive definite")
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	return l, nil
}

// inverse inverts a positive definite matrix through its Cholesky factor.
func inverse(a [][]float64) ([][]float64, error) {
	l, err := cholesky(a)
	if err != nil {
		return nil, err
	}
	d := len(a)
	inv := square(d)
	for c := range d { // solve L·y = e, Lᵀ·x = y
		y := make([]float64, d)
		for i := range d {
			if i == c {
				y[i] = 1
			}
			for k := range i {
				y[i] -= l[i][k] * y[k]
			}
			y[i] /= l[i][i]
		}
		for i := d - 1; i >= 0; i-- {
			for k := i + 1; k < d; k++ {
				y[i] -= l[k][i] * inv[k][c]
			}
			inv[i][c] = y[i] / l[i][i]
		}
	}
	return inv, nil
}
