package graph

import (
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Node is an operator of a graph. Its name, inputs and attributes may be
// changed; call [Graph.Touch] after changing inputs or outputs.
type Node = onnxpb.NodeProto

// Graph is a graph under edit. It is not safe for concurrent use.
type Graph struct {
	pb    *onnxpb.ModelProto
	index *index          // nil after a change
	taken map[string]bool // names that are in use or were
	next  map[string]int  // last number that Fresh gave a prefix
}

// index finds things by name. Where a value is read by a subgraph it is pinned.
type index struct {
	producers map[string]*Node
	consumers map[string][]*Node
	constants map[string]*onnxpb.TensorProto
	pinned    map[string]bool
}

// New copies a model for editing.
func New(m *onnx.Model) *Graph { return newGraph(m.CloneProto()) }

// newGraph takes over a message.
func newGraph(pb *onnxpb.ModelProto) *Graph {
	g := &Graph{pb: pb, taken: map[string]bool{}, next: map[string]int{}}
	for _, n := range slices.Concat(g.Nodes(), g.inner()) {
		g.taken[n.GetName()] = true
		for _, name := range slices.Concat(n.Input, n.Output) {
			g.taken[name] = true
		}
	}
	for _, t := range pb.Graph.Initializer {
		g.taken[t.GetName()] = true
	}
	for _, v := range slices.Concat(pb.Graph.Input, pb.Graph.Output) {
		g.taken[v.GetName()] = true
	}
	return g
}

// Clone returns an independent copy.
func (g *Graph) Clone() *Graph {
	return newGraph(proto.Clone(g.pb).(*onnxpb.ModelProto))
}

// Model drops what no output needs, sorts the nodes and returns the checked
// model. The graph must not be used afterwards; Clone it before to go on.
func (g *Graph) Model() (*onnx.Model, error) {
	g.Prune()
	if err := g.Sort(); err != nil {
		return nil, err
	}
	return onnx.FromProto(g.pb)
}

// Touch forgets what was indexed, after nodes were changed from outside.
func (g *Graph) Touch() { g.index = nil }

// at returns the index, building it if something changed.
func (g *Graph) at() *index {
	if g.index != nil {
		return g.index
	}
	x := &index{map[string]*Node{}, map[string][]*Node{}, map[string]*onnxpb.TensorProto{}, map[string]bool{}}
	for _, t := range g.pb.Graph.Initializer {
		x.constants[t.GetName()] = t
	}
	for _, n := range g.pb.Graph.Node {
		x.add(n)
	}
	g.index = x
	return x
}

// add notes what a node defines and reads.
func (x *index) add(n *Node) {
	for _, out := range n.Output {
		x.producers[out] = n
	}
	for _, in := range n.Input {
		if list := x.consumers[in]; in != "" && (len(list) == 0 || list[len(list)-1] != n) {
			x.consumers[in] = append(list, n)
		}
	}
	for _, sub := range subgraphs(n) {
		x.pin(sub)
	}
}

// remove forgets a node. What its subgraphs pinned stays pinned.
func (x *index) remove(n *Node) {
	for _, out := range n.Output {
		if x.producers[out] == n {
			delete(x.producers, out)
		}
	}
	for _, in := range n.Input {
		x.consumers[in] = slices.DeleteFunc(slices.Clone(x.consumers[in]), func(c *Node) bool { return c == n })
	}
}

// pin marks every name that a subgraph reads.
func (x *index) pin(sub *onnxpb.GraphProto) {
	if sub == nil {
		return
	}
	for _, n := range sub.Node {
		for _, in := range n.Input {
			x.pinned[in] = true
		}
		for _, g := range subgraphs(n) {
			x.pin(g)
		}
	}
	for _, out := range sub.Output {
		x.pinned[out.GetName()] = true
	}
}

// Nodes returns the nodes in order. The slice is the graph's own: do not
// change it, and take it anew after adding or removing.
func (g *Graph) Nodes() []*Node { return g.pb.Graph.Node }

// inner returns the nodes of subgraphs, to their full depth.
func (g *Graph) inner() []*Node {
	var out []*Node
	for _, n := range g.Nodes() {
		out = appendInner(out, n)
	}
	return out
}

// appendInner appends the nodes inside a node.
func appendInner(list []*Node, n *Node) []*Node {
	for _, sub := range subgraphs(n) {
		for _, in := range sub.Node {
			list = appendInner(append(list, in), in)
		}
	}
	return list
}

// subgraphs returns the graphs among the attributes of a node: the branches of
// If, the body of Loop.
func subgraphs(n *Node) []*onnxpb.GraphProto {
	var out []*onnxpb.GraphProto
	for _, a := range n.Attribute {
		if a.G != nil {
			out = append(out, a.G)
		}
		out = append(out, a.Graphs...)
	}
	return out
}

// Producer returns the node that computes a value, nil if none does.
func (g *Graph) Producer(name string) *Node { return g.at().producers[name] }

// Consumers returns the nodes that read a value, each once, in order.
func (g *Graph) Consumers(name string) []*Node { return g.at().consumers[name] }

// Inputs returns the inputs that have to be fed.
func (g *Graph) Inputs() []*onnxpb.ValueInfoProto {
	x := g.at()
	return slices.DeleteFunc(slices.Clone(g.pb.Graph.Input), func(v *onnxpb.ValueInfoProto) bool {
		return x.constants[v.GetName()] != nil
	})
}

// Outputs returns the declared outputs.
func (g *Graph) Outputs() []*onnxpb.ValueInfoProto { return g.pb.Graph.Output }

// IsOutput says whether a value is an output of the graph.
func (g *Graph) IsOutput(name string) bool {
	return slices.ContainsFunc(g.pb.Graph.Output, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == name })
}

