package graph

import (
	"slices"

	"emberwing/quant/onnx"
)

// unknown makes a shape of n unknown dimensions.
func unknown(n int) []int64 { return slices.Repeat([]int64{-1}, n) }

func (f *inference) same(n *Node) { f.set(n, 0, f.in(n, 0)) }

// window returns the output size of one axis of a convolution or pool.
func window(n *Node, in, kernel int64, axis, axes int, ceil bool) int64 {
	stride, dilation := item(Ints(n, "strides", nil), axis, 1), item(Ints(n, "dilations", nil), axis, 1)
	pads := Ints(n, "pads", nil)
	extent := dilation*(kernel-1) + 1
	if in < 0 || kernel < 1 || stride < 1 {
		return -1
	}
	switch Text(n, "auto_pad", "NOTSET") {
	case "SAME_UPPER", "SAME_LOWER":
		return (in + stride - 1) / stride
	case "VALID":
		pads = nil
	}
	room := in + item(pads, axis, 0) + item(pads, axis+axes, 0) - extent
	if room < 0 {
		return -1
	}
	if ceil {
		room += stride - 1
	}
	return room/stride + 1
}

// item returns list[i], or def.
func item(list []int64, i int, def int64) int64 {
	if i < len(list) {
		return list[i]
	}
	return def
}

