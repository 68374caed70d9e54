package rounding

import (
	"cmp"
	"math"
	"slices"
)

const (
	// damping is the share of the mean variance that is added to every
	// variance, so that inputs that hardly vary in the samples are not relied
	// on.
	damping = 0.01
	// between is the weight of the means of samples beside that of windows.
	// Networks that end in a mean over the picture forgive errors that differ
	// from window to window, and not those that a whole picture shares.
	between = 1
)

// Moments are those of what each row of weights is multiplied with, over all
// windows of all samples.
type Moments struct {
	Layout
	second []float64 // [Groups,Dim,Dim], sums over samples of means over windows
	mean   []float64 // [Groups,Dim]
	count  int
	solved *factors
	last   rounded
}

// rounded is the last result of Round and what it was for.
type rounded struct {
	values, scales []float32
	limit          int32
	centred        bool
	out            []int32
}

// factors are the Cholesky factors of the groups, with inputs in order of
// their variance: upper[g*Dim*Dim+j*Dim+i] is L[i][j] for i >= j.
type factors struct {
	centred bool
	order   []int // [Groups,Dim]
	upper   []float64
}

// Add counts what the taps gave for one sample.
func (m *Moments) Add(t Taps, second, mean []float32) {
	if m.count == 0 {
		m.Layout = t.Layout
		m.second, m.mean = make([]float64, len(second)), make([]float64, len(mean))
	}
	n := 1 / float64(t.Positions)
	for i, v := range second {
		m.second[i] += float64(v) * n
	}
	for i, v := range mean {
		m.mean[i] += float64(v)
	}
	for g := range m.Groups {
		m.addMeans(g, mean[g*m.Dim:(g+1)*m.Dim])
	}
	m.count++
}

// addMeans counts the means of one sample besides its windows.
func (m *Moments) addMeans(g int, mean []float32) {
	for i, a := range mean {
		row := m.second[(g*m.Dim+i)*m.Dim:]
		for j, b := range mean {
			row[j] += between * float64(a) * float64(b)
		}
	}
}

// Means returns the mean of what weight i of a row of group is multiplied with.
func (m *Moments) Means(group, i int) float64 { return m.mean[group*m.Dim+i] / float64(m.count) }

// MeanOf returns the mean of what the weight at an index is multiplied with.
func (m *Moments) MeanOf(index int) float64 {
	row, i := index/m.outer, index%m.outer
	if m.inner > 1 {
		row, i = index%m.inner, index/m.inner
	}
	return m.Means(row/(m.Rows/m.Groups), i)
}

// solve factorises the moments of every group: about the mean where a bias
// takes up the mean of the error, about zero elsewhere.
func (m *Moments) solve(centred bool) *factors {
	if m.solved != nil && m.solved.centred == centred {
		return m.solved
	}
	d := m.Dim
	f := &factors{centred: centred, order: make([]int, m.Groups*d), upper: make([]float64, m.Groups*d*d)}
	for g := range m.Groups {
		h := m.matrix(g, centred)
		order := f.order[g*d : (g+1)*d]
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(h[a*d+a], h[b*d+b]) })
		factorise(h, order, f.upper[g*d*d:(g+1)*d*d])
	}
	m.solved = f
	return f
}

// matrix returns the damped moments of one group.
func (m *Moments) matrix(g int, centred bool) []float64 {
	d := m.Dim
	h := slices.Clone(m.second[g*d*d : (g+1)*d*d])
	trace := 0.0
	for i := range d {
		for j := range d {
			h[i*d+j] /= float64(m.count)
			if centred {
				h[i*d+j] -= (1 + between) * m.Means(g, i) * m.Means(g, j)
			}
		}
		trace += h[i*d+i]
	}
	for i := range d {
		h[i*d+i] += damping*trace/float64(d) + math.SmallestNonzeroFloat32
	}
	return h
}

// factorise writes the transposed Cholesky factor of h, rows and columns taken
// in order, into upper, row by row.
func factorise(h []float64, order []int, upper []float64) {
	d := len(order)
	lower := make([]float64, d*d)
	for i := range d {
		for j := range i + 1 {
			sum := h[order[i]*d+order[j]]
			a, b := lower[i*d:i*d+j], lower[j*d:j*d+j]
			for k, v := range a {
				sum -= v * b[k]
			}
			if i == j {
				lower[i*d+i] = math.Sqrt(math.Max(sum, math.SmallestNonzeroFloat32))
			} else {
				lower[i*d+j] = sum / lower[j*d+j]
			}
		}
	}
	for i := range d {
		for j := range i + 1 {
			upper[j*d+i] = lower[i*d+j]
		}
	}
}

// Round returns the integers of weights that lie as the layout says, within
// ±limit: weight = integer * scale of its row. centred says that the layer has
// a bias, which will be corrected for the mean of the error.
func (m *Moments) Round(values, scales []float32, limit int32, centred bool) []int32 {
	l := m.last
	if l.limit != limit || l.centred != centred || !slices.Equal(l.scales, scales) || !slices.Equal(l.values, values) {
		m.last = rounded{slices.Clone(values), slices.Clone(scales), limit, centred, m.round(values, scales, limit, centred)}
	}
	return m.last.out
}

// round rounds every row.
func (m *Moments) round(values, scales []float32, limit int32, centred bool) []int32 {
	f := m.solve(centred)
	out, errors := make([]int32, len(values)), make([]float64, m.Dim)
	for row := range m.Rows {
		m.roundRow(f, row, values, float64(scales[row%len(scales)]), float64(limit), out, errors)
	}
	return out
}

// roundRow rounds one row, the inputs that vary most first. errors is scratch.
func (m *Moments) roundRow(f *factors, row int, values []float32, scale, limit float64, out []int32, errors []float64) {
	d, g := m.Dim, row/(m.Rows/m.Groups)
	upper, order := f.upper[g*d*d:(g+1)*d*d], f.order[g*d:(g+1)*d]
	for j := d - 1; j >= 0; j-- {
		at := m.Index(row, order[j])
		column, pull := upper[j*d:(j+1)*d], 0.0
		for i := j + 1; i < d; i++ {
			pull += errors[i] * column[i]
		}
		w := float64(values[at])
		q := math.RoundToEven((w + pull/column[j]) / scale)
		q = math.Max(-limit, math.Min(limit, q))
		out[at], errors[j] = int32(q), w-q*scale
	}
}
