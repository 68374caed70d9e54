package rounding_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/quanttest"
	"emberwing/quant/rounding"
)

// layer is one of those that the test network has: name, operator, shape of
// the weights and attributes.
type layer struct {
	name   string
	build  func(b *quanttest.Builder) string
	dims   []int64 // of the input
	window func(in []float32, dims []int64, out func(group int, x []float64))
}

// conv returns a convolution layer with an independent way to cut windows.
func conv(name string, in, out, k, stride, pad, groups int64) layer {
	l := layer{name: name, dims: []int64{1, in, 7, 7}}
	l.build = func(b *quanttest.Builder) string {
		return b.Node("Conv", []string{"input", b.Random(0, 1, out, in/groups, k, k), b.Random(0, 1, out)},
			graph.IntsAttr("kernel_shape", k, k), graph.IntsAttr("strides", stride, stride),
			graph.IntsAttr("pads", pad, pad, pad, pad), graph.IntAttr("group", groups))
	}
	l.window = func(x []float32, dims []int64, take func(int, []float64)) {
		per := in / groups
		for g := range groups {
			for y := -pad; y+k <= dims[2]+pad; y += stride {
				for z := -pad; z+k <= dims[3]+pad; z += stride {
					take(int(g), cut(x, dims, g*per, per, y, z, k))
				}
			}
		}
	}
	return l
}

// cut returns the k by k window at y, z of channels from c on.
func cut(x []float32, dims []int64, c, channels, y, z, k int64) []float64 {
	var out []float64
	for i := range channels * k * k {
		at, row, col := c+i/(k*k), y+i/k%k, z+i%k
		v := float32(0)
		if row >= 0 && row < dims[2] && col >= 0 && col < dims[3] {
			v = x[(at*dims[2]+row)*dims[3]+col]
		}
		out = append(out, float64(v))
	}
	return out
}

func layers() []layer {
	gemm := layer{name: "gemm", dims: []int64{1, 24}}
	gemm.build = func(b *quanttest.Builder) string {
		return b.Node("Gemm", []string{"input", b.Random(0, 1, 24, 4), b.Random(0, 1, 4)})
	}
	gemm.window = func(x []float32, _ []int64, take func(int, []float64)) {
		v := make([]float64, len(x))
		for i := range x {
			v[i] = float64(x[i])
		}
		take(0, v)
	}
	return []layer{conv("pointwise", 5, 4, 1, 1, 0, 1), conv("dense", 3, 4, 3, 2, 1, 1), conv("depthwise", 4, 4, 3, 1, 1,
		4),
		conv("grouped", 6, 4, 3, 2, 0, 2), conv("strided", 5, 4, 1, 2, 0, 1), gemm}
}

// measured is a layer whose moments were measured by the real runtime.
type measured struct {
	*rounding.Moments
	taps    rounding.Taps
	weights []float32
	windows [][][]float64 // of each group
}

func measure(t *testing.T, l layer, samples int) measured {
	t.Helper()
	b := quanttest.NewBuilder(3)
	b.Input("input", l.dims...)
	b.Output(l.build(b))
	g := graph.New(b.Model(t, 13))
	node := g.Nodes()[0]
	weights, _, _ := g.Floats(node.Input[1])
	taps, ok := rounding.Tap(g, node, g.Shapes())
	m, err := g.Model()
	if !ok || err != nil {
		t.Fatalf("tap %s: %v, %v", l.name, ok, err)
	}
	s, err := quanttest.Open(t)(m.Bytes(), []quant.Input{{Name: "input", Dims: l.dims}}, []string{taps.Moments, taps.Mean})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := measured{new(rounding.Moments), taps, weights, make([][][]float64, taps.Groups)}
	rng := rand.New(rand.NewPCG(5, 6))
	for range samples {
		shared := rng.Float32() // makes inputs vary together
		for i := range s.Input(0) {
			s.Input(0)[i] = shared + rng.Float32()
		}
		l.window(s.Input(0), l.dims, func(g int, x []float64) { out.windows[g] = append(out.windows[g], x) })
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		out.Add(taps, s.Output(0), s.Output(1))
	}
	return out
}