// Kept says whether a value must keep its name: an output, or one that a
// subgraph reads.
func (g *Graph) Kept(name string) bool { return g.IsOutput(name) || g.at().pinned[name] }

// Sole returns the only reader of a value that nothing else needs, nil if
// there are several or it is an output.
func (g *Graph) Sole(name string) *Node {
	if list := g.Consumers(name); len(list) == 1 && !g.Kept(name) {
		return list[0]
	}
	return nil
}

// Add appends a node and returns it. Its place is mended by Sort.
func (g *Graph) Add(op string, inputs, outputs []string, attributes ...*onnxpb.AttributeProto) *Node {
	n := &Node{OpType: &op, Input: inputs, Output: outputs, Attribute: attributes}
	name := g.Fresh(outputs[0] + "_" + op)
	n.Name = &name
	g.pb.Graph.Node = append(g.pb.Graph.Node, n)
	if g.index != nil {
		g.index.add(n)
	}
	return n
}

// Remove takes out nodes.
func (g *Graph) Remove(nodes ...*Node) {
	drop := make(map[*Node]bool, len(nodes))
	for _, n := range nodes {
		drop[n] = true
	}
	g.pb.Graph.Node = slices.DeleteFunc(g.pb.Graph.Node, func(n *Node) bool { return drop[n] })
	if g.index == nil {
		return
	}
	for _, n := range nodes {
		g.index.remove(n)
	}
}

// Rewire makes every node that reads old read new instead.
func (g *Graph) Rewire(old, new string) {
	x := g.at()
	for _, n := range x.consumers[old] {
		replace(n.Input, old, new)
		if !slices.Contains(x.consumers[new], n) {
			x.consumers[new] = append(x.consumers[new], n)
		}
	}
	delete(x.consumers, old)
}

// Bypass removes a node by making its output another name for the value in.
// It reports whether it could: not if both are needed under their names.
func (g *Graph) Bypass(n *Node, in string) bool {
	out := n.Output[0]
	if !g.Kept(out) {
		g.Rewire(out, in)
		g.Remove(n)
		return true
	}
	p := g.Producer(in)
	if p == nil || g.Kept(in) || p == n {
		return false
	}
	g.Rewire(in, out)
	g.Remove(n)
	replace(p.Output, in, out)
	g.Touch()
	return true
}

// replace exchanges a name in a list.
func replace(list []string, old, new string) {
	for i, s := range list {
		if s == old {
			list[i] = new
		}
	}
}

// Fresh returns a name that begins with prefix and was never used.
func (g *Graph) Fresh(prefix string) string {
	name := prefix
	for g.taken[name] || name == "" {
		g.next[prefix]++
		name = prefix + "_" + strconv.Itoa(g.next[prefix])
	}
	g.taken[name] = true
	return name
}

// Stamp sets who wrote the file and what it was made from.
func (g *Graph) Stamp(producer string, metadata map[string]string) {
	g.pb.ProducerName, g.pb.ProducerVersion = &producer, nil
	keys := make([]string, 0, len(metadata))
	for k := range metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		v := metadata[k]
		g.pb.MetadataProps = slices.DeleteFunc(g.pb.MetadataProps,
			func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == k })
		g.pb.MetadataProps = append(g.pb.MetadataProps, &onnxpb.StringStringEntryProto{Key: &k, Value: &v})
	}
}

// Describe names a node for messages.
func Describe(n *Node) string {
	if n.GetName() != "" {
		return fmt.Sprintf("%s %q", n.GetOpType(), n.GetName())
	}
	return fmt.Sprintf("%s -> %q", n.GetOpType(), n.Output[0])
}

// Expose makes a float32 value an output of the graph, unless it is one.
func (g *Graph) Expose(name string) {
	if g.IsOutput(name) {
		return
	}
	elem := int32(onnx.Float)
	g.pb.Graph.Output = append(g.pb.Graph.Output, &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: &elem}},
	}})
}

// Tap makes a float32 value visible as an output and returns the name to ask
// for: its own, or that of a copy where the value is an input.
func (g *Graph) Tap(name string) string {
	out := name
	if g.Producer(name) == nil {
		out = g.Fresh(name + "_tap")
		g.Add("Identity", []string{name}, []string{out})
	}
	g.Expose(out)
	return out
}

// ForgetValues drops the declarations of intermediate values, after their
// types were changed.
func (g *Graph) ForgetValues() { g.pb.Graph.ValueInfo = nil }

// RenameValues gives values that nodes compute new names and returns, for
// those that changed, the new name by the old. Inputs, outputs, initializers
// and what subgraphs read keep theirs.
func (g *Graph) RenameValues(rename func(string) string) map[string]string {
	names := map[string]string{}
	for _, n := range g.Nodes() {
		for i, old := range n.Output {
			if want := rename(old); want != old && !g.Kept(old) {
				names[old] = g.Fresh(want)
				n.Output[i] = names[old]
			}
		}
	}
	for _, n := range g.Nodes() {
		for i, in := range n.Input {
			if name, ok := names[in]; ok {
				n.Input[i] = name
			}
		}
	}
	for _, v := range g.pb.Graph.ValueInfo {
		if name, ok := names[v.GetName()]; ok {
			v.Name = &name
		}
	}
	g.Touch()
	return names
}
