// Package firmwaretest has what tests of whole programs need.
package firmwaretest

import (
	"errors"
	"os"
	"testing"

	"emberwing/infer/ort"
)

// NeedRuntime returns the path of the ONNX Runtime library. Without one the
// test is skipped, and fails if the environment has CI=true. A build without
// cgo has no use for a library and skips always: the same tests run with cgo.
func NeedRuntime(t testing.TB) string {
	t.Helper()
	rt, err := ort.Load("")
	switch {
	case errors.Is(err, ort.ErrNoCgo):
		t.Skip("built without cgo; the build with cgo runs this")
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("run scripts/setup: %v", err)
	case err != nil:
		t.Skipf("run scripts/setup: %v", err)
	}
	defer rt.Close()
	return rt.Path()
}

// OnlyCPU skips the test where there is a GPU provider: other tests then run
// on it.
func OnlyCPU(t testing.TB) {
	t.Helper()
	rt, err := ort.Load(NeedRuntime(t))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if p := rt.Providers(); len(p) > 1 {
		t.Skipf("this machine has %v", p)
	}
}
