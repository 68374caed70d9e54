// Package quant is the room for making models smaller and faster: reading and
// rewriting ONNX graphs, calibration, writers of INT8 and FP16 models, and
// the comparison of modes. It runs on the bench and is never linked into the
// flight programs.
//
// So far there are:
//
//   - quant/onnx reads an ONNX file into a typed graph, checks it, and writes
//     it back byte for byte; quant/onnx/onnxpb is generated from the official
//     schema.
//   - quant/accuracy scores a classifier against the truth.
package quant
