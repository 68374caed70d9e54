package qat

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
)

// Stripped is a float graph with the parameters that its pairs had.
type Stripped struct {
	Graph *graph.Graph
	// Values holds the parameters of values by name.
	Values map[string]qdq.Params
	// Weights holds the scales of constants by name: one, or one a channel.
	Weights map[string][]float32
}

// Has says whether a model carries Q/DQ pairs.
func Has(m *onnx.Model) bool {
	for _, n := range m.Graph().Nodes() {
		if n.Op() == "QuantizeLinear" || n.Op() == "DequantizeLinear" {
			return true
		}
	}
	return false
}

// Strip removes the pairs of a canonical graph, which it changes, and folds
// what they stood between. An integer operator between Q and DQ, or one that
// is not of the kind "x, Q, DQ" or "constant, DQ", is an error: such a file is
// an integer model and no training result.
func Strip(g *graph.Graph) (*Stripped, error) {
	s := &Stripped{Graph: g, Values: map[string]qdq.Params{}, Weights: map[string][]float32{}}
	for _, n := range slices.Clone(g.Nodes()) {
		if !graph.Is(n, "DequantizeLinear") {
			continue
		}
		if err := s.pair(n); err != nil {
			return nil, fmt.Errorf("strip pairs: %s: %w", graph.Describe(n), err)
		}
	}
	g.Prune()
	for _, n := range g.Nodes() {
		if graph.Is(n, "QuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger",
			"DynamicQuantizeLinear") {
			return nil, fmt.Errorf("strip pairs: %s computes in integers, want pairs of QuantizeLinear and "+
				"DequantizeLinear; start from the float model",
				graph.Describe(n))
		}
	}
	before := s.weightNames()
	g.Fold()
	s.rename(before)
	return s, g.Sort()
}

// weightNames maps nodes with recorded weights to the constants' names.
func (s *Stripped) weightNames() map[*graph.Node]string {
	out := map[*graph.Node]string{}
	for _, n := range s.Graph.Nodes() {
		if len(n.Input) > 1 && s.Weights[n.Input[1]] != nil {
			out[n] = n.Input[1]
		}
	}
	return out
}

// rename follows weights that folding has copied or scaled: scales of weights
// that were multiplied no longer hold and are forgotten.
func (s *Stripped) rename(before map[*graph.Node]string) {
	for _, n := range s.Graph.Nodes() {
		old, ok := before[n]
		if !ok {
			continue
		}
		values, dims, _ := s.Graph.Floats(n.Input[1])
		scales := s.Weights[old]
		if n.Input[1] != old {
			s.Weights[n.Input[1]] = scales
		}
		for i, v := range values {
			at := 0
			if len(scales) > 1 {
				at = graph.ChannelOf(n, dims, i)
			}
			if at >= len(scales) || math.Abs(float64(v)) > 130*float64(scales[at]) {
				delete(s.Weights, n.Input[1])
				break
			}
		}
	}
}

// pair removes one DQ and what belongs to it.
func (s *Stripped) pair(dq *graph.Node) error {
	in := dq.Input[0]
	if s.Graph.IsConstant(in) {
		return s.constant(dq)
	}
	q := s.Graph.Producer(in)
	if graph.Is(q, "Clip") { // narrow ranges are clipped between Q and DQ
		q = s.Graph.Producer(q.Input[0])
	}
	if graph.Is(q, "Pad") {
		return errors.New("the picture is padded in integers for the CPU: start from the float model, " +
			"or from a file for another target")
	}
	if !graph.Is(q, "QuantizeLinear") {
		return fmt.Errorf("got input %q that no QuantizeLinear computes", in)
	}
	x := q.Input[0]
	scales, zeros, typ, err := s.parameters(dq)
	if err != nil {
		return err
	}
	kept := s.Graph.Kept(dq.Output[0])
	if s.Graph.IsConstant(x) {
		s.Weights[x] = scales
	} else if len(scales) != 1 {
		return fmt.Errorf("got %d scales for value %q, want one", len(scales), x)
	} else {
		s.note(x, qdq.Params{Scale: scales[0], Zero: zeros[0], Type: typ})
	}
	if !s.Graph.Bypass(dq, x) {
		return fmt.Errorf("got a pair between %q and output %q, which are both needed under their names", x, dq.Output[0])
	}
	if p, ok := s.Values[x]; kept && ok { // the value took the output's name
		delete(s.Values, x)
		s.Values[dq.Output[0]] = p
	}
	return nil
}

