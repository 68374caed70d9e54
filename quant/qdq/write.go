package qdq

import (
	"fmt"
	"math"
	"slices"

	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// Result is a written graph with what was decided.
type Result struct {
	Graph *graph.Graph
	// Values holds the parameters of each quantised value by name.
	Values map[string]Params
	// Layers holds the scales of the weights of each layer by node name.
	Layers map[string][]float32
}

// writer carries out one plan.
type writer struct {
	*Plan
	g      *graph.Graph
	params map[string]Params // of roots
	result Result
	done   map[string]string // float weights to their quantised form
}

// Write quantises the graph of the plan, which must not be used afterwards,
// with a range for each value that [Plan.Tensors] names.
func (p *Plan) Write(ranges map[string]calib.Range) (*Result, error) {
	w := &writer{Plan: p, g: p.Graph, params: map[string]Params{}, done: map[string]string{},
		result: Result{p.Graph, map[string]Params{}, map[string][]float32{}}}
	names := unique(p.values())
	if err := w.choose(names, ranges); err != nil {
		return nil, err
	}
	for _, n := range slices.Clone(w.g.Nodes()) {
		if p.quantised[n] == weighted {
			if err := w.layer(n); err != nil {
				return nil, fmt.Errorf("quantise %s: %w", graph.Describe(n), err)
			}
		}
	}
	for _, name := range names {
		if err := w.value(name); err != nil {
			return nil, fmt.Errorf("quantise value %q: %w", name, err)
		}
	}
	if p.Profile.Placement == Everywhere {
		w.guard()
	}
	return &w.result, w.g.Sort()
}

// unique drops repeated names.
func unique(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// choose computes the parameters of each root from the ranges of all values
// that share them.
func (w *writer) choose(names []string, ranges map[string]calib.Range) error {
	joint := map[string]calib.Range{}
	for _, name := range names {
		r, ok := ranges[name]
		if v, _, constant := w.g.Floats(name); constant {
			r, ok = rangeOf(v), true
		}
		if !ok {
			return fmt.Errorf("quantise value %q: got no range, want one measured", name)
		}
		root := w.root(name)
		if w.Profile.Placement == Everywhere && root != name {
			continue // moved values have the range of their source
		}
		old := joint[root]
		joint[root] = calib.Range{Lo: math.Min(old.Lo, r.Lo), Hi: math.Max(old.Hi, r.Hi)}
	}
	for root, r := range joint {
		if given, ok := w.Values[root]; ok && w.takes(given) {
			w.params[root] = given
			continue
		}
		p, err := Choose(r, w.Profile.Activation, w.Profile.Symmetric)
		if err != nil {
			return fmt.Errorf("quantise value %q: %w", root, err)
		}
		if len(w.Values) == 0 { // training did not choose
			p.Scale = coarse(p.Scale, w.Profile.ScaleBits)
		}
		w.params[root] = p
	}
	for _, name := range names {
		w.result.Values[name] = w.params[w.root(name)]
	}
	return nil
}

// takes says whether given parameters suit the profile. Where values share
// them they are computed from the joint range.
func (w *writer) takes(p Params) bool {
	return p.Type == w.Profile.Activation && (!w.Profile.Symmetric || p.Zero == 0) && w.Profile.Placement == Everywhere
}

// rangeOf returns the extremes of values.
func rangeOf(v []float32) calib.Range {
	var r calib.Range
	for _, x := range v {
		r.Lo, r.Hi = math.Min(r.Lo, float64(x)), math.Max(r.Hi, float64(x))
	}
	return r
}

// value puts Q and DQ around one value: one Q where it is computed, and a DQ
// for each reader, which old runtimes need to fuse, or a common one where
// TensorRT shares it.
func (w *writer) value(name string) error {
	p := w.result.Values[name]
	readers := w.readers(name)
	if v, dims, ok := w.g.Floats(name); ok {
		w.constant(name, p, v, dims, readers)
		return nil
	}
	raw := name
	kept := w.g.Producer(name) != nil && w.g.Kept(name) && w.computed(name)
	if kept {
		raw = w.g.Fresh(name + "_raw")
		for i, out := range w.g.Producer(name).Output {
			if out == name {
				w.g.Producer(name).Output[i] = raw
			}
		}
		w.g.Touch()
	}
	scale, zero := w.constants(name, p)
	q := w.g.Fresh(name + "_q")
	w.g.Add("QuantizeLinear", []string{raw, scale, zero}, []string{q})
	w.dequantize(name, []string{q, scale, zero}, readers)
	if kept {
		w.g.Add("DequantizeLinear", []string{q, scale, zero}, []string{name})
	}
	return nil
}

// computed says whether a quantised node computes the value, so that its
// float form is gone once the node is fused.
func (w *writer) computed(name string) bool {
	prev := w.g.Producer(name)
	return w.Profile.Placement == Everywhere && prev != nil && w.quantised[prev] != 0
}

// readers returns the nodes that read the dequantised value: the quantised
// ones, and all others where there is no float form.
func (w *writer) readers(name string) []*graph.Node {
	all := w.computed(name)
	return slices.DeleteFunc(slices.Clone(w.g.Consumers(name)), func(n *graph.Node) bool {
		return !all && (w.quantised[n] == 0 || !slices.Contains(w.operands(n), name))
	})
}

// operands lists the inputs of a quantised node that it reads dequantised.
func (w *writer) operands(n *graph.Node) []string {
	if w.quantised[n] == computes {
		return w.reads(n)
	}
	return n.Input[:1]
}

// constants defines scale and zero point of a value.
func (w *writer) constants(name string, p Params) (scale, zero string) {
	scale, zero = w.g.NewFloats(name+"_scale", nil, []float32{p.Scale}), w.g.Fresh(name+"_zero")
	w.g.SetRaw(zero, p.Type, nil, []byte{byte(p.Zero)})
	return scale, zero
}

// dequantize gives readers their DQ of the inputs q, scale and zero.
func (w *writer) dequantize(name string, inputs []string, readers []*graph.Node) {
	shared := ""
	for _, n := range readers {
		if shared == "" || w.Profile.Placement == Everywhere {
			shared = w.g.Fresh(name + "_dq")
			w.g.Add("DequantizeLinear", slices.Clone(inputs), []string{shared})
		}
		for i, in := range n.Input {
			if in == name {
				n.Input[i] = shared
			}
		}
	}
	w.g.Touch()
}

// constant stores a constant operand, such as the addend of an Add, as
// integers.
func (w *writer) constant(name string, p Params, v []float32, dims []int64, readers []*graph.Node) {
	scale, zero := w.constants(name, p)
	raw := make([]byte, len(v))
	for i, x := range v {
		raw[i] = byte(p.Quantize(x))
	}
	q := w.g.Fresh(name + "_q")
	w.g.SetRaw(q, p.Type, dims, raw)
	w.dequantize(name, []string{q, scale, zero}, readers)
}

// layer quantises weights and bias of one node.
func (w *writer) layer(n *graph.Node) error {
	values, dims, ok := w.g.Floats(n.Input[1])
	if !ok {
		return fmt.Errorf("got weights %q that cannot be read", n.Input[1])
	}
	x := w.params[w.root(n.Input[0])]
	bias, err := w.bias(n, int(graph.OutputChannels(n, dims)))
	if err != nil {
		return err
	}
	scales := w.scales(n, values, dims)
	if !w.Profile.FloatBias {
		fitBias(scales, bias, x.Scale)
	}
	ints := w.round(n, values, dims, scales, bias != nil)
	bias = lower(w.correct(n, values, dims, scales, bias, ints), w.Shift[n.GetName()])
	w.result.Layers[n.GetName()] = scales
	w.weights(n, dims, scales, ints)
	switch {
	case bias == nil:
	case w.Profile.FloatBias:
		if w.Profile.ScaleBits > 0 {
			snap(bias, scales, x.Scale)
		}
		n.Input[2] = w.g.NewFloats(n.Output[0]+"_bias", []int64{int64(len(bias))}, bias)
	default:
		w.intBias(n, bias, scales, x.Scale)
	}
	w.g.Touch()
	return nil
}

// scales returns the scale of each output channel of a layer: what training
// chose where the profile takes it.
func (w *writer) scales(n *graph.Node, values []float32, dims []int64) []float32 {
	scales := weightScales(n, values, dims, w.Profile.WeightMax)
	if given := w.Weights[n.Input[1]]; w.Profile.WeightMax == 127 && len(given) == len(scales) {
		return slices.Clone(given)
	} else if w.Profile.WeightMax == 127 && len(given) == 1 {
		return slices.Repeat(given, len(scales))
	}
	for c, s := range scales {
		scales[c] = coarse(s, w.Profile.ScaleBits)
	}
	return scales
}

// snap rounds a bias to whole multiples of x*scales[c], which the sums are that
// it is added to.
func snap(bias, scales []float32, x float32) {
	for c, b := range bias {
		grid := float64(x) * float64(scales[c])
		bias[c] = float32(math.RoundToEven(float64(b)/grid) * grid)
	}
}

// bias returns a copy of the bias, one value a channel, nil without one.
func (w *writer) bias(n *graph.Node, channels int) ([]float32, error) {
	if len(n.Input) < 3 || n.Input[2] == "" {
		return nil, nil
	}
	b, _, ok := w.g.Floats(n.Input[2])
	if !ok || len(b) != channels && len(b) != 1 {
		return nil, fmt.Errorf("got a bias of %d values, want %d", len(b), channels)
	}
	if len(b) == 1 {
		b = slices.Repeat(b, channels)
	}
	return b, nil
}

// perChannel says whether the weights of a node have a scale for each output
// channel. A transposed convolution has one for all: TensorRT's support of the
// other is fragile.
func perChannel(n *graph.Node) bool { return !graph.Is(n, "ConvTranspose") }

// weightScales returns max|w|/limit of each output channel.
func weightScales(n *graph.Node, values []float32, dims []int64, limit int32) []float32 {
	scales := make([]float32, graph.OutputChannels(n, dims))
	var top float32
	for i, v := range values {
		c := graph.ChannelOf(n, dims, i)
		scales[c] = max(scales[c], float32(math.Abs(float64(v))))
		top = max(top, scales[c])
	}
	for c := range scales {
		if !perChannel(n) {
			scales[c] = top
		}
		if scales[c] /= float32(limit); scales[c] < smallest {
			scales[c] = 1
		}
	}
	return scales
}

// fitBias raises scales until the bias fits 32 bits with room for the sums.
func fitBias(scales, bias []float32, x float32) {
	const room = 1 << 30
	for c, b := range bias {
		if least := float64(b) / (room * float64(x)); math.Abs(least) > float64(scales[c]) {
			scales[c] = float32(math.Abs(least))
		}
	}
}

// axis returns the axis of the output channels in the weights.
func axis(n *graph.Node) int64 {
	if graph.Is(n, "Gemm") && graph.Int(n, "transB", 0) == 0 || graph.Is(n, "MatMul") {
		return 1
	}
	return 0
}

// weights replaces input 1 of a node by its dequantised form. Nodes that read
// the same weights share it where the integers are the same.
func (w *writer) weights(n *graph.Node, dims []int64, scales []float32, ints []int32) {
	name := n.Input[1]
	key := fmt.Sprint(name, "/", axis(n), "/", scales)
	if w.Moments[n.GetName()] != nil {
		key = n.GetName()
	}
	if dq, ok := w.done[key]; ok && w.Profile.Placement != Everywhere {
		n.Input[1] = dq
		return
	}
	sdims := []int64{int64(len(scales))}
	if !perChannel(n) {
		scales, sdims = scales[:1], nil
	}
	scale, zero := w.g.NewFloats(name+"_scale", sdims, scales), w.g.Fresh(name+"_zero")
	w.g.SetRaw(zero, onnx.Int8, sdims, make([]byte, len(scales)))
	at := graph.IntAttr("axis", axis(n))
	q := w.g.Fresh(name + "_q")
	if w.Profile.FloatWeights {
		w.g.Add("QuantizeLinear", []string{w.floatWeights(n, dims, scales, ints), scale, zero}, []string{q}, at)
	} else {
		raw := make([]byte, len(ints))
		for i, v := range ints {
			raw[i] = byte(int8(v))
		}
		w.g.SetRaw(q, onnx.Int8, dims, raw)
	}
	dq := w.g.Fresh(name + "_dq")
	w.g.Add("DequantizeLinear", []string{q, scale, zero}, []string{dq}, at)
	n.Input[1], w.done[key] = dq, dq
}

// floatWeights returns the name of float weights that round to the integers:
// those of the graph where that is the nearest, else new ones.
func (w *writer) floatWeights(n *graph.Node, dims []int64, scales []float32, ints []int32) string {
	if w.Moments[n.GetName()] == nil {
		return n.Input[1]
	}
	values := make([]float32, len(ints))
	for i, v := range ints {
		values[i] = float32(v) * scaleOf(n, dims, scales, i)
	}
	return w.g.NewFloats(n.Input[1]+"_rounded", dims, values)
}

// scaleOf returns the scale of weight i.
func scaleOf(n *graph.Node, dims []int64, scales []float32, i int) float32 {
	if len(scales) == 1 {
		return scales[0]
	}
	return scales[graph.ChannelOf(n, dims, i)]
}

// round returns the integers of the weights. biased says that the mean of their
// error will be taken off the bias.
func (w *writer) round(n *graph.Node, values []float32, dims []int64, scales []float32, biased bool) []int32 {
	if m := w.Moments[n.GetName()]; m != nil {
		return m.Round(values, scales, w.Profile.WeightMax, biased)
	}
	ints := make([]int32, len(values))
	for i, v := range values {
		ints[i] = roundWeight(v, scaleOf(n, dims, scales, i), w.Profile.WeightMax)
	}
	return ints
}

// roundWeight returns the integer of a weight, within ±limit.
func roundWeight(v, scale float32, limit int32) int32 {
	q := math.RoundToEven(float64(v / scale))
	return int32(math.Max(-float64(limit), math.Min(float64(limit), q)))
}

// intBias replaces input 2 of a node by int32 numbers of scale x*scales[c],
// which is the scale of the sums they are added to.
func (w *writer) intBias(n *graph.Node, bias, scales []float32, x float32) {
	name := n.Input[2]
	s := make([]float32, len(bias))
	raw := make([]byte, 0, 4*len(bias))
	for c, b := range bias {
		s[c] = x * scales[c]
		q := math.RoundToEven(float64(b) / float64(s[c]))
		q = math.Max(math.MinInt32, math.Min(math.MaxInt32, q))
		raw = append(raw, byte(int32(q)), byte(int32(q)>>8), byte(int32(q)>>16), byte(int32(q)>>24))
	}
	dims := []int64{int64(len(bias))}
	scale, zero, q := w.g.NewFloats(name+"_scale", dims, s), w.g.Fresh(name+"_zero"), w.g.Fresh(name+"_q")
	w.g.SetRaw(q, onnx.Int32, dims, raw)
	w.g.SetRaw(zero, onnx.Int32, dims, make([]byte, 4*len(bias)))
	dq := w.g.Fresh(name + "_dq")
	w.g.Add("DequantizeLinear", []string{q, scale, zero}, []string{dq}, graph.IntAttr("axis", 0))
	n.Input[2] = dq
}
