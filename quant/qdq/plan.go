package qdq

import (
	"fmt"
	"math"
	"slices"

	"emberwing/quant/graph"
	"emberwing/quant/rounding"
)

// Plan says which nodes of a graph compute in integers and which values are
// quantised for them. It holds its own copy of the graph, in which activation
// functions that the integers' limits replace are gone.
type Plan struct {
	Graph   *graph.Graph
	Profile Profile
	// Float names the nodes that were asked to stay float.
	Float map[string]bool
	// Means holds channel means of the values that layers read. Where they
	// are known the bias is corrected for the rounding of the weights.
	Means map[string][]float64
	// Shift holds, by node name, what each channel of a layer's output has
	// been measured to be too large; the bias is lowered by it.
	Shift map[string][]float32
	// Moments holds, by node name, what the weights of a layer are multiplied
	// with. Where it is known the weights are rounded so that their errors
	// cancel, and the bias is corrected for what is left of them.
	Moments map[string]*rounding.Moments
	// Values and Weights hold parameters that are used as they are where the
	// profile takes them: of values, and the scales of constants.
	Values  map[string]Params
	Weights map[string][]float32

	alone     string // the only node that is quantised, "" for all
	shapes    graph.Shapes
	quantised map[*graph.Node]role
	share     map[string]string // value to the value whose parameters it takes
}

// role is what a quantised node is.
type role uint8

const (
	weighted role = iota + 1 // constant weights: Conv, Gemm, MatMul
	computes                 // output has parameters of its own
	passes                   // output has the parameters of the input
)

// Make decides for a canonical graph, which it copies. float names nodes that
// stay float.
func Make(g *graph.Graph, p Profile, float []string) (*Plan, error) {
	plan := &Plan{Graph: g.Clone(), Profile: p, Float: map[string]bool{},
		quantised: map[*graph.Node]role{}, share: map[string]string{}}
	for _, name := range float {
		plan.Float[name] = true
	}
	if err := plan.knowsFloat(float); err != nil {
		return nil, err
	}
	plan.decide()
	return plan, nil
}

// decide chooses the nodes.
func (p *Plan) decide() {
	p.shapes = p.Graph.Shapes()
	switch p.Profile.Placement {
	case Everywhere:
		p.absorb()
		p.everywhere()
	case Inputs:
		p.inputs()
	}
}

// Alone plans to quantise one of the candidates of a plan and nothing else.
func Alone(g *graph.Graph, p Profile, node string, candidates []string) *Plan {
	plan := &Plan{Graph: g.Clone(), Profile: p, Float: map[string]bool{}, alone: node,
		quantised: map[*graph.Node]role{}, share: map[string]string{}}
	for _, name := range candidates {
		plan.Float[name] = name != node
	}
	plan.decide()
	return plan
}

// knowsFloat refuses names of no node, which would be misspelt.
func (p *Plan) knowsFloat(float []string) error {
	names := map[string]bool{}
	for _, n := range p.Graph.Nodes() {
		names[n.GetName()] = true
	}
	for _, name := range float {
		if !names[name] {
			return fmt.Errorf("keep nodes in float: got %q, which names no node; inspect the graph for its names", name)
		}
	}
	return nil
}

// Layers names the nodes with weights that are quantised, in order: what
// mixed precision chooses among.
func (p *Plan) Layers() []string {
	var out []string
	for _, n := range p.Graph.Nodes() {
		if p.quantised[n] == weighted {
			out = append(out, n.GetName())
		}
	}
	return out
}

// Candidates names the nodes that compute in integers, in order: what mixed
// precision chooses among. Operators that only move values follow.
func (p *Plan) Candidates() []string {
	var out []string
	for _, n := range p.Graph.Nodes() {
		if r := p.quantised[n]; r == weighted || r == computes {
			out = append(out, n.GetName())
		}
	}
	return out
}

// Tensors names the values whose ranges are needed, sorted.
func (p *Plan) Tensors() []string {
	if p.Profile.Placement == Nowhere {
		return p.activations()
	}
	seen := map[string]bool{}
	for _, name := range p.values() {
		if !p.Graph.IsConstant(name) {
			seen[name] = true
		}
	}
	return sorted(seen)
}

// WeightedInputs names the values that quantised layers with weights read.
func (p *Plan) WeightedInputs() []string {
	seen := map[string]bool{}
	for n, r := range p.quantised {
		if r == weighted {
			seen[n.Input[0]] = true
		}
	}
	return sorted(seen)
}

// sorted returns the keys of a set in order.
func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// activations lists every float value that is computed or fed.
func (p *Plan) activations() []string {
	seen := map[string]bool{}
	for _, n := range p.Graph.Nodes() {
		for _, name := range slices.Concat(n.Input, n.Output) {
			if name != "" && p.shapes.Float(name) && !p.Graph.IsConstant(name) {
				seen[name] = true
			}
		}
	}
	return sorted(seen)
}

// root follows shared parameters to the value that has them.
func (p *Plan) root(name string) string {
	for p.share[name] != "" {
		name = p.share[name]
	}
	return name
}

// unite makes two values share parameters.
func (p *Plan) unite(a, b string) {
	if a, b = p.root(a), p.root(b); a != b {
		p.share[b] = a
	}
}

