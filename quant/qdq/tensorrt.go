package qdq

import (
	"slices"

	"emberwing/quant/graph"
)

// inputs chooses pairs as TensorRT fuses them: the inputs of layers with
// weights; of a residual addition the branch that no convolution has just
// computed, so that convolution, addition and activation become one kernel;
// around average pools; and one scale for all that meets in a concatenation or
// passes a max pool.
func (p *Plan) inputs() {
	for _, n := range p.Graph.Nodes() {
		if p.isWeighted(n) && !p.Float[n.GetName()] {
			p.quantised[n] = weighted
		}
	}
	for _, n := range p.Graph.Nodes() {
		switch {
		case p.Float[n.GetName()]:
		case graph.Is(n, "Add") && p.skip(n) != "":
			p.quantised[n] = computes
		case graph.Is(n, "AveragePool", "GlobalAveragePool") && p.feedsLayer(n.Output[0]):
			p.quantised[n] = computes
		case graph.Is(n, "Concat") && p.feedsLayer(n.Output[0]) && p.allFloat(n):
			p.quantised[n] = computes
		}
	}
	p.shareScales()
}

// feedsLayer says whether a layer with weights reads a value, directly or
// through operators that only move values.
func (p *Plan) feedsLayer(name string) bool {
	return slices.ContainsFunc(p.Graph.Consumers(name), func(n *graph.Node) bool {
		return p.quantised[n] == weighted && n.Input[0] == name ||
			(p.moves(n) || graph.Is(n, "Relu")) && n.Input[0] == name && p.feedsLayer(n.Output[0])
	})
}

// skip returns the input of a residual addition that gets a pair, "" if the
// node is none: the other is the result of a quantised convolution that only
// the addition reads. Where both are, the longer way from the input is the
// main branch.
func (p *Plan) skip(n *graph.Node) string {
	if len(n.Input) != 2 || n.Input[0] == n.Input[1] {
		return ""
	}
	main := [2]bool{p.branch(n.Input[0]), p.branch(n.Input[1])}
	switch {
	case p.Graph.IsConstant(n.Input[0]) || p.Graph.IsConstant(n.Input[1]):
		return ""
	case main[0] && main[1]:
		if p.depth(n.Input[0], 0) >= p.depth(n.Input[1], 0) {
			return n.Input[1]
		}
		return n.Input[0]
	case main[0]:
		return n.Input[1]
	case main[1]:
		return n.Input[0]
	}
	return ""
}

// branch says whether a value is computed by a quantised layer for one reader.
func (p *Plan) branch(name string) bool {
	prev := p.Graph.Producer(name)
	return prev != nil && p.quantised[prev] == weighted && p.Graph.Sole(name) != nil
}

// maxDepth bounds the walk of depth.
const maxDepth = 16

// depth counts the layers with weights on the straight way back from a value.
func (p *Plan) depth(name string, walked int) int {
	prev := p.Graph.Producer(name)
	if prev == nil || walked == maxDepth || len(prev.Input) == 0 || len(p.Graph.Consumers(name)) > 1 && walked > 0 {
		return 0
	}
	d := p.depth(prev.Input[0], walked+1)
	if p.isWeighted(prev) {
		d++
	}
	return d
}

// reads lists the inputs of a node that get a pair.
func (p *Plan) reads(n *graph.Node) []string {
	if p.Profile.Placement == Inputs && graph.Is(n, "Add") {
		return []string{p.skip(n)}
	}
	return n.Input
}

// shareScales unites the values around concatenations and max pools that are
// quantised.
func (p *Plan) shareScales() {
	is := map[string]bool{}
	for _, name := range p.values() {
		is[name] = true
	}
	for _, n := range p.Graph.Nodes() {
		switch {
		case graph.Is(n, "Concat") && p.quantised[n] != 0:
			for _, in := range n.Input {
				p.unite(n.Output[0], in)
			}
		case graph.Is(n, "MaxPool") && is[n.Input[0]] && is[n.Output[0]]:
			p.unite(n.Input[0], n.Output[0])
		}
	}
}
