package roofline

import (
	"slices"

	"emberwing/quant/onnx"
)

// shapes knows the dimensions of values; a missing one is unknown.
type shapes struct {
	graph *onnx.Graph
	known map[string][]int64
}

// infer walks the graph in its order, which is topological. A free dimension
// of an input counts as 1: one picture.
func infer(g *onnx.Graph) *shapes {
	s := &shapes{g, map[string][]int64{}}
	for _, v := range g.Inputs() {
		if v.Shape.Known {
			s.known[v.Name] = dims(v.Shape)
		}
	}
	for _, t := range g.Initializers() {
		s.known[t.Name()] = t.Dims()
	}
	for _, n := range g.Nodes() {
		s.node(n)
	}
	return s
}

func dims(shape onnx.Shape) []int64 {
	out := make([]int64, len(shape.Dims))
	for i, d := range shape.Dims {
		out[i] = max(d.Size, 1)
	}
	return out
}

// of returns the dimensions of a value, nil when unknown.
func (s *shapes) of(name string) []int64 { return s.known[name] }

// elements returns the number of elements of a value, 0 when unknown.
func (s *shapes) elements(name string) int64 {
	d, ok := s.known[name]
	if !ok {
		return 0
	}
	return product(d)
}

func product(d []int64) int64 {
	n := int64(1)
	for _, v := range d {
		n *= v
	}
	return n
}

// node sets the shape of the first output, where it can be told.
func (s *shapes) node(n onnx.Node) {
	in, out := n.Inputs(), n.Outputs()
	if len(out) == 0 || s.declared(out[0]) {
		return
	}
	if n.Op() == "Constant" {
		if t, err := n.Tensor("value"); err == nil {
			s.known[out[0]] = t.Dims()
		}
		return
	}
	if len(in) == 0 || s.of(in[0]) == nil {
		return
	}
	if d := s.output(n, in); d != nil {
		s.known[out[0]] = d
	}
}

// declared takes the shape that the file states.
func (s *shapes) declared(name string) bool {
	v, ok := s.graph.Value(name)
	if !ok || !v.Shape.Known || slices.ContainsFunc(v.Shape.Dims, func(d onnx.Dim) bool { return d.Size < 0 }) {
		return false
	}
	s.known[name] = dims(v.Shape)
	return true
}

// output computes the shape of the first output, nil when unknown.
func (s *shapes) output(n onnx.Node, in []string) []int64 {
	x := s.of(in[0])
	switch n.Op() {
	case "QuantizeLinear", "DequantizeLinear", "Clip":
		return x // the other inputs are parameters
	case "Conv":
		return s.conv(n, x, s.of(in[1]))
	case "MaxPool", "AveragePool":
		kernel, _ := n.Ints("kernel_shape")
		return window(n, x, x[1], kernel)
	case "GlobalAveragePool", "GlobalMaxPool":
		return append(slices.Clone(x[:2]), ones(len(x)-2)...)
	case "ReduceMean", "ReduceMax":
		return s.reduce(n, x)
	case "Gemm":
		return s.gemm(n, in)
	case "MatMul":
		w := s.of(in[1])
		if len(w) == 0 {
			return nil
		}
		return append(slices.Clone(x[:len(x)-1]), w[len(w)-1])
	case "Flatten":
		axis := intOr(n, "axis", 1)
		return []int64{product(x[:axis]), product(x[axis:])}
	case "Reshape":
		return s.reshape(x, in[1])
	case "Transpose":
		return transpose(n, x)
	case "Concat":
		return s.concat(n, in)
	case "Squeeze", "Unsqueeze", "Slice", "Split", "Resize", "Pad", "Gather", "Shape", "ConvTranspose", "Upsample":
		return nil
	}
	return s.broadcast(in)
}

func ones(n int) []int64 { return slices.Repeat([]int64{1}, n) }

func intOr(n onnx.Node, name string, fallback int64) int64 {
	if v, err := n.Int(name); err == nil {
		return v
	}
	return fallback
}

func (s *shapes) conv(n onnx.Node, x, w []int64) []int64 {
	if len(w) < 3 || len(x) != len(w) {
		return nil
	}
	return window(n, x, w[0], w[2:])
}

