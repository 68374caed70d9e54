package ort

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"emberwing/infer"
)

// requirement is one library that a provider needs, under any of its names.
type requirement struct {
	names   []string // sonames, newest first
	install string   // what brings it
}

var (
	needTensorRT = requirement{[]string{"libnvinfer.so.10", "libnvinfer.so.8", "libnvinfer.so.7"}, "TensorRT (nvidia-jetpack)"}
	needCUDA     = requirement{[]string{"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so.10.2"}, "CUDA (nvidia-jetpack)"}
	needCUDNN    = requirement{[]string{"libcudnn.so.9", "libcudnn.so.8"}, "cuDNN (nvidia-jetpack)"}
)

// requirements returns the system libraries of a GPU provider.
func requirements(p infer.Provider) []requirement {
	if p == infer.TensorRT {
		return []requirement{needTensorRT, needCUDA}
	}
	return []requirement{needCUDNN, needCUDA}
}

// providerFile is the name of the library of provider p.
func providerFile(p infer.Provider) string {
	return "libonnxruntime_providers_" + string(p) + ".so"
}

// available checks the libraries of provider p: its own ones in dir, and what
// they need through find, which asks the system loader.
func available(p infer.Provider, dir string, find func(name string) bool) error {
	if p == infer.CPU {
		return nil
	}
	missing, install := missingOwn(p, dir), []string{}
	if len(missing) > 0 {
		install = append(install, "an ONNX Runtime built with "+string(p))
	}
	for _, r := range requirements(p) {
		if !slices.ContainsFunc(r.names, find) {
			missing, install = append(missing, r.names[0]), append(install, r.install)
		}
	}
	for _, name := range unresolved(filepath.Join(dir, providerFile(p)), dir, find) {
		if !slices.Contains(missing, name) {
			missing, install = append(missing, name), append(install, "the package that has "+name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &infer.Error{Op: "use provider", File: string(p),
		Err:  fmt.Errorf("%w: missing %s", infer.ErrProvider, strings.Join(missing, ", ")),
		Hint: "install " + strings.Join(install, ", ") + "; or request cpu"}
}

// missingOwn returns the libraries of the provider itself that dir lacks.
func missingOwn(p infer.Provider, dir string) []string {
	var missing []string
	for _, name := range []string{providerFile(p), "libonnxruntime_providers_shared.so"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// unresolved returns the libraries that file needs and neither dir nor the
// loader has.
func unresolved(file, dir string, find func(name string) bool) []string {
	lib, err := Inspect(file)
	if err != nil { // missing or broken: reported by name already, or by the library
		return nil
	}
	var names []string
	for _, n := range lib.Needed {
		if _, err := os.Stat(filepath.Join(dir, n)); err != nil && !find(n) {
			names = append(names, n)
		}
	}
	return names
}

// cacheKey names the folder of a built TensorRT engine. It covers everything
// that the engine depends on, because the library's own key does not cover the
// weights.
func cacheKey(modelSHA string, p infer.Precision, shape []int64, ortVersion, trtVersion, board string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "model %q\nprecision %q\nshape %v\nort %q\ntrt %q\nboard %q\n",
		modelSHA, p, shape, ortVersion, trtVersion, board))
	return hex.EncodeToString(sum[:16])
}

// tensorRTVersion returns the file name of the installed TensorRT, e.g.
// "libnvinfer.so.10.3.0", or "" when it is in no known folder.
func tensorRTVersion(dirs []string) string {
	for _, dir := range dirs {
		for _, name := range needTensorRT.names {
			if real, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
				return filepath.Base(real)
			}
		}
	}
	return ""
}

// tensorRTOptions returns the provider options for computing in precision p.
// cache is the folder for engines, "" for none. level is the C API level of
// the library; older ones refuse options they do not know.
func tensorRTOptions(p infer.Precision, cache string, level int) map[string]string {
	o := map[string]string{"device_id": "0"}
	if p != infer.FP32 { // layers without int8 kernels run in fp16
		o["trt_fp16_enable"] = "1"
	}
	if p == infer.INT8 {
		o["trt_int8_enable"] = "1"
	}
	if cache != "" {
		o["trt_engine_cache_enable"] = "1"
		o["trt_engine_cache_path"] = cache
		if level >= 15 {
			o["trt_timing_cache_enable"] = "1"
		}
	}
	return o
}

// cudaOptions keeps start-up short and memory small.
func cudaOptions() map[string]string {
	return map[string]string{
		"device_id":              "0",
		"arena_extend_strategy":  "kSameAsRequested",
		"cudnn_conv_algo_search": "HEURISTIC",
	}
}

// slowInt8 is what TensorRT logs when it turns int8 off.
const slowInt8 = "platform doesn't support fast native int8"

// silentFallback finds in the library's log what it changed without an error.
func silentFallback(log string) string {
	if strings.Contains(strings.ToLower(log), slowInt8) {
		return "TensorRT turned int8 off: the GPU has no fast int8"
	}
	return ""
}
