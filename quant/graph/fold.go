package graph

import (
	"math"
	"slices"
)

// foldConvolutions moves what stands beside a convolution into it: zero
// padding before, batch norm and constant scales and shifts after.
func (g *Graph) foldConvolutions() {
	for _, n := range slices.Clone(g.Nodes()) {
		if !Is(n, "Conv", "ConvTranspose", "Gemm") {
			continue
		}
		if Is(n, "Conv") {
			g.foldPad(n)
		}
		for g.foldNext(n) {
		}
	}
}

// foldNext folds the only reader of a weighted node into it, if it is a
// constant scale and shift of each channel.
func (g *Graph) foldNext(n *Node) bool {
	next := g.Sole(n.Output[0])
	if next == nil || !g.foldable(n) {
		return false
	}
	channels := g.channels(n)
	scale, shift, ok := g.affine(next, n.Output[0], channels, len(g.rank(n)))
	if !ok || g.rescale(n, scale, shift) != nil {
		return false
	}
	out := next.Output[0]
	g.Remove(next)
	n.Output[0] = out
	g.Touch()
	return true
}

// foldable says whether weights and bias of a node are constants.
func (g *Graph) foldable(n *Node) bool {
	if len(n.Input) < 2 || Is(n, "Gemm") && Float(n, "beta", 1) != 1 {
		return false
	}
	w, dims, ok := g.Floats(n.Input[1])
	groups := Int(n, "group", 1)
	if !ok || len(w) == 0 || len(dims) < 2 || groups < 1 || dims[0]%groups != 0 {
		return false
	}
	return len(n.Input) < 3 || n.Input[2] == "" || g.biasVector(n)
}

// biasVector says whether the bias has one value a channel.
func (g *Graph) biasVector(n *Node) bool {
	b, _, ok := g.Floats(n.Input[2])
	return ok && len(b) == g.channels(n)
}

// rank returns the output dimensions that a weighted node has, as far as their
// number goes.
func (g *Graph) rank(n *Node) []int64 {
	_, dims, _ := g.Floats(n.Input[1])
	return dims
}

// channels returns the number of output channels of a weighted node, 0 if it
// is not known.
func (g *Graph) channels(n *Node) int {
	_, dims, ok := g.Floats(n.Input[1])
	if !ok || len(dims) < 2 {
		return 0
	}
	return int(OutputChannels(n, dims))
}

// OutputChannels returns the output channels of a Conv, ConvTranspose, Gemm or
// MatMul with weights of the given dimensions.
func OutputChannels(n *Node, dims []int64) int64 {
	switch {
	case Is(n, "ConvTranspose"):
		return dims[1] * Int(n, "group", 1)
	case Is(n, "Gemm") && Int(n, "transB", 0) == 0, Is(n, "MatMul"):
		return dims[len(dims)-1]
	}
	return dims[0]
}

// affine returns the scale and shift of each channel that node n applies to
// the value x of the given number of dimensions.
func (g *Graph) affine(n *Node, x string, channels, rank int) (scale, shift []float32, ok bool) {
	switch {
	case Is(n, "BatchNormalization") && n.Input[0] == x && !g.unused(n.Output[1:]):
		return g.normAffine(n, channels)
	case Is(n, "Add", "Mul", "Sub", "Div") && len(n.Input) == 2:
		return g.constAffine(n, x, channels, rank)
	}
	return nil, nil, false
}

// normAffine reads a batch norm: scale = g/sqrt(v+eps), shift = b - m*scale.
func (g *Graph) normAffine(n *Node, channels int) (scale, shift []float32, ok bool) {
	var p [4][]float32
	for i := range p {
		if p[i], _, ok = g.Floats(n.Input[i+1]); !ok || len(p[i]) != channels {
			return nil, nil, false
		}
	}
	eps := float64(Float(n, "epsilon", 1e-5))
	scale, shift = make([]float32, channels), make([]float32, channels)
	for c := range scale {
		s := float64(p[0][c]) / math.Sqrt(float64(p[3][c])+eps)
		scale[c], shift[c] = float32(s), float32(float64(p[1][c])-float64(p[2][c])*s)
	}
	return scale, shift, true
}

// constAffine reads an addition or multiplication of a constant that is a
// scalar or has one value a channel.
func (g *Graph) constAffine(n *Node, x string, channels, rank int) (scale, shift []float32, ok bool) {
	other := n.Input[1]
	if n.Input[1] == x {
		other = n.Input[0]
		if Is(n, "Sub", "Div") || n.Input[0] == x {
			return nil, nil, false
		}
	}
	v, ok := g.perChannel(other, channels, rank)
	if !ok {
		return nil, nil, false
	}
	scale, shift = make([]float32, channels), make([]float32, channels)
	for c := range scale {
		scale[c] = 1
		switch n.GetOpType() {
		case "Add":
			shift[c] = v[c]
		case "Sub":
			shift[c] = -v[c]
		case "Mul":
			scale[c] = v[c]
		case "Div":
			scale[c] = 1 / v[c]
		}
	}
	return scale, shift, true
}