// absorb removes Relu and Clip after operators whose integer output saturates
// where they would clip.
func (p *Plan) absorb() {
	for _, n := range slices.Clone(p.Graph.Nodes()) {
		if !p.clips(n) || p.Float[n.GetName()] {
			continue
		}
		prev := p.Graph.Producer(n.Input[0])
		if prev == nil || p.Graph.Sole(prev.Output[0]) != n || p.Float[prev.GetName()] || !p.saturates(prev) {
			continue
		}
		out := n.Output[0]
		p.Graph.Remove(n)
		prev.Output[0] = out
		p.Graph.Touch()
	}
}

// saturates says whether a node may end in integers that stand for no more
// than the range of its output.
func (p *Plan) saturates(n *graph.Node) bool {
	return p.isWeighted(n) || graph.Is(n, "Add", "Mul", "AveragePool", "GlobalAveragePool", "Concat")
}

// clips says whether a node only limits its input to a range around zero.
func (p *Plan) clips(n *graph.Node) bool {
	if graph.Is(n, "Relu") {
		return true
	}
	if !graph.Is(n, "Clip") {
		return false
	}
	lo, hi, ok := p.bounds(n)
	return ok && lo <= 0 && hi >= 0
}

// bounds returns the constant limits of a Clip.
func (p *Plan) bounds(n *graph.Node) (lo, hi float32, ok bool) {
	lo, hi = float32(math.Inf(-1)), float32(math.Inf(1))
	for i, limit := range []*float32{&lo, &hi} {
		if i+1 < len(n.Input) && n.Input[i+1] != "" {
			v, ok := p.Graph.Scalar(n.Input[i+1])
			if !ok {
				return 0, 0, false
			}
			*limit = v
		}
	}
	return lo, hi, true
}

// isWeighted says whether a node has constant weights and a form that has an
// integer kernel.
func (p *Plan) isWeighted(n *graph.Node) bool {
	if len(n.Input) < 2 || !p.shapes.Float(n.Input[0]) {
		return false
	}
	_, dims, ok := p.Graph.Floats(n.Input[1])
	bias := len(n.Input) < 3 || n.Input[2] == "" || p.Graph.IsConstant(n.Input[2])
	if !ok || !bias || len(dims) < 2 || slices.Contains(dims, 0) {
		return false
	}
	switch n.GetOpType() {
	case "Conv":
		return graph.Is(n, "Conv")
	case "ConvTranspose":
		return p.Profile.Placement == Inputs && graph.Int(n, "group", 1) == 1
	case "Gemm":
		return len(dims) == 2 && graph.Float(n, "beta", 1) == 1 && graph.Float(n, "alpha", 1) == 1 && graph.Int(n,
			"transA", 0) == 0
	case "MatMul":
		return len(dims) == 2
	}
	return false
}

// ends are operators with weights whose result may stay float.
func ends(n *graph.Node) bool { return graph.Is(n, "Gemm", "MatMul") }

// everywhere chooses the nodes that ONNX Runtime has integer kernels for.
func (p *Plan) everywhere() {
	for _, n := range p.Graph.Nodes() {
		if p.Float[n.GetName()] {
			continue
		}
		switch {
		case p.isWeighted(n):
			p.quantised[n] = weighted
		case graph.Is(n, "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu"):
			if (p.follows(n) || p.alone == n.GetName()) && p.allFloat(n) {
				p.quantised[n] = computes
			}
		case p.moves(n) && p.follows(n):
			p.quantised[n] = passes
			for _, out := range n.Output {
				if out != "" {
					p.unite(n.Input[0], out)
				}
			}
		}
	}
}

// follows says whether an input of a node comes from a quantised one.
func (p *Plan) follows(n *graph.Node) bool {
	return slices.ContainsFunc(n.Input, func(in string) bool {
		prev := p.Graph.Producer(in)
		return prev != nil && p.quantised[prev] != 0
	})
}

// allFloat says whether every input is a float value, and none that varies is
// read twice, which old runtimes do not fuse.
func (p *Plan) allFloat(n *graph.Node) bool {
	for i, in := range n.Input {
		if !p.shapes.Float(in) || slices.Contains(n.Input[:i], in) {
			return false
		}
	}
	return true
}

// moves says whether a node only moves values about.
func (p *Plan) moves(n *graph.Node) bool {
	switch {
	case !p.shapes.Float(n.Output[0]) || len(n.Input) == 0:
		return false
	case graph.Is(n, "Resize"):
		return graph.Text(n, "mode", "nearest") == "nearest"
	case graph.Is(n, "MaxPool"):
		return len(n.Output) == 1
	}
	return graph.Is(n, "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "DepthToSpace",
		"Expand", "Gather")
}

// values lists the values that are quantised: what quantised nodes read, and
// what they compute unless the result may stay float and nobody wants it
// otherwise.
func (p *Plan) values() []string {
	var out []string
	for _, n := range p.Graph.Nodes() {
		r := p.quantised[n]
		switch {
		case r == 0:
			continue
		case r == weighted:
			out = append(out, n.Input[0])
		case r == passes:
			out = append(out, n.Input[0])
		default:
			out = append(out, p.reads(n)...)
		}
		if p.Profile.Placement == Everywhere && !(ends(n) && !p.wanted(n.Output[0])) {
			for _, o := range n.Output {
				if o != "" {
					out = append(out, o)
				}
			}
		}
	}
	return out
}

// wanted says whether a quantised node reads a value.
func (p *Plan) wanted(name string) bool {
	return slices.ContainsFunc(p.Graph.Consumers(name), func(n *graph.Node) bool { return p.quantised[n] != 0 })
}
