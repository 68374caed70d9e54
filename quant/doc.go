// Package quant is the room for making models smaller and faster: reading and
// rewriting ONNX graphs, calibration, writers of INT8 and FP16 models, and
// the comparison of modes. It runs on the bench and is never linked into the
// flight programs.
//
// So far there is quant/onnx, which reads an ONNX file into a typed graph,
// checks it, and writes it back byte for byte. quant/onnx/onnxpb is generated
// from the official schema.
package quant