// perChannel reads a constant that broadcasts along the channels: axis 1 of
// rank dimensions.
func (g *Graph) perChannel(name string, channels, rank int) ([]float32, bool) {
	v, dims, ok := g.Floats(name)
	if !ok || len(dims) > rank || channels == 0 {
		return nil, false
	}
	if len(v) == 1 {
		return slices.Repeat(v, channels), true
	}
	for i, d := range dims {
		if at := rank - len(dims) + i; d != 1 && (at != 1 || d != int64(channels)) {
			return nil, false
		}
	}
	return v, len(v) == channels
}

// rescale multiplies the output channels of a weighted node and shifts them.
func (g *Graph) rescale(n *Node, scale, shift []float32) error {
	w, err := g.Owned(n, 1)
	if err != nil {
		return err
	}
	values, dims, _ := g.Floats(w)
	for i := range values {
		values[i] *= scale[channelOf(n, dims, i)]
	}
	g.SetFloats(w, dims, values)
	bias, err := g.EnsureBias(n)
	if err != nil {
		return err
	}
	b, bdims, _ := g.Floats(bias)
	for c := range b {
		b[c] = b[c]*scale[c] + shift[c]
	}
	g.SetFloats(bias, bdims, b)
	return nil
}

// channelOf returns the output channel that element i of the weights feeds.
func channelOf(n *Node, dims []int64, i int) int {
	inner := 1
	for _, d := range dims[1:] {
		inner *= int(d)
	}
	switch {
	case Is(n, "ConvTranspose"):
		perGroup, kernel := int(dims[1]), inner/int(dims[1])
		group := i / inner / (int(dims[0]) / int(Int(n, "group", 1)))
		return group*perGroup + i/kernel%perGroup
	case Is(n, "Gemm") && Int(n, "transB", 0) == 0, Is(n, "MatMul"):
		return i % int(dims[len(dims)-1])
	}
	return i / inner
}

// ChannelOf returns the output channel that element i of weights of the given
// dimensions feeds.
func ChannelOf(n *Node, dims []int64, i int) int { return channelOf(n, dims, i) }

// EnsureBias returns the name of the node's own constant bias, one value a
// channel, making one of zeros where there is none.
func (g *Graph) EnsureBias(n *Node) (string, error) {
	if len(n.Input) > 2 && n.Input[2] != "" {
		return g.Owned(n, 2)
	}
	c := g.channels(n)
	name := g.NewFloats(n.Output[0]+"_bias", []int64{int64(c)}, make([]float32, c))
	n.Input = append(n.Input[:2:2], name)
	g.Touch()
	return name, nil
}

// foldPad moves zero padding before a convolution into its pads.
func (g *Graph) foldPad(n *Node) {
	p := g.Producer(n.Input[0])
	if !Is(p, "Pad") || g.Sole(p.Output[0]) != n || Text(p, "mode", "constant") != "constant" || len(p.Input) < 2 ||
		Text(n, "auto_pad", "NOTSET") != "NOTSET" {
		return
	}
	pads, ok := g.Ints(p.Input[1])
	if value, given := g.Scalar(last(p.Input, 2)); !ok || given && value != 0 {
		return
	}
	rank := len(pads) / 2
	if rank < 3 || len(pads)%2 != 0 || pads[0]|pads[1]|pads[rank]|pads[rank+1] != 0 || slices.Min(pads) < 0 {
		return
	}
	old := Ints(n, "pads", make([]int64, 2*(rank-2)))
	if len(old) != 2*(rank-2) {
		return
	}
	sum := make([]int64, len(old))
	for i := range rank - 2 {
		sum[i], sum[i+rank-2] = old[i]+pads[2+i], old[i+rank-2]+pads[rank+2+i]
	}
	Drop(n, "pads")
	n.Attribute = append(n.Attribute, IntsAttr("pads", sum...))
	g.Bypass(p, p.Input[0])
}

// last returns item i of a list, "" where it is shorter.
func last(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// linear turns MatMul with a constant matrix and a bias added into Gemm, where
// the input is known to be a matrix.
func (g *Graph) linear() {
	shapes := g.Shapes()
	for _, n := range slices.Clone(g.Nodes()) {
		if !Is(n, "MatMul") || len(shapes[n.Input[0]].Dims) != 2 {
			continue
		}
		_, dims, ok := g.Floats(n.Input[1])
		add := g.Sole(n.Output[0])
		if !ok || len(dims) != 2 || !Is(add, "Add") {
			continue
		}
		bias := add.Input[1]
		if bias == n.Output[0] {
			bias = add.Input[0]
		}
		if b, bdims, ok := g.Floats(bias); !ok || len(b) != int(dims[1]) || len(bdims) != 1 {
			continue
		}
		g.Remove(n, add)
		g.Add("Gemm", []string{n.Input[0], n.Input[1], bias}, []string{add.Output[0]})
	}
}
