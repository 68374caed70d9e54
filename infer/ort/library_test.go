package ort

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"emberwing/infer"
)

func TestLevelOf(t *testing.T) {
	for version, want := range map[string]int{"1.10.0": 10, "1.26.0": 26, "1.9.1": 9, "1.30": 30} {
		if got, err := levelOf(version); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", version, got, err, want)
		}
	}
	for _, version := range []string{"", "2.1.0", "1", "1.x.0", "1.-1.0"} {
		if got, err := levelOf(version); err == nil {
			t.Errorf("%q: got %d, want an error", version, got)
		}
	}
}

func TestUsable(t *testing.T) {
	tests := []struct {
		version, machine string
		want             error
	}{
		{"1.10.0", "arm64", nil},
		{"1.30.0", "arm64", nil},
		{"", "arm64", nil}, // found out when it is loaded
		{"1.9.0", "arm64", ErrVersion},
		{"1.26.0", "amd64", ErrArch},
	}
	for _, tt := range tests {
		err := Library{Path: "x", Version: tt.version, Machine: tt.machine}.Usable("arm64")
		if !errors.Is(err, tt.want) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

func TestInspectNamesBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	self, err := os.ReadFile(filepath.Join("/proc", "self", "exe"))
	if err != nil {
		t.Fatalf("read this program: %v", err)
	}
	files := map[string][]byte{"empty": nil, "text": []byte("not a library"), "cut": self[:100]}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if lib, err := Inspect(path); !errors.Is(err, ErrLibrary) {
			t.Errorf("%s: got %+v, %v, want %v", name, lib, err, ErrLibrary)
		}
	}
	if _, err := Inspect(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	lib, err := Inspect("/proc/self/exe")
	if err != nil || lib.Machine != runtime.GOARCH || lib.Version != "" {
		t.Errorf("this program: got %+v, %v", lib, err)
	}
}

func TestLocate(t *testing.T) {
	touch := func(dir string, names ...string) string {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	stable := touch(t.TempDir(), soname, soname+".26.0")
	versioned := touch(t.TempDir(), soname+".11.0", soname+".14.0")
	empty := touch(t.TempDir(), "libonnxruntime_providers_shared.so")
	for explicit, want := range map[string]string{
		stable:                                   soname,
		versioned:                                soname + ".14.0",
		filepath.Join(versioned, soname+".11.0"): soname + ".11.0",
	} {
		if got, err := Locate(explicit); err != nil || filepath.Base(got) != want || !filepath.IsAbs(got) {
			t.Errorf("%s: got %s, %v, want %s", explicit, got, err, want)
		}
	}
	_, err := Locate(empty)
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), empty) || !strings.Contains(err.Error(), "scripts/setup") {
		t.Errorf("got %v, want the folder and the fix", err)
	}
}

func TestSearchDirsEndWithTheSystem(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/first:/second")
	dirs := searchDirs()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if dirs[0] != filepath.Join(filepath.Dir(exe), "lib") || dirs[len(dirs)-1] != "/usr/lib" {
		t.Errorf("got %v", dirs)
	}
	module, _ := filepath.Abs("../../bin/lib")
	i, j := slices.Index(dirs, module), slices.Index(dirs, "/first")
	if i < 0 || j < i {
		t.Errorf("the module's folder %s must come before the system's in %v", module, dirs)
	}
	if got := moduleDirs("/opt/emberwing/emberwingd"); got != nil {
		t.Errorf("an installed program looks in %v", got)
	}
}

func TestAvailable(t *testing.T) {
	dir := t.TempDir()
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	only := func(names ...string) func(string) bool {
		return func(n string) bool { return slices.Contains(names, n) }
	}
	if err := available(infer.CPU, dir, none); err != nil {
		t.Errorf("cpu: got %v", err)
	}
	want := []string{"libonnxruntime_providers_tensorrt.so", "libonnxruntime_providers_shared.so", "libnvinfer.so.10", "libcudart.so.13", "TensorRT", "CUDA", "request cpu"}
	wantAll(t, available(infer.TensorRT, dir, none), want...)
	wantAll(t, available(infer.CUDA, dir, none), "libonnxruntime_providers_cuda.so", "libcudnn.so.9", "libcudart.so.13")

	copyProviders(t, dir)
	if err := available(infer.TensorRT, dir, all); err != nil {
		t.Errorf("everything there: got %v", err)
	}
	// An old TensorRT will do, and what the provider itself links is checked.
	err := available(infer.TensorRT, dir, only("libnvinfer.so.8", "libcudart.so.10.2"))
	wantAll(t, err, "missing libc.so.6")
	if strings.Contains(err.Error(), "libnvinfer") {
		t.Errorf("got %v although libnvinfer.so.8 is there", err)
	}
}

func wantAll(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, infer.ErrProvider) {
		t.Errorf("got %v, want %v", err, infer.ErrProvider)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in %v", p, err)
		}
	}
}

