// Package infer says what a model is and what one inference result means,
// without running anything.
//
// A [Manifest] declares a classifier completely: files with their checksums,
// tensor names, shapes and dtypes, preprocessing, labels, calibration and
// thresholds. Parsing it is pure and gives the same answer on every machine.
// A [Model] is a manifest together with the files it names. A [Session] runs a
// model; package infer/ort implements it on ONNX Runtime and package
// infer/infertest fakes it. [Rule] turns one vector of logits into a [Result].
//
// The package imports only the standard library.
package infer
