// Package ort runs models on ONNX Runtime. It is the only package that
// reaches the C library, through github.com/yalue/onnxruntime_go.
//
// The wrapper asks a library for one C API level and gives up on an older one,
// while boards ship libraries from 1.10 on. This package therefore stands
// between the two: it loads the library itself and answers the wrapper's
// request for OrtGetApiBase with a table that has every entry the library
// really offers, and in place of later ones a function that returns an error
// (bridge.c). The same table routes the library's log into Go errors.
//
// Without cgo, or on another system than Linux, every call returns ErrNoCgo.
package ort