func (f *inference) conv(n *Node) {
	x, w := f.in(n, 0), f.in(n, 1)
	if !x.Known || !w.Known || len(x.Dims) != len(w.Dims) || len(x.Dims) < 3 {
		return
	}
	axes := len(x.Dims) - 2
	dims := []int64{x.Dims[0], w.Dims[0]}
	for a := range axes {
		dims = append(dims, window(n, x.Dims[2+a], w.Dims[2+a], a, axes, false))
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) convTranspose(n *Node) {
	x, w := f.in(n, 0), f.in(n, 1)
	if !x.Known || !w.Known || len(x.Dims) != len(w.Dims) || len(x.Dims) < 3 {
		return
	}
	axes, pads := len(x.Dims)-2, Ints(n, "pads", nil)
	dims := []int64{x.Dims[0], w.Dims[1] * Int(n, "group", 1)}
	for a := range axes {
		stride, dilation := item(Ints(n, "strides", nil), a, 1), item(Ints(n, "dilations", nil), a, 1)
		out := stride*(x.Dims[2+a]-1) + item(Ints(n, "output_padding", nil), a, 0) + dilation*(w.Dims[2+a]-1) + 1 -
			item(pads, a, 0) - item(pads, a+axes, 0)
		if x.Dims[2+a] < 0 || Text(n, "auto_pad", "NOTSET") != "NOTSET" {
			out = -1
		}
		dims = append(dims, item(Ints(n, "output_shape", nil), a, out))
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) pool(n *Node) {
	x, kernel := f.in(n, 0), Ints(n, "kernel_shape", nil)
	if !x.Known || len(x.Dims) != len(kernel)+2 {
		return
	}
	dims := slices.Clone(x.Dims[:2])
	for a, k := range kernel {
		dims = append(dims, window(n, x.Dims[2+a], k, a, len(kernel), Int(n, "ceil_mode", 0) == 1))
	}
	f.set(n, 0, Value{x.Type, true, dims})
	f.set(n, 1, Value{onnx.Int64, true, dims})
}

func (f *inference) globalPool(n *Node) {
	x := f.in(n, 0)
	if !x.Known || len(x.Dims) < 2 {
		return
	}
	f.set(n, 0, Value{x.Type, true, append(slices.Clone(x.Dims[:2]), slices.Repeat([]int64{1}, len(x.Dims)-2)...)})
}

func (f *inference) gemm(n *Node) {
	a, b := f.in(n, 0), f.in(n, 1)
	if len(a.Dims) != 2 || len(b.Dims) != 2 {
		return
	}
	rows, columns := a.Dims[0], b.Dims[1]
	if Int(n, "transA", 0) == 1 {
		rows = a.Dims[1]
	}
	if Int(n, "transB", 0) == 1 {
		columns = b.Dims[0]
	}
	f.set(n, 0, Value{a.Type, true, []int64{rows, columns}})
}

func (f *inference) matmul(n *Node) {
	a, b := f.in(n, 0), f.in(n, 1)
	if len(a.Dims) < 2 || len(b.Dims) < 2 {
		f.set(n, 0, Value{Type: a.Type})
		return
	}
	batch, ok := broadcast(a.Dims[:len(a.Dims)-2], b.Dims[:len(b.Dims)-2])
	if ok {
		f.set(n, 0, Value{a.Type, true, append(batch, a.Dims[len(a.Dims)-2], b.Dims[len(b.Dims)-1])})
	}
}

// broadcast combines two shapes by numpy's rule.
func broadcast(a, b []int64) ([]int64, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		at := len(a) - len(b) + i
		switch {
		case out[at] == 1:
			out[at] = d
		case d == 1 || d == out[at]:
		case out[at] < 0:
			out[at] = d
		case d < 0:
		default:
			return nil, false
		}
	}
	return out, true
}

func (f *inference) broadcast(n *Node) {
	out := f.in(n, 0)
	for i := range n.Input[1:] {
		x := f.in(n, i+1)
		dims, ok := broadcast(out.Dims, x.Dims)
		if !ok || !out.Known || !x.Known {
			f.set(n, 0, Value{Type: out.Type})
			return
		}
		out.Dims = dims
	}
	f.set(n, 0, out)
}

func (f *inference) compare(n *Node) {
	f.broadcast(n)
	v := f.shapes[n.Output[0]]
	v.Type = onnx.Bool
	f.shapes[n.Output[0]] = v
}

func (f *inference) where(n *Node) {
	c, x, y := f.in(n, 0), f.in(n, 1), f.in(n, 2)
	dims, ok := broadcast(c.Dims, x.Dims)
	if ok {
		dims, ok = broadcast(dims, y.Dims)
	}
	f.set(n, 0, Value{x.Type, ok && c.Known && x.Known && y.Known, dims})
}

func (f *inference) concat(n *Node) {
	out := f.in(n, 0)
	axis, ok := axisOf(Int(n, "axis", 0), len(out.Dims))
	if !out.Known || !ok {
		return
	}
	out.Dims = slices.Clone(out.Dims)
	for i := range n.Input[1:] {
		x := f.in(n, i+1)
		if !x.Known || len(x.Dims) != len(out.Dims) {
			f.set(n, 0, Value{Type: out.Type})
			return
		}
		if x.Dims[axis] < 0 || out.Dims[axis] < 0 {
			out.Dims[axis] = -1
		} else {
			out.Dims[axis] += x.Dims[axis]
		}
	}
	f.set(n, 0, out)
}

// axisOf counts a negative axis from the end.
func axisOf(axis int64, rank int) (int, bool) {
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), axis >= 0 && axis < int64(rank)
}

func (f *inference) reshape(n *Node) {
	x := f.in(n, 0)
	want, ok := f.ints[last(n.Input, 1)]
	if !ok {
		if s := f.in(n, 1); s.Static() && len(s.Dims) == 1 {
			f.set(n, 0, Value{x.Type, true, unknown(int(min(s.Dims[0], maxInts)))})
		}
		return
	}
	dims, rest, free := slices.Clone(want), x.Len(), -1
	for i, d := range dims {
		switch {
		case d == 0:
			dims[i] = item(x.Dims, i, -1)
		case d == -1:
			free = i
			continue
		}
		if dims[i] > 0 && rest > 0 {
			rest /= dims[i]
		} else {
			rest = -1
		}
	}
	if free >= 0 {
		dims[free] = rest
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) flatten(n *Node) {
	x := f.in(n, 0)
	axis := Int(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(x.Dims))
	}
	if !x.Known || axis < 0 || axis > int64(len(x.Dims)) {
		return
	}
	f.set(n, 0, Value{x.Type, true, []int64{
		Value{Known: true, Dims: x.Dims[:axis]}.Len(), Value{Known: true, Dims: x.Dims[axis:]}.Len()}})
}

