// Package graph edits ONNX graphs: it adds and removes nodes, keeps them in
// topological order, infers shapes, and brings files of different exporters
// into one canonical form: constants as initializers, no identities or
// dropout, batch norms folded into convolutions, opset 13.
//
// Operators that the package does not know pass through untouched, and so does
// everything inside subgraphs; names that a subgraph reads from outside are
// never removed.
package graph