// nearest rounds each weight by itself.
func nearest(w, scales []float32, row func(i int) int, limit int32) []int32 {
	out := make([]int32, len(w))
	for i, v := range w {
		q := math.RoundToEven(float64(v / scales[row(i)]))
		out[i] = int32(math.Max(-float64(limit), math.Min(float64(limit), q)))
	}
	return out
}

// variance returns the variance over all windows of the error that integers
// cause, summed over the rows, by its definition.
func (m measured) variance(scales []float32, q []int32) float64 {
	total := 0.0
	for row := range m.taps.Rows {
		windows := m.windows[row/(m.taps.Rows/m.taps.Groups)]
		sum, squares := 0.0, 0.0
		for _, x := range windows {
			e := 0.0
			for i, v := range x {
				at := m.taps.Index(row, i)
				e += (float64(m.weights[at]) - float64(q[at])*float64(scales[row])) * v
			}
			sum, squares = sum+e, squares+e*e
		}
		n := float64(len(windows))
		total += squares/n - sum/n*sum/n
	}
	return total
}

func TestErrorsCancel(t *testing.T) {
	for _, l := range layers() {
		m := measure(t, l, 40)
		scales := []float32{0.3, 0.25, 0.4, 0.2}
		q := m.Round(m.weights, scales, 127, true)
		rowOf := make([]int, len(q))
		for row := range m.taps.Rows {
			for i := range m.taps.Dim {
				rowOf[m.taps.Index(row, i)] = row
			}
		}
		got, plain := m.variance(scales, q), m.variance(scales, nearest(m.weights, scales,
			func(i int) int { return rowOf[i] }, 127))
		if got > 0.8*plain {
			t.Errorf("%s: got an error of %.4f, to the nearest %.4f: nothing cancels", l.name, got, plain)
		}
	}
}

func TestWindowsHaveTheirMeans(t *testing.T) {
	for _, l := range layers() {
		m := measure(t, l, 3)
		for row := range m.taps.Rows {
			windows := m.windows[row/(m.taps.Rows/m.taps.Groups)]
			for i := range m.taps.Dim {
				want := 0.0
				for _, x := range windows {
					want += x[i] / float64(len(windows))
				}
				if got := m.MeanOf(m.taps.Index(row, i)); math.Abs(got-want) > 1e-5 {
					t.Fatalf("%s: weight %d of row %d meets %v, want %v", l.name, i, row, got, want)
				}
			}
		}
	}
}

func TestIntegersStayWithinTheLimit(t *testing.T) {
	m := measure(t, layers()[0], 10)
	for _, q := range m.Round(m.weights, []float32{0.001}, 64, false) {
		if q < -64 || q > 64 {
			t.Fatalf("got %d, want at most 64", q)
		}
	}
}

func TestWeightsOnTheGridStay(t *testing.T) {
	m := measure(t, layers()[1], 10)
	w := make([]float32, len(m.weights))
	for i := range w {
		w[i] = float32(i%9-4) * 0.5
	}
	for i, q := range m.Round(w, []float32{0.5}, 127, true) {
		if int(q) != i%9-4 {
			t.Fatalf("weight %d: got %d, want %d", i, q, i%9-4)
		}
	}
}

func TestUntreatedNodesAreLeftAlone(t *testing.T) {
	b := quanttest.NewBuilder(1)
	b.Input("input", 1, 4000)
	b.Output(b.Node("Gemm", []string{"input", b.Random(0, 1, 4000, 2), b.Random(0, 1, 2)}))
	g := graph.New(b.Model(t, 13))
	if _, ok := rounding.Tap(g, g.Nodes()[0], g.Shapes()); ok || len(g.Nodes()) != 1 || len(g.Outputs()) != 1 {
		t.Error("got taps on a layer whose moments would not fit")
	}
}
