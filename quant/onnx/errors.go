package onnx

import "errors"

// What can be wrong with a model. Errors of this package wrap one of these
// and say where in the file or the graph it is.
var (
	// ErrTruncated: the file ends in the middle of a field, or before a part
	// that every model has.
	ErrTruncated = errors.New("file is truncated")
	// ErrSyntax: the bytes are not an ONNX model.
	ErrSyntax = errors.New("not an ONNX model")
	// ErrLimit: the model is larger or deeper than the Limits allow.
	ErrLimit = errors.New("model exceeds a limit")
	// ErrDuplicate: two parts of one graph share a name.
	ErrDuplicate = errors.New("name is defined twice")
	// ErrDangling: a name is used and defined nowhere.
	ErrDangling = errors.New("name is not defined")
	// ErrOrder: a name is used before the node that defines it.
	ErrOrder = errors.New("nodes are not in topological order")
	// ErrCycle: nodes depend on each other in a circle.
	ErrCycle = errors.New("graph has a cycle")
	// ErrExternalData: the values are in another file.
	ErrExternalData = errors.New("tensor data is in another file")
	// ErrType: a value has another type than the one asked for.
	ErrType = errors.New("unexpected type")
	// ErrShape: a shape and the amount of data do not fit.
	ErrShape = errors.New("shape and data do not fit")
	// ErrMissing: an attribute is not there and has no default.
	ErrMissing = errors.New("attribute is missing")
)