// note keeps the parameters of a value; of several pairs the widest stands.
func (s *Stripped) note(x string, p qdq.Params) {
	if old, ok := s.Values[x]; !ok || p.Scale > old.Scale {
		s.Values[x] = p
	}
}

// parameters reads scale, zero point and type of a DQ.
func (s *Stripped) parameters(dq *graph.Node) (scales []float32, zeros []int32, typ onnx.ElemType, err error) {
	scales, _, ok := s.Graph.Floats(dq.Input[1])
	if !ok || len(scales) == 0 {
		return nil, nil, 0, fmt.Errorf("got scale %q, want a constant", dq.Input[1])
	}
	for _, v := range scales {
		if !(v > 0) || math.IsInf(float64(v), 0) {
			return nil, nil, 0, fmt.Errorf("got scale %v, want a finite number above 0", v)
		}
	}
	zeros, typ = make([]int32, len(scales)), onnx.Uint8
	if len(dq.Input) < 3 || dq.Input[2] == "" {
		return scales, zeros, typ, nil
	}
	t, ok := s.Graph.Constant(dq.Input[2])
	if !ok {
		return nil, nil, 0, fmt.Errorf("got zero point %q, want a constant", dq.Input[2])
	}
	values, err := t.Int64s()
	if err != nil || len(values) != len(scales) {
		return nil, nil, 0, fmt.Errorf("got %d zero points for %d scales", len(values), len(scales))
	}
	for i, v := range values {
		zeros[i] = int32(v)
	}
	return scales, zeros, t.Type(), nil
}

// constant turns integer weights or bias back into floats.
func (s *Stripped) constant(dq *graph.Node) error {
	t, _ := s.Graph.Constant(dq.Input[0])
	values, err := t.Int64s()
	if err != nil {
		return err
	}
	scales, zeros, _, err := s.parameters(dq)
	if err != nil {
		return err
	}
	channel, err := alongAxis(t.Dims(), graph.Int(dq, "axis", 1), len(scales))
	if err != nil {
		return err
	}
	out := make([]float32, len(values))
	for i, v := range values {
		c := channel(i)
		out[i] = float32(v-int64(zeros[c])) * scales[c]
	}
	name := dq.Output[0]
	s.Graph.Remove(dq)
	s.Graph.SetFloats(name, t.Dims(), out)
	if t.Type() != onnx.Int32 {
		s.Weights[name] = scales
	}
	return nil
}

// alongAxis returns the function from the index of an element to the index of
// its scale.
func alongAxis(dims []int64, axis int64, scales int) (func(int) int, error) {
	if scales == 1 {
		return func(int) int { return 0 }, nil
	}
	if axis < 0 {
		axis += int64(len(dims))
	}
	if axis < 0 || axis >= int64(len(dims)) || dims[axis] != int64(scales) {
		return nil, fmt.Errorf("got %d scales along axis %d of %v, want one for each", scales, axis, dims)
	}
	inner := 1
	for _, d := range dims[axis+1:] {
		inner *= int(d)
	}
	return func(i int) int { return i / inner % scales }, nil
}

// Ranges returns the range of each value that had a pair: what its integers
// stand for, without what an activation function before it never gives.
func (s *Stripped) Ranges() map[string]calib.Range {
	out := map[string]calib.Range{}
	for name, p := range s.Values {
		r := p.Range()
		if p.Zero == 0 && p.Type == onnx.Int8 {
			r = calib.Range{Lo: -127 * float64(p.Scale), Hi: 127 * float64(p.Scale)} // gives the same scale again
		}
		if n := s.Graph.Producer(name); graph.Is(n, "Relu") || graph.Is(n, "Clip") && s.startsAtZero(n) {
			r.Lo = 0
		}
		out[name] = r
	}
	return out
}

// startsAtZero says whether a Clip's lower limit is 0.
func (s *Stripped) startsAtZero(n *graph.Node) bool {
	if len(n.Input) < 2 {
		return false
	}
	lo, ok := s.Graph.Scalar(n.Input[1])
	return ok && lo == 0
}
