package graph

import (
	"fmt"
	"slices"
)

// later holds operators and attributes that opset 13 does not have.
var later = map[string]int64{
	"Trilu": 14, "Bernoulli": 15, "CastLike": 15, "Optional": 15, "OptionalGetElement": 15, "OptionalHasElement": 15,
	"GridSample": 16, "RoiAlign": 16, "LayerNormalization": 17, "SequenceMap": 17, "DFT": 17, "STFT": 17,
	"BlackmanWindow": 17, "HammingWindow": 17, "HannWindow": 17, "MelWeightMatrix": 17,
}

// lower brings the graph from an opset to 13. Where it uses what opset 13 does
// not have, the opset stays and a note says so.
func (g *Graph) lower(opset int64) (notes []string, err error) {
	if opset < TargetOpset {
		if err := g.raise(); err != nil {
			return nil, err
		}
		g.Import("", TargetOpset)
		return nil, nil
	}
	for _, n := range slices.Clone(g.Nodes()) {
		if !standard(n) {
			continue
		}
		if why := g.lowerNode(n, opset); why != "" && len(notes) < 5 {
			notes = append(notes, why)
		}
	}
	for _, n := range g.inner() {
		if why := g.lowerInner(n, opset); why != "" && len(notes) < 5 {
			notes = append(notes, why)
		}
	}
	if len(notes) == 0 {
		g.Import("", TargetOpset)
	}
	return notes, nil
}

// lowerInner is lowerNode for a node of a subgraph, to which none are added.
func (g *Graph) lowerInner(n *Node, opset int64) string {
	if Is(n, "HardSwish") {
		return fmt.Sprintf("%s in a subgraph needs opset 14: the file keeps opset %d", Describe(n), opset)
	}
	if !standard(n) {
		return ""
	}
	return g.lowerNode(n, opset)
}

// lowerNode rewrites one node for opset 13, or says why it cannot.
func (g *Graph) lowerNode(n *Node, opset int64) string {
	op := n.GetOpType()
	if since := later[op]; since > 0 && opset >= since {
		return fmt.Sprintf("%s needs opset %d: the file keeps opset %d", Describe(n), since, opset)
	}
	switch op {
	case "HardSwish":
		g.splitHardSwish(n)
	case "BatchNormalization":
		return g.dropDefault(n, opset, "training_mode", 0)
	case "Reshape":
		return g.dropDefault(n, opset, "allowzero", 0)
	case "Shape":
		return g.dropDefault(n, opset, "start", 0) + g.dropDefault(n, opset, "end", -1<<62)
	case "ScatterND", "ScatterElements":
		if Text(n, "reduction", "none") != "none" {
			return fmt.Sprintf("%s: reduction needs opset 16: the file keeps opset %d", Describe(n), opset)
		}
		Drop(n, "reduction")
	}
	return ""
}

// dropDefault removes a later attribute that has its default.
func (g *Graph) dropDefault(n *Node, opset int64, name string, def int64) string {
	if Int(n, name, def) != def {
		return fmt.Sprintf("%s: %s needs a later opset than 13: the file keeps opset %d", Describe(n), name, opset)
	}
	Drop(n, name)
	return ""
}

// splitHardSwish writes x*HardSigmoid(x), which is its definition.
func (g *Graph) splitHardSwish(n *Node) {
	x, out := n.Input[0], n.Output[0]
	gate := g.Fresh(out + "_gate")
	g.Remove(n)
	g.Add("HardSigmoid", []string{x}, []string{gate}, FloatAttr("alpha", 1.0/6), FloatAttr("beta", 0.5))
	g.Add("Mul", []string{x, gate}, []string{out})
}

// raise brings operators of opset 11 and 12 to their form in 13, those of
// subgraphs too.
func (g *Graph) raise() error {
	shapes := g.Shapes()
	for _, n := range slices.Concat(g.Nodes(), g.inner()) {
		if !standard(n) {
			continue
		}
		switch n.GetOpType() {
		case "Squeeze", "Unsqueeze", "ReduceSum":
			g.attributeToInput(n, "axes")
		case "Split":
			g.attributeToInput(n, "split")
		case "Softmax", "LogSoftmax", "Hardmax":
			if err := raiseSoftmax(n, shapes); err != nil {
				return err
			}
		}
	}
	return nil
}

// attributeToInput moves a list of integers from an attribute to input 1.
func (g *Graph) attributeToInput(n *Node, name string) {
	a := Attribute(n, name)
	if a == nil || len(n.Input) != 1 {
		return
	}
	n.Input = append(n.Input, g.NewInts(n.Output[0]+"_"+name, a.GetInts()...))
	Drop(n, name)
	g.Touch()
}

// raiseSoftmax states the axis. Before 13 all axes from it on counted as one.
func raiseSoftmax(n *Node, shapes Shapes) error {
	axis := Int(n, "axis", 1)
	rank := int64(len(shapes[n.Input[0]].Dims))
	if !shapes[n.Input[0]].Known {
		rank = -1
	}
	switch {
	case axis == -1 || axis == rank-1:
	case rank < 0 && axis == 1 && Attribute(n, "axis") == nil:
	default:
		return fmt.Errorf("raise to opset 13: %s: %w: got axis %d of %d dimensions, want the last; export with "+
			"opset_version=13",
			Describe(n), ErrOpset, axis, rank)
	}
	Drop(n, "axis")
	n.Attribute = append(n.Attribute, IntAttr("axis", -1))
	return nil
}
