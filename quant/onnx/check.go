package onnx

import (
	"errors"
	"fmt"
	"strings"

	"emberwing/quant/onnx/onnxpb"
)

// maxFaults bounds how many faults one check reports.
const maxFaults = 20

// Check reports what is not sound about the graph and the graphs inside its
// nodes: ErrDuplicate, ErrDangling, ErrOrder, ErrCycle, joined, the first 20.
// A model that was read or made by this package has passed it.
func (g *Graph) Check() error {
	var c checker
	c.graph(g.pb, nil)
	return errors.Join(c.faults...)
}

// checkFunctions checks the bodies of model-local functions.
func checkFunctions(functions []*onnxpb.FunctionProto) error {
	var c checker
	for _, f := range functions {
		s := newScope(nil)
		for _, in := range f.Input {
			c.define(s, in, "function input")
		}
		c.nodes(f.Node, s)
		for _, out := range f.Output {
			c.use(s, out, "function output")
		}
	}
	return errors.Join(c.faults...)
}

// scope is the set of names defined so far in a graph and around it.
type scope struct {
	names map[string]bool
	outer *scope
}

func newScope(outer *scope) *scope { return &scope{map[string]bool{}, outer} }

// has says whether a name is visible.
func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.names[name] {
			return true
		}
	}
	return false
}

// checker collects faults.
type checker struct{ faults []error }

// fault adds one, up to the bound.
func (c *checker) fault(kind error, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...)))
	}
}

// define adds a name to a scope, which must not have it yet.
func (c *checker) define(s *scope, name, who string) {
	switch {
	case name == "":
	case s.names[name]:
		c.fault(ErrDuplicate, "%q, by %s", name, who)
	default:
		s.names[name] = true
	}
}

// use requires a name to be visible.
func (c *checker) use(s *scope, name, who string) {
	if name != "" && !s.has(name) {
		c.fault(ErrDangling, "%q, read by %s", name, who)
	}
}

// graph checks one graph inside the scope around it.
func (c *checker) graph(pb *onnxpb.GraphProto, outer *scope) {
	s := newScope(outer)
	for _, v := range pb.Input {
		c.define(s, v.GetName(), "graph input")
	}
	c.initializers(pb, s)
	c.nodes(pb.Node, s)
	for _, v := range pb.Output {
		c.use(s, v.GetName(), "graph output")
	}
}

// initializers defines the constants. One may give a value to a graph input,
// which older files require, but two may not share a name.
func (c *checker) initializers(pb *onnxpb.GraphProto, s *scope) {
	seen := make(map[string]bool, len(pb.Initializer)+len(pb.SparseInitializer))
	add := func(name string) {
		if seen[name] {
			c.fault(ErrDuplicate, "%q, by initializer", name)
		}
		seen[name], s.names[name] = true, true
	}
	for _, t := range pb.Initializer {
		add(t.GetName())
	}
	for _, t := range pb.SparseInitializer {
		add(t.GetValues().GetName())
	}
}

// nodes checks a list of nodes in order.
func (c *checker) nodes(nodes []*onnxpb.NodeProto, s *scope) {
	producer := producers(nodes)
	disorder := false
	for i, n := range nodes {
		for _, in := range n.Input {
			if in == "" || s.has(in) {
				continue
			}
			if _, later := producer[in]; !later {
				c.use(s, in, describe(n))
			} else if !disorder {
				disorder = true
				c.disorder(nodes, producer, i, in)
			}
		}
		for _, g := range subgraphs(n) {
			c.graph(g, s)
		}
		for _, out := range n.Output {
			c.define(s, out, describe(n))
		}
	}
}

// producers maps each name to the index of the first node that defines it.
func producers(nodes []*onnxpb.NodeProto) map[string]int {
	m := make(map[string]int, len(nodes))
	for i, n := range nodes {
		for _, out := range n.Output {
			setFirst(m, out, i)
		}
	}
	return m
}

// disorder reports a value that is read before it is made: as a cycle if
// there is one, else as a wrong order.
func (c *checker) disorder(nodes []*onnxpb.NodeProto, producer map[string]int, i int, name string) {
	if cycle := findCycle(nodes, producer); cycle != nil {
		c.fault(ErrCycle, "%s", strings.Join(cycle, " -> "))
		return
	}
	c.fault(ErrOrder, "%s reads %q, which comes later from %s", describe(nodes[i]), name, describe(nodes[producer[name]]))
}

// States of a node in the search for cycles.
const (
	unseen = iota
	open   // on the path
	done
)

// visit is a node on the path of the search and the next input to follow.
type visit struct{ node, next int }

// findCycle returns the nodes of one cycle, each followed by one that depends
// on it, at most ten; nil if there is none. The search keeps its own stack: a
// chain of nodes may be as long as the file.
func findCycle(nodes []*onnxpb.NodeProto, producer map[string]int) []string {
	state := make([]uint8, len(nodes))
	var path []visit
	enter := func(i int) {
		state[i] = open
		path = append(path, visit{node: i})
	}
	for start := range nodes {
		if state[start] != unseen {
			continue
		}
		for enter(start); len(path) > 0; {
			top := &path[len(path)-1]
			inputs := nodes[top.node].Input
			if top.next == len(inputs) {
				state[top.node] = done
				path = path[:len(path)-1]
				continue
			}
			dep, ok := producer[inputs[top.next]]
			top.next++
			switch {
			case ok && state[dep] == unseen:
				enter(dep)
			case ok && state[dep] == open:
				return tail(nodes, path, dep)
			}
		}
	}
	return nil
}

// tail names the nodes of the path from its end back to node, at most ten.
func tail(nodes []*onnxpb.NodeProto, path []visit, node int) []string {
	var names []string
	for i := len(path) - 1; i >= 0 && len(names) < 10; i-- {
		names = append(names, describe(nodes[path[i].node]))
		if path[i].node == node {
			break
		}
	}
	return names
}
