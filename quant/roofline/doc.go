// Package roofline bounds the speed of a model on a machine that is not at
// hand: multiply-accumulates and bytes of each layer, counted from the graph,
// against the machine's peak arithmetic and memory bandwidth (Williams,
// Waterman and Patterson, "Roofline", 2009).
//
// A bound is not a measurement: no machine reaches its peaks, so real programs
// are slower, often several times. What the bound proves is the other
// direction: a frame rate above it cannot be had.
//
// A layer reads its input, its weights and its skip connection once and writes
// its output once; activations, batch norm and quantise pairs are taken as
// fused into it, and layers run one after the other.
package roofline
