package rounding

import (
	"slices"

	"emberwing/quant/graph"
	"emberwing/quant/onnx/onnxpb"
)

// maxDim is the largest number of weights of a row that is treated: the
// moments are its square.
const maxDim = 2304

// Layout says how the weights of a layer lie in memory, and what they are
// multiplied with.
type Layout struct {
	Groups int // groups of rows that read the same inputs
	Rows   int // output channels
	Dim    int // weights in a row
	inner  int // distance of two weights of a row
	outer  int // distance of two rows
}

// LayoutOf returns the layout of the weights of a node, false for operators
// that are not treated.
func LayoutOf(n *graph.Node, dims []int64) (Layout, bool) {
	switch {
	case graph.Is(n, "Conv") && len(dims) == 4:
		dim := int(dims[1] * dims[2] * dims[3])
		l := Layout{Groups: int(graph.Int(n, "group", 1)), Rows: int(dims[0]), Dim: dim, inner: 1, outer: dim}
		return l, dim <= maxDim && l.Groups > 0 && l.Rows%l.Groups == 0
	case graph.Is(n, "Gemm") && len(dims) == 2 && graph.Int(n, "transB", 0) == 1:
		return Layout{Groups: 1, Rows: int(dims[0]), Dim: int(dims[1]), inner: 1, outer: int(dims[1])}, dims[1] <= maxDim
	case graph.Is(n, "Gemm", "MatMul") && len(dims) == 2:
		return Layout{Groups: 1, Rows: int(dims[1]), Dim: int(dims[0]), inner: int(dims[1]), outer: 1}, dims[0] <= maxDim
	}
	return Layout{}, false
}

// Index returns the place of weight i of a row.
func (l Layout) Index(row, i int) int { return row*l.outer + i*l.inner }

// Taps names the outputs that [Tap] adds to a graph.
type Taps struct {
	Layout
	Positions     int    // windows in one sample
	Moments, Mean string // of shape [Groups,Dim,Dim], a sum over positions, and [Groups,Dim]
}

// Floats returns how many numbers the taps hold in memory for one sample.
func (t Taps) Floats() int64 { return int64(t.Groups) * int64(t.Dim) * int64(2*t.Dim+3*t.Positions) }

// Tap adds outputs with the moments of what each row of the weights of a node
// is multiplied with. It returns false, and leaves the graph alone, for nodes
// that are not treated or whose shapes are not known; samples are one a run.
func Tap(g *graph.Graph, n *graph.Node, shapes graph.Shapes) (Taps, bool) {
	_, dims, ok := g.Floats(n.Input[1])
	if !ok {
		return Taps{}, false
	}
	l, ok := LayoutOf(n, dims)
	in, out := shapes[n.Input[0]], shapes[n.Output[0]]
	if !ok || in.Len() < 0 || out.Len() < 0 || len(out.Dims) < 2 || out.Dims[0] != 1 || len(in.Dims) != len(out.Dims) {
		return Taps{}, false
	}
	t := Taps{Layout: l, Positions: int(out.Len()) / l.Rows}
	x := n.Input[0]
	if graph.Is(n, "Conv") && !pointwise(n, dims) {
		x = windows(g, n, dims, l)
	}
	t.add(g, x)
	return t, true
}

// pointwise says whether a convolution reads every input once as it is.
func pointwise(n *graph.Node, dims []int64) bool {
	is := func(name string, want int64) bool {
		return !slices.ContainsFunc(graph.Ints(n, name, nil), func(v int64) bool { return v != want })
	}
	return dims[2] == 1 && dims[3] == 1 && is("strides", 1) && is("pads", 0)
}

// windows adds a convolution that copies out what each window covers:
// [1, Groups*Dim, height, width].
func windows(g *graph.Graph, n *graph.Node, dims []int64, l Layout) string {
	values := make([]float32, l.Groups*l.Dim*l.Dim)
	for row := range l.Groups * l.Dim {
		values[row*l.Dim+row%l.Dim] = 1
	}
	ones := g.NewFloats(n.GetName()+"_ones", []int64{int64(l.Groups * l.Dim), dims[1], dims[2], dims[3]}, values)
	out := g.Fresh(n.GetName() + "_windows")
	attributes := slices.DeleteFunc(slices.Clone(n.Attribute), func(a *onnxpb.AttributeProto) bool { return a == nil })
	g.Add("Conv", []string{n.Input[0], ones}, []string{out}, attributes...)
	return out
}

// add computes the moments of x.
func (t *Taps) add(g *graph.Graph, x string) {
	node := func(op string, inputs []string, attributes ...*onnxpb.AttributeProto) string {
		out := g.Fresh(x + "_" + op)
		g.Add(op, inputs, []string{out}, attributes...)
		return out
	}
	shape := g.NewInts(x+"_rows", int64(t.Groups), int64(t.Dim), int64(t.Positions))
	flat := node("Reshape", []string{x, shape})
	turned := node("Transpose", []string{flat}, graph.IntsAttr("perm", 0, 2, 1))
	t.Moments = node("MatMul", []string{flat, turned})
	t.Mean = node("ReduceMean", []string{flat}, graph.IntsAttr("axes", 2), graph.IntAttr("keepdims", 0))
	g.Expose(t.Moments)
	g.Expose(t.Mean)
}
