// Package onnxpb is the Go form of the official ONNX schema, generated and
// never edited.
//
// ../onnx.proto is the proto2 schema of the ONNX project, unchanged, as it
// ships in the PyPI package onnx 1.23.2 (file onnx/onnx.proto), licensed under
// Apache-2.0, copyright ONNX Project Contributors. The proto2 form matters:
// generated from the proto3 form, fields that hold their default value vanish
// when a model is written again.
package onnxpb

//go:generate sh generate.sh .