// copyProviders puts an ELF file that needs only libc in place of the
// libraries of the TensorRT provider.
func copyProviders(t *testing.T, dir string) {
	t.Helper()
	lib, err := elfNeedingLibc()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{providerFile(infer.TensorRT), "libonnxruntime_providers_shared.so"} {
		if err := os.Symlink(lib, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func elfNeedingLibc() (string, error) {
	for _, name := range []string{"/bin/sh", "/bin/ls", "/bin/cat"} {
		if lib, err := Inspect(name); err == nil && slices.Contains(lib.Needed, "libc.so.6") {
			return name, nil
		}
	}
	return "", errors.New("no program that links libc.so.6")
}

func TestCacheKeyCoversEverything(t *testing.T) {
	shape := []int64{1, 3, 224, 224}
	base := cacheKey("sha", infer.FP16, shape, "1.16.3", "libnvinfer.so.8.5.2", "xavier-nx")
	if len(base) != 32 || base != cacheKey("sha", infer.FP16, slices.Clone(shape), "1.16.3", "libnvinfer.so.8.5.2", "xavier-nx") {
		t.Errorf("the key %q is not stable", base)
	}
	others := []string{
		cacheKey("sha2", infer.FP16, shape, "1.16.3", "libnvinfer.so.8.5.2", "xavier-nx"),
		cacheKey("sha", infer.INT8, shape, "1.16.3", "libnvinfer.so.8.5.2", "xavier-nx"),
		cacheKey("sha", infer.FP16, []int64{1, 3, 224, 225}, "1.16.3", "libnvinfer.so.8.5.2", "xavier-nx"),
		cacheKey("sha", infer.FP16, shape, "1.16.2", "libnvinfer.so.8.5.2", "xavier-nx"),
		cacheKey("sha", infer.FP16, shape, "1.16.3", "libnvinfer.so.8.6.1", "xavier-nx"),
		cacheKey("sha", infer.FP16, shape, "1.16.3", "libnvinfer.so.8.5.2", "orin-nano"),
		cacheKey("sha", infer.FP16, shape, "1.16.3", "", "libnvinfer.so.8.5.2xavier-nx"),
	}
	slices.Sort(others)
	if slices.Contains(others, base) || len(slices.Compact(others)) != 7 {
		t.Errorf("keys collide: %s %v", base, others)
	}
}

func TestTensorRTOptions(t *testing.T) {
	tests := []struct {
		precision infer.Precision
		cache     string
		level     int
		want      map[string]string
	}{
		{infer.FP32, "", 24, map[string]string{"device_id": "0"}},
		{infer.FP16, "", 24, map[string]string{"device_id": "0", "trt_fp16_enable": "1"}},
		{infer.INT8, "/c", 24, map[string]string{"device_id": "0", "trt_fp16_enable": "1", "trt_int8_enable": "1",
			"trt_engine_cache_enable": "1", "trt_engine_cache_path": "/c", "trt_timing_cache_enable": "1"}},
		{infer.FP16, "/c", 11, map[string]string{"device_id": "0", "trt_fp16_enable": "1",
			"trt_engine_cache_enable": "1", "trt_engine_cache_path": "/c"}},
	}
	for _, tt := range tests {
		got := tensorRTOptions(tt.precision, tt.cache, tt.level)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s level %d: got %v, want %v", tt.precision, tt.level, got, tt.want)
		}
	}
}

func TestTensorRTVersion(t *testing.T) {
	dir := t.TempDir()
	if got := tensorRTVersion([]string{dir}); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "libnvinfer.so.8.5.2"), nil, 0o644),
		os.Symlink("libnvinfer.so.8.5.2", filepath.Join(dir, "libnvinfer.so.8"))); err != nil {
		t.Fatal(err)
	}
	if got := tensorRTVersion([]string{dir}); got != "libnvinfer.so.8.5.2" {
		t.Errorf("got %q", got)
	}
}

func TestSilentFallback(t *testing.T) {
	log := "W [TensorRT EP] ORT_TENSORRT_INT8_ENABLE is set, but platform doesn't support fast native int8 [x.cc:1 f]\n"
	if silentFallback(log) == "" || silentFallback("W something else\n") != "" {
		t.Error("the log line is not understood")
	}
}

// TestErrorIsOneLine runs messages as the library writes them.
func TestErrorIsOneLine(t *testing.T) {
	tests := []struct {
		file string
		want string
		err  error
	}{
		{"ir.txt", "open: model is too new for the library: Unsupported model IR version: 99, max supported IR version: 13", infer.ErrModelVersion},
		{"ir-1.10.txt", "open: model is too new for the library: Unsupported model IR version: 99, max supported IR version: 8", infer.ErrModelVersion},
		{"opset.txt", "open: model is too new for the library: opset 99 of ai.onnx: the library knows them up to 26", infer.ErrModelVersion},
		{"operator.txt", `open: model is too new for the library: This is an invalid model. In Node, ("", NoSuchOperator, "", -1) : ("pooled": tensor(float),) -> ("flat",) , Error No Op registered for NoSuchOperator with domain_version of 13`, infer.ErrModelVersion},
		{"run.txt", "open: Non-zero status code returned while running Gather node. Name:'' Status Message: indices element out of data bounds, idx=5 must be within the inclusive range [-2,1]", nil},
		{"protobuf.txt", "open: not an ONNX model: Failed to load model because protobuf parsing failed.", infer.ErrModel},
		{"cpu.txt", "open: execution provider is not available: This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.", infer.ErrProvider},
	}
	for _, tt := range tests {
		text, err := os.ReadFile(filepath.Join("testdata", "messages", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		e := newError("open", errors.New(string(text)), "W a line of the log\n")
		if e.Error() != tt.want || !errors.Is(e, tt.err) && tt.err != nil {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.file, e, tt.want)
		}
		if all := fmt.Sprintf("%+v", e); !strings.Contains(all, string(text)) || !strings.Contains(all, "a line of the log") {
			t.Errorf("%s: %%+v is %s", tt.file, all)
		}
		if s := fmt.Sprintf("%v|%s", e, e); s != tt.want+"|"+tt.want {
			t.Errorf("%s: %%v|%%s is %s", tt.file, s)
		}
	}
}
