//go:build cgo && linux

package ort

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	onnx "github.com/yalue/onnxruntime_go"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

// libraryVar names the library that a child process of TestLibraryVersions
// tests.
const libraryVar = "EMBERWING_TEST_ORT"

// load loads the library for a test. It fails where the library has to be
// there, and skips only on a machine that was never set up.
func load(t testing.TB) *Runtime {
	t.Helper()
	rt, err := Load(os.Getenv(libraryVar))
	if errors.Is(err, ErrNoLibrary) && os.Getenv("CI") == "" && !isSetUp() {
		t.Skip("run scripts/setup")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

// isSetUp reports whether scripts/setup has made bin/lib.
func isSetUp() bool {
	_, err := os.Stat(filepath.Join("..", "..", "bin", "lib"))
	return err == nil
}

func TestSessionKeepsTheContract(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	infertest.TestSession(t, func(o infer.Options) (infer.Session, error) { return rt.Open(m, o) })
}

func TestNoDifferenceToTheFake(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	fake, err := infertest.NewFake(&m.Manifest, infer.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Open(m, infer.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	inputs := make([][]float32, 8)
	for i := range inputs {
		inputs[i] = make([]float32, len(s.Input(0)))
		infertest.Fill(inputs[i], i)
	}
	infertest.NoDiff(t, s, fake, inputs, 1e-5)
}

// faulty returns the tiny model with its fp32 file replaced by bad/name, as if
// the manifest had been written for it. It skips the checks of infer.Load.
func faulty(t *testing.T, name string) *infer.Model {
	t.Helper()
	files := infertest.Files(t)
	data := files["tiny/bad/"+name].Data
	files["tiny/tiny-fp32.onnx"].Data = data
	manifest := files["tiny/manifest.json"]
	manifest.Data = infertest.Restamp(t, manifest.Data, infer.FP32, data)
	m, err := infer.Load(files, "tiny/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOpenNamesTheFaultOfAModel(t *testing.T) {
	rt := load(t)
	for name, want := range map[string]error{
		"ir.onnx":       infer.ErrModelVersion,
		"opset.onnx":    infer.ErrModelVersion,
		"operator.onnx": infer.ErrModelVersion,
	} {
		s, err := rt.Open(faulty(t, name), infer.Options{})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, %v, want %v", name, s, err, want)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || strings.Contains(e.Error(), "\n") || e.Full == "" {
			t.Errorf("%s: want one line and the whole message, got %+v", name, e)
		}
		t.Logf("%s: %v", name, err)
	}
}

// TestOpenFailedRun shows that a run that fails is one error line with the
// library's log behind it, and that the session lives on.
func TestOpenFailedRun(t *testing.T) {
	s, err := load(t).Open(faulty(t, "run.onnx"), infer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, x := range []float32{0, 5, 1} {
		for i := range s.Input(0) {
			s.Input(0)[i] = x
		}
		err := s.Run(0)
		if x < 2 {
			if err != nil || s.Output(0)[int(x)] != 1 {
				t.Errorf("input %v: got %v, %v", x, s.Output(0), err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "Gather") {
			t.Fatalf("input %v: got %v, want one line that names Gather", x, err)
		}
		if !strings.Contains(e.Log, "Gather") {
			t.Errorf("the log was not kept: %+v", e)
		}
		t.Logf("%+v", err)
	}
}

func TestStrictModeNamesTheMissingLibraries(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	if rt.Available(infer.TensorRT) == nil {
		t.Skip("TensorRT is installed here; its own job covers it")
	}
	gpu := []infer.Provider{infer.TensorRT, infer.CUDA, infer.CPU}
	_, err := rt.Open(m, infer.Options{Providers: gpu, Strict: true})
	if !errors.Is(err, infer.ErrProvider) {
		t.Fatalf("got %v, want %v", err, infer.ErrProvider)
	}
	for _, part := range []string{"libonnxruntime_providers_tensorrt.so", "libnvinfer.so", "libcudart.so", "install"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
}

func TestFallbackIsReported(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	if rt.Available(infer.CUDA) == nil {
		t.Skip("CUDA is installed here; its own job covers it")
	}
	s, err := rt.Open(m, infer.Options{Precision: infer.INT8, Providers: []infer.Provider{infer.TensorRT, infer.CUDA, infer.CPU}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := s.Report()
	if r.RequestedProvider != infer.TensorRT || r.Provider != infer.CPU || r.Precision != infer.INT8 {
		t.Errorf("report %+v", r)
	}
	for _, part := range []string{"tensorrt: missing libonnxruntime_providers_tensorrt.so, ", "; cuda: missing libonnxruntime_providers_cuda.so, "} {
		if !strings.Contains(r.Fallback, part) {
			t.Errorf("%q is not in fallback %q", part, r.Fallback)
		}
	}
	if _, err := rt.Open(m, infer.Options{Providers: []infer.Provider{infer.CUDA}}); !errors.Is(err, infer.ErrProvider) {
		t.Errorf("without cpu in the list: got %v, want %v", err, infer.ErrProvider)
	}
}

func TestPolicyIsNotFallenBackFrom(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	nano := infer.Capability{Board: "jetson-nano", Fast: []infer.Precision{infer.FP32, infer.FP16}}
	_, err := rt.Open(m, infer.Options{Precision: infer.INT8, Board: nano,
		Providers: []infer.Provider{infer.TensorRT, infer.CPU}})
	var refused *infer.PrecisionError
	if !errors.As(err, &refused) || refused.Offered != infer.FP16 {
		t.Errorf("got %v, want int8 refused and fp16 offered", err)
	}
	_, err = rt.Open(m, infer.Options{Precision: infer.FP16, Strict: true})
	if !errors.Is(err, infer.ErrPrecision) {
		t.Errorf("fp16 on cpu, strict: got %v, want %v", err, infer.ErrPrecision)
	}
}

func TestRunningSlotIsRefused(t *testing.T) {
	s, err := load(t).Open(infertest.Tiny(t), infer.Options{Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.(*session).slots[1].isRunning.Store(true)
	if err := s.Run(1); !errors.Is(err, infer.ErrBusy) {
		t.Errorf("got %v, want %v", err, infer.ErrBusy)
	}
	if err := s.Run(0); err != nil {
		t.Errorf("the other slot: %v", err)
	}
}

func TestOneLibraryInAProcess(t *testing.T) {
	rt := load(t)
	again, err := Load(rt.Path())
	if err != nil || again != rt {
		t.Fatalf("same library again: got %p, %v, want %p", again, err, rt)
	}
	other := filepath.Join(t.TempDir(), soname)
	if err := os.WriteFile(other, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(other); !errors.Is(err, ErrLoaded) {
		t.Errorf("another library: got %v, want %v", err, ErrLoaded)
	}
	s, err := rt.Open(infertest.Tiny(t), infer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil { // one of two uses
		t.Error(err)
	}
	if err := rt.Close(); !errors.Is(err, infer.ErrBusy) {
		t.Errorf("Close with an open session: got %v, want %v", err, infer.ErrBusy)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRuntimeRestarts(t *testing.T) {
	for range 3 {
		rt := load(t)
		s, err := rt.Open(infertest.Tiny(t), infer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Run(0), s.Close(), rt.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Open(infertest.Tiny(t), infer.Options{}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Open after Close: got %v, want %v", err, os.ErrClosed)
		}
	}
}

// newerCall calls a function that the library has since 1.14.
func newerCall() error {
	opts, err := onnx.NewSessionOptions()
	if err != nil {
		return err
	}
	defer opts.Destroy()
	_, err = opts.HasSessionConfigEntry("session.no_such_key")
	return err
}

// TestOpenFurtherOutputs runs every model of the family, whose outputs are known,
// and demands that none of their outputs moves or allocates.
func TestOpenFurtherOutputs(t *testing.T) {
	rt := load(t)
	for _, name := range infer.ModelNames(infertest.Family(t)) {
		m := infertest.Member(t, name)
		s, err := rt.Open(m, infer.Options{Slots: 2, Threads: 1})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer s.Close()
		for i := range s.Input(1) {
			s.Input(1)[i] = 0.25 // R=G=B
		}
		cam, features := s.Extra(1, infer.CAM), s.Extra(1, infer.Features)
		if allocs := testing.AllocsPerRun(20, func() { err = errors.Join(err, s.Run(1)) }); allocs != 0 || err != nil {
			t.Errorf("%s: got %v allocations, %v", name, allocs, err)
		}
		if (m.CAM != nil) != (cam != nil) || (m.Features != nil) != (features != nil) {
			t.Fatalf("%s: got a map %v and features %v, want what the manifest declares", name, cam != nil, features != nil)
		}
		if cam == nil {
			continue
		}
		if &cam[0] != &s.Extra(1, infer.CAM)[0] || &cam[0] == &s.Extra(0, infer.CAM)[0] {
			t.Errorf("%s: the memory of a slot has moved or is shared", name)
		}
		if d := infertest.MaxDiff(features, []float32{0.25, 0.25}); !(d < 1e-5) {
			t.Errorf("%s: features %v, want 0.25 twice", name, features)
		}
		if d := infertest.MaxDiff(cam[16:32], slices.Repeat([]float32{-2}, 16)); !(d < 1e-4) { // smoke: 8·0.25-4
			t.Errorf("%s: map of smoke %v, want -2 everywhere", name, cam[16:32])
		}
		if s.Extra(2, infer.CAM) != nil || s.Extra(0, infer.NumExtras) != nil || s.Extra(0, -1) != nil {
			t.Errorf("%s: an output out of range has memory", name)
		}
	}
}

// TestTargetFollowsTheProvider has one file for the CPU and one for TensorRT.
func TestTargetFollowsTheProvider(t *testing.T) {
	rt, m := load(t), infertest.Tiny(t)
	trt := m.Variants[1]
	trt.Target, trt.Method = infer.TargetTensorRT, infer.QAT
	m.Variants[1].Target, m.Variants[1].Method = infer.TargetCPU, infer.PTQ
	m.Variants = slices.Insert(m.Variants, 1, trt)
	s, err := rt.Open(m, infer.Options{Precision: infer.INT8, Providers: []infer.Provider{infer.TensorRT, infer.CPU}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := s.Report()
	if rt.Available(infer.TensorRT) != nil && (r.Target != infer.TargetCPU || r.Method != infer.PTQ || r.Fallback == "") {
		t.Errorf("without TensorRT: got %+v, want the file for the CPU and the reason", r)
	}
	both := []infer.Provider{infer.TensorRT, infer.CPU}
	ptq, err := rt.Open(m, infer.Options{Precision: infer.INT8, Method: infer.PTQ, Providers: both})
	if rt.Available(infer.TensorRT) != nil && err != nil {
		t.Errorf("without TensorRT, ptq made for the CPU: got %v, want the CPU's session", err)
	}
	if err == nil {
		defer ptq.Close()
	}
	if _, err := rt.Open(m, infer.Options{Precision: infer.INT8, Method: infer.QAT}); !errors.Is(err, infer.ErrVariant) {
		t.Errorf("qat on the CPU: got %v, want %v", err, infer.ErrVariant)
	}
}
