package graph

import (
	"fmt"
	"slices"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Sort puts the nodes into topological order and keeps the present order
// where it can. A circle is [onnx.ErrCycle].
func (g *Graph) Sort() error {
	x := g.at()
	state := make(map[*Node]uint8, len(g.Nodes())) // 1 = entered, 2 = placed
	sorted := make([]*Node, 0, len(g.Nodes()))
	type frame struct {
		node *Node
		next int
	}
	for _, root := range g.Nodes() {
		stack := []frame{{root, 0}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			reads := needs(top.node)
			if state[top.node] == 2 || top.next == len(reads) {
				if state[top.node] != 2 {
					state[top.node] = 2
					sorted = append(sorted, top.node)
				}
				stack = stack[:len(stack)-1]
				continue
			}
			state[top.node] = 1
			p := x.producers[reads[top.next]]
			top.next++
			switch {
			case p == nil || state[p] == 2:
			case state[p] == 1:
				return fmt.Errorf("sort nodes: %w through %s", onnx.ErrCycle, Describe(p))
			default:
				stack = append(stack, frame{p, 0})
			}
		}
	}
	g.pb.Graph.Node = sorted
	return nil
}

// needs lists what a node reads, directly or through its subgraphs.
func needs(n *Node) []string {
	x := index{pinned: map[string]bool{}}
	for _, sub := range subgraphs(n) {
		x.pin(sub)
	}
	if len(x.pinned) == 0 {
		return n.Input
	}
	out := slices.Clone(n.Input)
	for name := range x.pinned {
		out = append(out, name)
	}
	return out
}

// Prune removes nodes, initializers and declarations that no output needs.
func (g *Graph) Prune() {
	x := g.at()
	live := map[string]bool{}
	keep := map[*Node]bool{}
	var todo []string
	for _, out := range g.Outputs() {
		todo = append(todo, out.GetName())
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if live[name] {
			continue
		}
		live[name] = true
		if p := x.producers[name]; p != nil && !keep[p] {
			keep[p] = true
			todo = append(todo, needs(p)...)
		}
	}
	pb := g.pb.Graph
	pb.Node = slices.DeleteFunc(pb.Node, func(n *Node) bool { return !keep[n] })
	pb.Initializer = slices.DeleteFunc(pb.Initializer, func(t *onnxpb.TensorProto) bool { return !live[t.GetName()] })
	pb.Input = slices.DeleteFunc(pb.Input, func(v *onnxpb.ValueInfoProto) bool { return x.constants[v.GetName()] != nil })
	pb.ValueInfo = slices.DeleteFunc(pb.ValueInfo, func(v *onnxpb.ValueInfoProto) bool {
		p := x.producers[v.GetName()]
		return p == nil || !keep[p]
	})
	g.Touch()
}
