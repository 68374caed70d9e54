//go:build cgo && linux

package ort

// #include "bridge.h"
import "C"

import "unsafe"

// OrtGetApiBase is the entry point of the C library, exported to C from this
// program: the wrapper is told to look the symbol up in the program itself and
// so gets the bridged table. See bridge.c.
//
//export OrtGetApiBase
func OrtGetApiBase() unsafe.Pointer { return C.bridge_base() }
