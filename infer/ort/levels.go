package ort

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// MinLevel is the oldest C API level that sessions need: ONNX Runtime 1.10.
	MinLevel = 10
	// wrapperLevel is the C API level that the wrapper asks for.
	wrapperLevel = 24
)

// entries holds the number of functions in the C API of each level from
// MinLevel on. The API only ever grows at its end, so these never change; a
// test compares them with the wrapper's header.
var entries = [...]int{
	10: 204, 11: 210, 12: 219, 13: 225, 14: 239, 15: 255, 16: 266, 17: 276,
	18: 280, 19: 280, 20: 285, 21: 285, 22: 318, 23: 390, 24: 415,
}

// levelOf returns the C API level of a library version: N of 1.N.
func levelOf(version string) (int, error) {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	level, err := strconv.Atoi(minor)
	if major != "1" || err != nil || level < 0 {
		return 0, fmt.Errorf("read library version: got %q, want 1.N.P", version)
	}
	return level, nil
}
