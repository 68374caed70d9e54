// Package quant is the room for making models smaller and faster, and for
// proving what that cost. It runs on the bench and is never linked into the
// flight programs.
//
// From the bottom up:
//
//   - quant/onnx reads an ONNX file into a typed graph, checks it, and writes
//     it back byte for byte; quant/onnx/onnxpb is generated from the official
//     schema.
//   - quant/graph edits graphs: canonical form, shapes, folding.
//   - quant/calib measures tensors in bounded memory and chooses their ranges.
//   - quant/rounding chooses the integers of weights so that errors cancel.
//   - quant/qdq plans and writes INT8 models for a target, quant/half 16-bit
//     ones, quant/table the calibration tables of older TensorRT.
//   - quant/qat takes in models from quantisation-aware training,
//     quant/equalize evens out channels.
//   - quant/recipe joins these into one job; quant/pictures feeds it.
//   - quant/audit, quant/bench, quant/roofline and quant/accuracy judge models.
//
// The package itself declares what the others need of a runtime and of
// samples, so that none of them knows ONNX Runtime or JPEG.
package quant
