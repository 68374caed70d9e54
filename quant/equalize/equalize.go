// Package equalize evens out the sizes of channels between layers, so that one
// scale for all channels of a value loses less (cross-layer equalisation,
// Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
// Correction", 2019).
//
// What a layer divides a channel by, the next multiplies it with: the graph
// computes the same. That holds across Relu and LeakyRelu, which scale with
// their input, but not across ReLU6 or hard swish, where nothing is changed.
package equalize

import (
	"math"
	"slices"

	"emberwing/quant/graph"
)

// sweeps bounds how often all pairs are gone through.
const sweeps = 20

// pair is two convolutions with one reader each on the way from the first to
// the second.
type pair struct{ first, second *graph.Node }

// Graph equalises a canonical graph, which it changes, and returns the number
// of pairs and the largest factor by which a channel was scaled.
func Graph(g *graph.Graph) (pairs int, largest float64, err error) {
	list := find(g)
	for _, p := range list {
		for _, owned := range []struct {
			n *graph.Node
			i int
		}{{p.first, 1}, {p.second, 1}} {
			if _, err := g.Owned(owned.n, owned.i); err != nil {
				return 0, 0, err
			}
		}
		if _, err := g.EnsureBias(p.first); err != nil {
			return 0, 0, err
		}
	}
	total := map[*graph.Node][]float64{}
	for range sweeps {
		change := 1.0
		for _, p := range list {
			change = math.Max(change, p.even(g, total))
		}
		if change < 1.01 {
			break
		}
	}
	for _, t := range total {
		for _, s := range t {
			largest = math.Max(largest, math.Max(s, 1/s))
		}
	}
	return len(list), largest, nil
}

// find lists the pairs in order.
func find(g *graph.Graph) []pair {
	var out []pair
	for _, n := range g.Nodes() {
		if !suits(g, n) {
			continue
		}
		next := g.Sole(n.Output[0])
		if graph.Is(next, "Relu", "LeakyRelu") {
			next = g.Sole(next.Output[0])
		}
		if next != nil && suits(g, next) && meets(g, n, next) {
			out = append(out, pair{n, next})
		}
	}
	return out
}

// suits says whether a node is a convolution with constant weights, either of
// one group or depthwise.
func suits(g *graph.Graph, n *graph.Node) bool {
	if !graph.Is(n, "Conv") || len(n.Input) > 2 && n.Input[2] != "" && !g.IsConstant(n.Input[2]) {
		return false
	}
	_, dims, ok := g.Floats(n.Input[1])
	groups := graph.Int(n, "group", 1)
	return ok && len(dims) > 2 && !slices.Contains(dims, 0) && (groups == 1 || groups == dims[0] && dims[1] == 1)
}

// meets says whether the second reads as many channels as the first computes.
func meets(g *graph.Graph, first, second *graph.Node) bool {
	_, a, _ := g.Floats(first.Input[1])
	_, b, _ := g.Floats(second.Input[1])
	return a[0] == b[1] || graph.Int(second, "group", 1) == a[0] && b[0] == a[0]
}

// even scales the channels between the two so that their largest weights on
// both sides are equal: s = sqrt(r1/r2), the first divided, the second
// multiplied. It returns the largest factor.
func (p pair) even(g *graph.Graph, total map[*graph.Node][]float64) float64 {
	w1, d1, _ := g.Floats(p.first.Input[1])
	w2, d2, _ := g.Floats(p.second.Input[1])
	b, bd, _ := g.Floats(p.first.Input[2])
	depthwise := graph.Int(p.second, "group", 1) > 1
	c1 := func(i int) int { return i / (len(w1) / int(d1[0])) }
	c2 := func(i int) int { return i / (len(w2) / int(d2[0])) }
	if !depthwise {
		kernel := len(w2) / int(d2[0]*d2[1])
		c2 = func(i int) int { return i / kernel % int(d2[1]) }
	}
	s, top := factors(largestOf(w1, c1, int(d1[0])), largestOf(w2, c2, int(d1[0])))
	for i := range w1 {
		w1[i] /= float32(s[c1(i)])
	}
	for c := range b {
		b[c] /= float32(s[c])
	}
	for i := range w2 {
		w2[i] *= float32(s[c2(i)])
	}
	g.SetFloats(p.first.Input[1], d1, w1)
	g.SetFloats(p.first.Input[2], bd, b)
	g.SetFloats(p.second.Input[1], d2, w2)
	if total[p.first] == nil {
		total[p.first] = slices.Repeat([]float64{1}, len(s))
	}
	for c := range s {
		total[p.first][c] *= s[c]
	}
	return top
}

// largestOf returns the largest magnitude of each channel.
func largestOf(w []float32, channel func(int) int, channels int) []float64 {
	out := make([]float64, channels)
	for i, v := range w {
		c := channel(i)
		out[c] = math.Max(out[c], math.Abs(float64(v)))
	}
	return out
}

// limit bounds one factor: a channel that is almost dead is not blown up.
const limit = 1e4

// factors returns sqrt(r1/r2) of each channel, 1 where a side is zero, and the
// largest of them or their inverses.
func factors(r1, r2 []float64) (s []float64, top float64) {
	s, top = make([]float64, len(r1)), 1
	for c := range s {
		s[c] = 1
		if r1[c] > 0 && r2[c] > 0 {
			s[c] = math.Min(limit, math.Max(1/limit, math.Sqrt(r1[c]/r2[c])))
		}
		top = math.Max(top, math.Max(s[c], 1/s[c]))
	}
	return s, top
}
