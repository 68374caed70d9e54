//go:build cgo && linux

package ort

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"emberwing/infer"
)

// process is the state that the C library and its wrapper keep once for each
// process. It is the only package variable that changes.
var process struct {
	sync.Mutex
	loaded string   // path of the library that is mapped, for ever
	rt     *Runtime // nil while nobody uses it
	refs   int
}

// Runtime is the loaded ONNX Runtime library. There is one in a process; its
// methods may be called concurrently.
type Runtime struct {
	path    string
	version string
	level   int // C API level in use

	mu       sync.Mutex
	sessions int  // open or being opened
	closed   bool // the environment is gone
}

// Load finds the library (see [Locate]), checks its processor and version
// before loading it, and starts it. "" searches. Loading the same library
// again returns the same Runtime, which must be closed as often as it was
// loaded; another library is ErrLoaded. Other errors: ErrNoLibrary, ErrLibrary,
// ErrArch, ErrVersion.
func Load(libraryPath string) (*Runtime, error) {
	process.Lock()
	defer process.Unlock()
	if libraryPath == "" && process.loaded != "" {
		libraryPath = process.loaded
	}
	path, err := Locate(libraryPath)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if process.loaded != "" && process.loaded != path {
		return nil, &infer.Error{Op: "load library", File: path, Err: ErrLoaded, Got: process.loaded,
			Want: "one library in a process", Hint: "start another process to use another library"}
	}
	if process.rt == nil {
		if process.rt, err = start(path); err != nil {
			return nil, err
		}
		process.loaded = path
	}
	process.refs++
	return process.rt, nil
}

// start loads the library file and initialises the wrapper with it.
func start(path string) (*Runtime, error) {
	lib, err := Inspect(path)
	if err != nil {
		return nil, err
	}
	if err := lib.Usable(runtime.GOARCH); err != nil {
		return nil, err
	}
	version, level, err := bridge(path)
	if err != nil {
		return nil, err
	}
	onnx.SetSharedLibraryPath("\x00") // to C an empty name: this program itself
	if err := onnx.InitializeEnvironment(); err != nil {
		return nil, newError("start ONNX Runtime "+version, err, takeLog())
	}
	return &Runtime{path: path, version: version, level: level}, nil
}

// bridge maps the library and prepares the table for the wrapper.
func bridge(path string) (version string, level int, err error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why [1024]C.char
	v := C.bridge_open(name, &why[0], C.size_t(len(why)))
	if v == nil {
		return "", 0, &infer.Error{Op: "load library", File: path, Err: ErrLibrary, Got: C.GoString(&why[0]), Hint: setupFix}
	}
	version = C.GoString(v)
	if level, err = levelOf(version); err != nil {
		return "", 0, fmt.Errorf("load library %s: %w", path, err)
	}
	level = min(level, wrapperLevel)
	if level < MinLevel || C.bridge_build(C.uint32_t(level), C.size_t(entries[level])) == 0 {
		return "", 0, tooOld(path, version)
	}
	return version, level, nil
}

// takeLog returns what the library has logged since the last call.
func takeLog() string {
	buf := make([]byte, 16<<10)
	n := C.bridge_log((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)))
	return string(buf[:n])
}

// Version returns the version of the library, e.g. "1.26.0".
func (r *Runtime) Version() string { return r.version }

// Path returns the file that the library was loaded from.
func (r *Runtime) Path() string { return r.path }

// Level returns the C API level in use: that of the library, or of this
// program if the library offers more.
func (r *Runtime) Level() int { return r.level }

// Providers lists the execution providers that this machine has the libraries
// for, fastest first. CPU is always among them.
func (r *Runtime) Providers() []infer.Provider {
	var ps []infer.Provider
	for _, p := range []infer.Provider{infer.TensorRT, infer.CUDA, infer.CPU} {
		if r.Available(p) == nil {
			ps = append(ps, p)
		}
	}
	return ps
}

// Available returns nil if the libraries of provider p are there, else
// infer.ErrProvider with the names of the missing ones and what to install.
func (r *Runtime) Available(p infer.Provider) error {
	return available(p, filepath.Dir(r.path), canLoad)
}

// canLoad asks the system loader for a library by its name.
func canLoad(name string) bool {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.bridge_can_load(c) != 0
}

// Close gives the runtime back. The last Close stops it, and fails while
// sessions are open. The library itself stays mapped.
func (r *Runtime) Close() error {
	process.Lock()
	defer process.Unlock()
	if process.rt != r {
		return nil
	}
	if process.refs > 1 {
		process.refs--
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions > 0 {
		return &infer.Error{Op: "close runtime", Err: infer.ErrBusy, Got: fmt.Sprintf("%d open sessions", r.sessions), Want: "none"}
	}
	process.rt, process.refs, r.closed = nil, 0, true
	if err := onnx.DestroyEnvironment(); err != nil {
		return newError("close runtime", err, strings.TrimSpace(takeLog()))
	}
	return nil
}

// acquire counts a session that is about to be opened.
func (r *Runtime) acquire() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("open model: runtime: %w", os.ErrClosed)
	}
	r.sessions++
	return nil
}

// release takes back one acquire.
func (r *Runtime) release() {
	r.mu.Lock()
	r.sessions--
	r.mu.Unlock()
}
