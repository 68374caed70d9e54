package ort

// NetInput declares one input of a graph that [Runtime.OpenNet] opens.
type NetInput struct {
	Name  string
	Shape []int64 // without free dimensions
}

// NetOptions says how to open a graph on the CPU.
type NetOptions struct {
	Inputs  []NetInput
	Outputs []string // float32 outputs to compute, in this order
	Threads int      // of the CPU pool; 0 means 1
	// Plain runs the graph as written, without any optimisation.
	Plain bool
	// Optimised, if set, is a file that the optimised graph is saved to.
	Optimised string
	// Config holds session configuration entries by key.
	Config map[string]string
}