func (f *inference) transpose(n *Node) {
	x := f.in(n, 0)
	perm := Ints(n, "perm", nil)
	if !x.Known || len(perm) != 0 && len(perm) != len(x.Dims) {
		return
	}
	dims := slices.Clone(x.Dims)
	slices.Reverse(dims)
	for i, p := range perm {
		if p < 0 || int(p) >= len(x.Dims) {
			return
		}
		dims[i] = x.Dims[p]
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

// axes returns the axes a node names by its second input or its attribute,
// counted from the front for the given number of dimensions.
func (f *inference) axes(n *Node, rank int) ([]int, bool) {
	list, ok := f.ints[last(n.Input, 1)]
	if a := Attribute(n, "axes"); a != nil {
		list, ok = a.GetInts(), true
	}
	out := make([]int, len(list))
	for i, a := range list {
		var fits bool
		if out[i], fits = axisOf(a, rank); !fits {
			return nil, false
		}
	}
	return out, ok
}

func (f *inference) squeeze(n *Node) {
	x := f.in(n, 0)
	axes, given := f.axes(n, len(x.Dims))
	if !x.Known || !given && (len(n.Input) > 1 || !x.Static()) {
		return
	}
	dims := []int64{}
	for i, d := range x.Dims {
		if gone := slices.Contains(axes, i) || !given && d == 1; !gone {
			dims = append(dims, d)
		}
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) unsqueeze(n *Node) {
	x := f.in(n, 0)
	count := len(f.ints[last(n.Input, 1)]) + len(Ints(n, "axes", nil))
	axes, ok := f.axes(n, len(x.Dims)+count)
	if !x.Known || !ok {
		return
	}
	dims := slices.Clone(x.Dims)
	slices.Sort(axes)
	for _, a := range axes {
		if a > len(dims) {
			return
		}
		dims = slices.Insert(dims, a, 1)
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) reduce(n *Node) {
	x := f.in(n, 0)
	typ := x.Type
	var axes []int
	given := true
	if Is(n, "ArgMax", "ArgMin") {
		a, ok := axisOf(Int(n, "axis", 0), len(x.Dims))
		axes, given, typ = []int{a}, ok, onnx.Int64
	} else if axes, given = f.axes(n, len(x.Dims)); !given && len(n.Input) < 2 {
		for i := range x.Dims {
			axes = append(axes, i)
		}
		given = true
	}
	if !x.Known || !given {
		f.set(n, 0, Value{Type: typ})
		return
	}
	dims := []int64{}
	for i, d := range x.Dims {
		switch {
		case !slices.Contains(axes, i):
			dims = append(dims, d)
		case Int(n, "keepdims", 1) == 1:
			dims = append(dims, 1)
		}
	}
	f.set(n, 0, Value{typ, true, dims})
}

func (f *inference) pad(n *Node) {
	x := f.in(n, 0)
	pads, ok := f.ints[last(n.Input, 1)]
	if !x.Known || !ok || len(pads) != 2*len(x.Dims) {
		f.set(n, 0, Value{Type: x.Type})
		return
	}
	dims := slices.Clone(x.Dims)
	for i := range dims {
		if dims[i] >= 0 {
			dims[i] += pads[i] + pads[i+len(dims)]
		}
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) slice(n *Node) {
	x := f.in(n, 0)
	starts, ok1 := f.ints[last(n.Input, 1)]
	ends, ok2 := f.ints[last(n.Input, 2)]
	axes, ok3 := f.ints[last(n.Input, 3)]
	steps := f.ints[last(n.Input, 4)]
	if !x.Known || !ok1 || !ok2 || len(ends) != len(starts) {
		if x.Known {
			f.set(n, 0, Value{x.Type, true, unknown(len(x.Dims))})
		}
		return
	}
	dims := slices.Clone(x.Dims)
	for i := range starts {
		axis := int64(i)
		if ok3 {
			axis = item(axes, i, 0)
		}
		a, fits := axisOf(axis, len(dims))
		if !fits {
			return
		}
		dims[a] = sliced(dims[a], starts[i], ends[i], item(steps, i, 1))
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

// sliced returns the length of start:end:step of a dimension.
func sliced(size, start, end, step int64) int64 {
	if size < 0 || step == 0 {
		return -1
	}
	if start < 0 {
		start += size
	}
	if end < 0 {
		end += size
	}
	if step < 0 {
		start, end = min(max(start, 0), size-1), min(max(end, -1), size-1)
		return max(0, (start-end-step-1)/-step)
	}
	start, end = min(max(start, 0), size), min(max(end, 0), size)
	return max(0, (end-start+step-1)/step)
}

func (f *inference) split(n *Node) {
	x := f.in(n, 0)
	axis, fits := axisOf(Int(n, "axis", 0), len(x.Dims))
	if !x.Known || !fits {
		return
	}
	sizes, given := f.ints[last(n.Input, 1)]
	for i := range n.Output {
		dims := slices.Clone(x.Dims)
		switch {
		case given:
			dims[axis] = item(sizes, i, -1)
		case len(n.Input) > 1 && n.Input[1] != "" || dims[axis] < 0:
			dims[axis] = -1
		default:
			dims[axis] /= int64(len(n.Output))
		}
		f.set(n, i, Value{x.Type, true, dims})
	}
}

func (f *inference) resize(n *Node) {
	x := f.in(n, 0)
	if !x.Known {
		return
	}
	dims := unknown(len(x.Dims))
	scalesAt := 2
	if Is(n, "Upsample") {
		scalesAt = 1
	}
	if sizes, ok := f.ints[last(n.Input, 3)]; ok && len(sizes) == len(dims) {
		dims = slices.Clone(sizes)
	} else if scales, _, ok := f.g.Floats(last(n.Input, scalesAt)); ok && len(scales) == len(dims) {
		for i, d := range x.Dims {
			if d >= 0 {
				dims[i] = int64(float64(d) * float64(scales[i]))
			}
		}
	}
	f.set(n, 0, Value{x.Type, true, dims})
}

func (f *inference) shape(n *Node) {
	x := f.in(n, 0)
	if !x.Known {
		f.set(n, 0, Value{onnx.Int64, true, unknown(1)})
		return
	}
	f.set(n, 0, Value{onnx.Int64, true, []int64{int64(len(x.Dims))}})
}

func (f *inference) cast(n *Node) {
	x := f.in(n, 0)
	f.set(n, 0, Value{onnx.ElemType(Int(n, "to", 0)), x.Known, x.Dims})
}

func (f *inference) gather(n *Node) {
	x, at := f.in(n, 0), f.in(n, 1)
	axis, fits := axisOf(Int(n, "axis", 0), len(x.Dims))
	if !x.Known || !at.Known || !fits {
		f.set(n, 0, Value{Type: x.Type})
		return
	}
	f.set(n, 0, Value{x.Type, true, slices.Concat(x.Dims[:axis], at.Dims, x.Dims[axis+1:])})
}

func (f *inference) expand(n *Node) {
	x := f.in(n, 0)
	want, ok := f.ints[last(n.Input, 1)]
	dims, fits := broadcast(x.Dims, want)
	f.set(n, 0, Value{x.Type, ok && fits && x.Known, dims})
}

func (f *inference) ofShape(n *Node) {
	typ := onnx.Float
	if a := Attribute(n, "value"); a != nil {
		typ = onnx.ElemType(a.GetT().GetDataType())
	}
	dims, ok := f.ints[last(n.Input, 0)]
	f.set(n, 0, Value{typ, ok, dims})
}

func (f *inference) depthToSpace(n *Node) {
	x, b := f.in(n, 0), Int(n, "blocksize", 1)
	if len(x.Dims) != 4 || b < 1 || !x.Static() {
		return
	}
	f.set(n, 0, Value{x.Type, true, []int64{x.Dims[0], x.Dims[1] / (b * b), x.Dims[2] * b, x.Dims[3] * b}})
}

func (f *inference) quantize(n *Node) {
	x, typ := f.in(n, 0), onnx.Uint8
	if zero := f.in(n, 2); zero.Type != onnx.Undefined {
		typ = zero.Type
	}
	f.set(n, 0, Value{typ, x.Known, x.Dims})
}

func (f *inference) dequantize(n *Node) {
	x := f.in(n, 0)
	f.set(n, 0, Value{onnx.Float, x.Known, x.Dims})
}

// integers computes small integer tensors, which shapes are made of.
func (f *inference) integers(n *Node) {
	switch n.GetOpType() {
	case "Shape":
		if x := f.in(n, 0); x.Static() {
			f.ints[n.Output[0]] = x.Dims
		}
	case "Cast", "Unsqueeze", "Squeeze", "Identity":
		if v, ok := f.ints[last(n.Input, 0)]; ok {
			f.ints[n.Output[0]] = v
		}
	case "Gather":
		f.gatherInts(n)
	case "Concat":
		f.concatInts(n)
	case "Slice":
		f.sliceInts(n)
	case "Add", "Sub", "Mul", "Div":
		f.arithmetic(n)
	}
}

func (f *inference) gatherInts(n *Node) {
	x, ok1 := f.ints[last(n.Input, 0)]
	at, ok2 := f.ints[last(n.Input, 1)]
	if !ok1 || !ok2 {
		return
	}
	out := make([]int64, len(at))
	for i, a := range at {
		j, fits := axisOf(a, len(x))
		if !fits {
			return
		}
		out[i] = x[j]
	}
	f.ints[n.Output[0]] = out
}

func (f *inference) concatInts(n *Node) {
	var out []int64
	for _, in := range n.Input {
		v, ok := f.ints[in]
		if !ok || len(out)+len(v) > maxInts {
			return
		}
		out = append(out, v...)
	}
	f.ints[n.Output[0]] = out
}

func (f *inference) sliceInts(n *Node) {
	x, ok := f.ints[last(n.Input, 0)]
	start, end := f.ints[last(n.Input, 1)], f.ints[last(n.Input, 2)]
	if !ok || len(start) != 1 || len(end) != 1 || item(f.ints[last(n.Input, 4)], 0, 1) != 1 {
		return
	}
	size := int64(len(x))
	count := sliced(size, start[0], end[0], 1)
	from := start[0]
	if from < 0 {
		from += size
	}
	from = min(max(from, 0), size)
	f.ints[n.Output[0]] = x[from : from+count]
}

func (f *inference) arithmetic(n *Node) {
	a, ok1 := f.ints[last(n.Input, 0)]
	b, ok2 := f.ints[last(n.Input, 1)]
	if !ok1 || !ok2 || len(a) != len(b) && len(b) != 1 {
		return
	}
	out := make([]int64, len(a))
	for i := range a {
		y := b[i%len(b)]
		switch n.GetOpType() {
		case "Add":
			out[i] = a[i] + y
		case "Sub":
			out[i] = a[i] - y
		case "Mul":
			out[i] = a[i] * y
		case "Div":
			if y == 0 {
				return
			}
			out[i] = a[i] / y
		}
	}
	f.ints[n.Output[0]] = out
}
