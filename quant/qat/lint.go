package qat

import (
	"fmt"
	"math"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
)

// Issue is something about the pairs of a model that a target does not take,
// or that costs it speed. Writing the model for the target mends it.
type Issue struct {
	Node  string `json:"node"`
	What  string `json:"what"`
	Fatal bool   `json:"fatal"` // the runtime refuses the file or computes wrongly
}

// String says it in one line.
func (i Issue) String() string {
	if i.Fatal {
		return fmt.Sprintf("error: %s: %s", i.Node, i.What)
	}
	return fmt.Sprintf("warning: %s: %s", i.Node, i.What)
}

// linter collects issues of one graph.
type linter struct {
	g      *graph.Graph
	p      qdq.Profile
	issues []Issue
}

// Lint checks the pairs of a canonical graph against a target.
func Lint(g *graph.Graph, p qdq.Profile) []Issue {
	l := &linter{g: g, p: p}
	for _, n := range g.Nodes() {
		switch {
		case graph.Is(n, "QuantizeLinear"):
			l.scale(n)
			l.zero(n)
			l.dead(n)
		case graph.Is(n, "DequantizeLinear"):
			l.dequantize(n)
		case graph.Is(n, "Conv", "ConvTranspose", "Gemm", "MatMul"):
			l.layer(n)
		case graph.Is(n, "BatchNormalization"):
			if graph.Is(g.Producer(n.Input[0]), "Conv", "ConvTranspose") {
				l.add(n, false, "batch norm is not folded into the convolution before it, which then does not fuse with what "+
					"follows")
			}
		case graph.Is(n, "Add"):
			l.sum(n)
		case graph.Is(n, "Concat") && l.trt():
			l.concat(n)
		}
	}
	return l.issues
}

func (l *linter) add(n *graph.Node, fatal bool, format string, args ...any) {
	l.issues = append(l.issues, Issue{graph.Describe(n), fmt.Sprintf(format, args...), fatal})
}

// trt says whether the target is TensorRT.
func (l *linter) trt() bool { return l.p.Symmetric }

// scale checks that scales are constants above zero.
func (l *linter) scale(n *graph.Node) {
	v, _, ok := l.g.Floats(n.Input[1])
	if !ok {
		l.add(n, true, "scale %q is no constant", n.Input[1])
		return
	}
	for _, s := range v {
		if !(s > 0) || math.IsInf(float64(s), 0) {
			l.add(n, true, "scale is %v, want a finite number above 0", s)
			return
		}
	}
}

// zero checks type and value of the zero point.
func (l *linter) zero(n *graph.Node) {
	if len(n.Input) < 3 || n.Input[2] == "" {
		if l.trt() {
			l.add(n, true, "without a zero point the numbers are uint8, TensorRT takes int8")
		}
		return
	}
	t, _ := l.g.Constant(n.Input[2])
	v, ok := l.g.Ints(n.Input[2])
	switch {
	case !ok:
		l.add(n, true, "zero point %q is no constant", n.Input[2])
	case l.trt() && t.Type() != onnx.Int8:
		l.add(n, true, "numbers are %s, TensorRT takes int8", t.Type())
	case l.trt():
		for _, z := range v {
			if z != 0 {
				l.add(n, true, "zero point is %d, TensorRT takes 0 only", z)
				return
			}
		}
	}
}

// dead reports a pair that nobody reads.
func (l *linter) dead(n *graph.Node) {
	if len(l.g.Consumers(n.Output[0])) == 0 && !l.g.Kept(n.Output[0]) {
		l.add(n, false, "nobody reads it")
	}
}

// dequantize checks what a DQ reads, and its axis.
func (l *linter) dequantize(n *graph.Node) {
	if graph.Is(l.g.Producer(n.Input[0]), "Clip") {
		l.add(n, false, "a Clip stands between Q and DQ (narrow range): runtimes do not fuse across it")
	}
	scales, _, _ := l.g.Floats(n.Input[1])
	for _, reader := range l.g.Consumers(n.Output[0]) {
		want, weighted := weightAxis(reader, n.Output[0])
		if axis := graph.Int(n, "axis", 1); weighted && len(scales) > 1 && axis != want {
			l.add(n, true, "scales of the weights of %s run along axis %d, want %d", graph.Describe(reader), axis, want)
		}
	}
	if t, ok := l.g.Constant(n.Input[0]); ok && t.Type() == onnx.Int32 && l.trt() {
		l.add(n, true, "the bias is int32, TensorRT takes float")
	}
}

// weightAxis returns the axis of output channels in a node's weights, and
// whether the value is its weights.
func weightAxis(n *graph.Node, value string) (int64, bool) {
	if len(n.Input) < 2 || n.Input[1] != value {
		return 0, false
	}
	switch {
	case graph.Is(n, "Conv"), graph.Is(n, "Gemm") && graph.Int(n, "transB", 0) == 1:
		return 0, true
	case graph.Is(n, "ConvTranspose", "Gemm", "MatMul"):
		return 1, true
	}
	return 0, false
}

// layer checks that input and weights are quantised together, and the bias.
func (l *linter) layer(n *graph.Node) {
	if len(n.Input) < 2 {
		return
	}
	x, w := graph.Is(l.g.Producer(n.Input[0]), "DequantizeLinear"), graph.Is(l.g.Producer(n.Input[1]), "DequantizeLinear")
	switch {
	case x != w:
		l.add(n, false, "only one of input and weights is quantised: it runs in float")
	case x && !l.trt() && len(n.Input) > 2 && l.g.IsConstant(n.Input[2]):
		l.add(n, false, "the bias is float: ONNX Runtime before 1.21 does not fuse it")
	}
}

// sum checks a residual addition.
func (l *linter) sum(n *graph.Node) {
	if !l.trt() || len(n.Input) != 2 {
		return
	}
	a, b := l.g.Producer(n.Input[0]), l.g.Producer(n.Input[1])
	if graph.Is(a, "DequantizeLinear") && graph.Is(b, "DequantizeLinear") {
		l.add(n, false, "both inputs have pairs: TensorRT cannot fuse it with the convolution before it")
	}
}

// concat checks that what is joined has one scale.
func (l *linter) concat(n *graph.Node) {
	var first float32
	for _, in := range n.Input {
		dq := l.g.Producer(in)
		if !graph.Is(dq, "DequantizeLinear") {
			continue
		}
		s, ok := l.g.Scalar(dq.Input[1])
		if ok && first != 0 && s != first {
			l.add(n, false, "inputs have scales %g and %g: each costs a conversion, give them one", first, s)
			return
		}
		if ok {
			first = s
		}
	}
}