// window is the shape behind a sliding window of this kernel.
func window(n onnx.Node, x []int64, channels int64, kernel []int64) []int64 {
	if len(x) != len(kernel)+2 {
		return nil
	}
	strides, _ := n.Ints("strides")
	pads, _ := n.Ints("pads")
	dilations, _ := n.Ints("dilations")
	auto, _ := n.Text("auto_pad")
	out := []int64{x[0], channels}
	for i, k := range kernel {
		stride, reach := at(strides, i, 1), (k-1)*at(dilations, i, 1)+1
		if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			out = append(out, (x[i+2]+stride-1)/stride)
			continue
		}
		room := x[i+2] + at(pads, i, 0) + at(pads, i+len(kernel), 0) - reach
		if room < 0 || stride < 1 {
			return nil
		}
		if intOr(n, "ceil_mode", 0) == 1 {
			room += stride - 1
		}
		out = append(out, room/stride+1)
	}
	return out
}

func at(list []int64, i int, fallback int64) int64 {
	if i < len(list) {
		return list[i]
	}
	return fallback
}

func (s *shapes) reduce(n onnx.Node, x []int64) []int64 {
	axes, err := n.Ints("axes")
	if err != nil && len(n.Inputs()) > 1 {
		axes = s.constant(n.Inputs()[1])
	}
	keep := intOr(n, "keepdims", 1) == 1
	var out []int64
	for i, d := range x {
		reduced := len(axes) == 0 || slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(x)))
		switch {
		case !reduced:
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

func (s *shapes) gemm(n onnx.Node, in []string) []int64 {
	x, w := s.of(in[0]), s.of(in[1])
	if len(x) != 2 || len(w) != 2 {
		return nil
	}
	rows, columns := x[0], w[1]
	if intOr(n, "transA", 0) == 1 {
		rows = x[1]
	}
	if intOr(n, "transB", 0) == 1 {
		columns = w[0]
	}
	return []int64{rows, columns}
}

// constant returns the integers of a constant value, nil for others.
func (s *shapes) constant(name string) []int64 {
	if t, ok := s.graph.Initializer(name); ok {
		v, _ := t.Int64s()
		return v
	}
	if n, ok := s.graph.Producer(name); ok && n.Op() == "Constant" {
		if t, err := n.Tensor("value"); err == nil {
			v, _ := t.Int64s()
			return v
		}
	}
	return nil
}

func (s *shapes) reshape(x []int64, target string) []int64 {
	out := slices.Clone(s.constant(target))
	free, rest := -1, int64(1)
	for i, d := range out {
		switch {
		case d == -1:
			free = i
			continue
		case d == 0 && i < len(x):
			out[i] = x[i]
		}
		rest *= out[i]
	}
	if free >= 0 && rest > 0 {
		out[free] = product(x) / rest
	}
	return out
}

func transpose(n onnx.Node, x []int64) []int64 {
	perm, err := n.Ints("perm")
	out := slices.Clone(x)
	if err != nil {
		slices.Reverse(out)
		return out
	}
	for i, p := range perm {
		if i >= len(out) || p < 0 || p >= int64(len(x)) {
			return nil
		}
		out[i] = x[p]
	}
	return out
}

func (s *shapes) concat(n onnx.Node, in []string) []int64 {
	out := slices.Clone(s.of(in[0]))
	axis := intOr(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(out))
	}
	for _, name := range in[1:] {
		d := s.of(name)
		if len(d) != len(out) || axis < 0 || axis >= int64(len(d)) {
			return nil
		}
		out[axis] += d[axis]
	}
	return out
}

// broadcast is the shape of an elementwise operator: the largest of each
// dimension, aligned at the end.
func (s *shapes) broadcast(in []string) []int64 {
	var out []int64
	for _, name := range in {
		d := s.of(name)
		if len(d) > len(out) {
			out = append(ones(len(d)-len(out)), out...)
		}
		for i := range d {
			k := len(out) - len(d) + i
			out[k] = max(out[k], d[i])
		}
	}
	return out
}
