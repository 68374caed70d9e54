// Package onnx reads ONNX files into a typed graph, checks them, and writes
// them back.
//
// A [Model] keeps the bytes it was read from, and writing it gives those very
// bytes: re-encoding would not, as encoders are free in the order of fields.
// A changed model is made from a changed message with [FromProto], which
// encodes it anew in field order, with unknown fields kept.
//
// A file is walked once, against the schema, before anything is decoded, so
// that a small hostile file cannot ask for a large amount of memory: nesting,
// node count and the estimated size in memory are bounded by [Limits].
//
// Reading also checks the graph: every name is defined once and before it is
// used, and the nodes form no cycle. Tensors that live in other files
// (external data) are an error where their values are asked for.
package onnx
