package graph

import (
	"errors"
	"fmt"
	"slices"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// The operator sets that Canonical reads, and what it writes.
const (
	MinOpset    = 11
	MaxOpset    = 17
	TargetOpset = 13
	TargetIR    = 8
)

// ErrOpset means that a model uses an operator set that is not read.
var ErrOpset = errors.New("operator set is not supported")

// Canonical returns a copy of a model in the form that the quantiser works
// on: constants as initializers, no identities or dropout, batch norms and
// constant scales and shifts folded into convolutions, zero padding moved into
// them, opset 13 and IR 8. notes says for people what could not be done, such
// as an operator that opset 13 does not have; the file then keeps its opset.
// A model that is older than opset 11 or newer than 17 is ErrOpset.
func Canonical(m *onnx.Model) (g *Graph, notes []string, err error) {
	opset, ok := m.Opset("")
	if !ok || opset < MinOpset || opset > MaxOpset {
		return nil, nil, fmt.Errorf("read model: %w: got opset %d, want %d to %d; export it again with opset_version=%d",
			ErrOpset, opset, MinOpset, MaxOpset, TargetOpset)
	}
	g = New(m)
	g.FoldConstants()
	g.Prune()
	g.identities()
	if notes, err = g.lower(opset); err != nil {
		return nil, nil, err
	}
	g.Fold()
	g.imports()
	g.name()
	return g, notes, g.Sort()
}

// Fold moves padding, batch norms and constant scales and shifts into the
// convolutions beside them, joins matrix products with their bias, and drops
// what nothing needs any more.
func (g *Graph) Fold() {
	g.foldConvolutions()
	g.linear()
	g.Prune()
}

// name gives every node a name of its own, by which it can be kept in float.
func (g *Graph) name() {
	seen := map[string]bool{}
	for _, n := range g.Nodes() {
		if name := n.GetName(); (name == "" || seen[name]) && len(n.Output) > 0 {
			name = g.Fresh(n.Output[0] + "_" + n.GetOpType())
			n.Name = &name
		}
		seen[n.GetName()] = true
	}
}

// FoldConstants turns Constant nodes into initializers, so that shapes and sizes they give can be read.
func (g *Graph) FoldConstants() {
	var gone []*Node
	for _, n := range g.Nodes() {
		if n.GetOpType() == "Constant" && standard(n) && g.constant(n) {
			gone = append(gone, n)
		}
	}
	g.Remove(gone...)
}

// constant defines the initializer of one Constant node, if it can.
func (g *Graph) constant(n *Node) bool {
	if len(n.Attribute) != 1 {
		return false
	}
	out, a := n.Output[0], n.Attribute[0]
	switch a.GetName() {
	case "value":
		t := a.GetT()
		t.Name = &out
		g.pb.Graph.Initializer = append(g.pb.Graph.Initializer, t)
		g.Touch()
	case "value_float":
		g.SetFloats(out, nil, []float32{a.GetF()})
	case "value_floats":
		g.SetFloats(out, []int64{int64(len(a.GetFloats()))}, a.GetFloats())
	case "value_ints":
		g.SetInts(out, a.GetInts()...)
	case "value_int":
		g.SetInts(out, a.GetI())
		g.at().constants[out].Dims = nil
	default:
		return false
	}
	return true
}

// identities removes nodes that hand on their input.
func (g *Graph) identities() {
	shapes := g.Shapes()
	for changed := true; changed; {
		changed = false
		for _, n := range slices.Clone(g.Nodes()) {
			if g.hands(n, shapes) && g.Bypass(n, n.Input[0]) {
				changed = true
			}
		}
	}
}

// hands says whether a node's first output is its first input.
func (g *Graph) hands(n *Node, shapes Shapes) bool {
	if !standard(n) || len(n.Output) > 1 && g.unused(n.Output[1:]) {
		return false
	}
	switch n.GetOpType() {
	case "Identity":
		return true
	case "Dropout":
		return len(n.Input) < 3 || n.Input[2] == "" || g.isFalse(n.Input[2])
	case "Concat", "Sum", "Max", "Min", "Mean":
		return len(n.Input) == 1
	case "Cast":
		from := shapes[n.Input[0]].Type
		return from != onnx.Undefined && int64(from) == Int(n, "to", 0)
	}
	return false
}

// unused says whether any of the values is read.
func (g *Graph) unused(names []string) bool {
	for _, name := range names {
		if name != "" && (len(g.Consumers(name)) > 0 || g.Kept(name)) {
			return true
		}
	}
	return false
}

// isFalse says whether a value is a constant false.
func (g *Graph) isFalse(name string) bool {
	v, ok := g.Ints(name)
	return ok && len(v) == 1 && v[0] == 0
}

// imports drops operator sets that no node uses, which old runtimes refuse.
func (g *Graph) imports() {
	used := map[string]bool{"": true}
	for _, n := range slices.Concat(g.Nodes(), g.inner()) {
		used[n.GetDomain()] = true
	}
	var kept []*onnxpb.OperatorSetIdProto
	for _, o := range g.pb.OpsetImport {
		if used[o.GetDomain()] || o.GetDomain() == "ai.onnx" || len(g.pb.Functions) > 0 {
			kept = append(kept, o)
		}
	}
	g.pb.OpsetImport = kept
	ir := int64(TargetIR)
	g.pb.IrVersion = &ir
}

// Opset returns the version of the standard operator set.
func (g *Graph) Opset() int64 {
	for _, o := range g.pb.OpsetImport {
		if o.GetDomain() == "" || o.GetDomain() == "ai.onnx" {
			return o.GetVersion()
		}
	}
	return 0
}

// Import declares an operator set.
func (g *Graph) Import(domain string, version int64) {
	for _, o := range g.pb.OpsetImport {
		if o.GetDomain() == domain || domain == "" && o.GetDomain() == "ai.onnx" {
			o.Version = &version
			return
		}
	}
	g.pb.OpsetImport = append(g.pb.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: &domain, Version: &version})
}

// standard says whether a node is of the standard operator set.
func standard(n *Node) bool { return n.GetDomain() == "" || n.GetDomain() == "ai.onnx" }

// Is says whether a node is one of the standard operators named.
func Is(n *Node, ops ...string) bool {
	if n == nil || !standard(n) {
		return false
	}
	for _, op := range ops {
		if n.GetOpType() == op {
			return true
		}
	}
	return false
}
