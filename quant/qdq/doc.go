// Package qdq writes INT8 models: graphs in which QuantizeLinear and
// DequantizeLinear pairs say what an integer runtime may compute in 8 bits.
//
// Runtimes disagree about where the pairs belong, so there is a [Profile] for
// each: ONNX Runtime on the CPU wants one at every input and output and an
// integer bias; TensorRT wants symmetric numbers at the inputs of convolutions
// only, float bias, and equal scales where tensors meet.
//
// A [Plan] decides which nodes and values are quantised; [Plan.Write] carries
// it out.
package qdq
