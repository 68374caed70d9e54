package onnx

import (
	"iter"

	"emberwing/quant/onnx/onnxpb"
)

// Graph is a directed graph of operators over named values. It is a view of
// its model and is not changed.
type Graph struct {
	pb           *onnxpb.GraphProto
	initializers map[string]*onnxpb.TensorProto
	values       map[string]*onnxpb.ValueInfoProto
	producers    map[string]*onnxpb.NodeProto
	consumers    map[string][]*onnxpb.NodeProto
}

// newGraph indexes a graph by name. Where a name is defined twice the first
// stands; Check reports it.
func newGraph(pb *onnxpb.GraphProto) *Graph {
	g := &Graph{
		pb:           pb,
		initializers: make(map[string]*onnxpb.TensorProto, len(pb.Initializer)),
		values:       make(map[string]*onnxpb.ValueInfoProto, len(pb.ValueInfo)+len(pb.Input)+len(pb.Output)),
		producers:    make(map[string]*onnxpb.NodeProto, len(pb.Node)),
		consumers:    make(map[string][]*onnxpb.NodeProto, len(pb.Node)),
	}
	for _, t := range pb.Initializer {
		setFirst(g.initializers, t.GetName(), t)
	}
	for _, list := range [][]*onnxpb.ValueInfoProto{pb.Input, pb.Output, pb.ValueInfo} {
		for _, v := range list {
			setFirst(g.values, v.GetName(), v)
		}
	}
	for _, n := range pb.Node {
		for _, out := range n.Output {
			setFirst(g.producers, out, n)
		}
		for _, in := range n.Input {
			g.consume(in, n)
		}
	}
	return g
}

// consume notes that n reads a value; a node that reads it twice counts once.
func (g *Graph) consume(name string, n *onnxpb.NodeProto) {
	list := g.consumers[name]
	if name == "" || len(list) > 0 && list[len(list)-1] == n {
		return
	}
	g.consumers[name] = append(list, n)
}

// setFirst stores v unless the name is taken or empty.
func setFirst[T any](m map[string]T, name string, v T) {
	if _, taken := m[name]; !taken && name != "" {
		m[name] = v
	}
}

// Name returns the graph's name.
func (g *Graph) Name() string { return g.pb.GetName() }

// Inputs returns what the caller has to feed: the declared inputs without
// those that an initializer gives a value (older files list both).
func (g *Graph) Inputs() []Value {
	var out []Value
	for _, v := range g.pb.Input {
		if _, given := g.initializers[v.GetName()]; !given {
			out = append(out, valueOf(v))
		}
	}
	return out
}

// Outputs returns the declared outputs in order.
func (g *Graph) Outputs() []Value {
	out := make([]Value, len(g.pb.Output))
	for i, v := range g.pb.Output {
		out[i] = valueOf(v)
	}
	return out
}

// Value returns the declaration of a name, and whether there is one. An
// initializer without a declaration is described by its tensor.
func (g *Graph) Value(name string) (Value, bool) {
	if v, ok := g.values[name]; ok {
		return valueOf(v), true
	}
	if t, ok := g.Initializer(name); ok {
		v := Value{Name: name, Type: t.Type(), Shape: Shape{Known: true}}
		for _, d := range t.Dims() {
			v.Shape.Dims = append(v.Shape.Dims, Dim{Size: d})
		}
		return v, true
	}
	return Value{}, false
}

// NumNodes returns the number of nodes, without those of subgraphs.
func (g *Graph) NumNodes() int { return len(g.pb.Node) }

// Nodes yields the nodes in file order, which is a topological order.
func (g *Graph) Nodes() iter.Seq2[int, Node] {
	return func(yield func(int, Node) bool) {
		for i, n := range g.pb.Node {
			if !yield(i, Node{n}) {
				return
			}
		}
	}
}

// Initializers yields the constant tensors of the graph in file order.
func (g *Graph) Initializers() iter.Seq2[int, Tensor] {
	return func(yield func(int, Tensor) bool) {
		for i, t := range g.pb.Initializer {
			if !yield(i, Tensor{t}) {
				return
			}
		}
	}
}

// Initializer returns the constant tensor of that name, and whether there is
// one.
func (g *Graph) Initializer(name string) (Tensor, bool) {
	t, ok := g.initializers[name]
	return Tensor{t}, ok
}

// Producer returns the node that computes a value, and whether there is one:
// graph inputs and initializers have none.
func (g *Graph) Producer(name string) (Node, bool) {
	n, ok := g.producers[name]
	return Node{n}, ok
}

// Consumers returns the nodes of this graph that read a value, in file order;
// readers inside subgraphs are not listed.
func (g *Graph) Consumers(name string) []Node {
	list := g.consumers[name]
	out := make([]Node, len(list))
	for i, n := range list {
		out[i] = Node{n}
	}
	return out
}
