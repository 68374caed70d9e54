package benchmark

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"emberwing/infer"
	"emberwing/infer/ort"
	"emberwing/quant/bench"
)

// load opens the library, or skips in a build that has none.
func load(t *testing.T) *ort.Runtime {
	t.Helper()
	rt, err := ort.Load("")
	if err != nil {
		if os.Getenv("CI") != "" && !errors.Is(err, ort.ErrNoCgo) {
			t.Fatalf("run scripts/setup: %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

const tiny = "../../infer/infertest/tiny/"

// TestAuditOfRealLibrary: every operator of the plan is accounted for, and the
// FP32 file has no plan.
func TestAuditOfRealLibrary(t *testing.T) {
	rt := load(t)
	for file, planned := range map[string]bool{"tiny-int8.onnx": true, "tiny-fp32.onnx": false} {
		data, err := os.ReadFile(tiny + file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Audit(rt, data)
		if err != nil {
			t.Fatal(err)
		}
		if sum := r.NumFused() + r.Passed + r.Absorbed + len(r.Floats); (r.Planned > 0) != planned || sum != r.Planned ||
			r.Run == 0 {
			t.Errorf("%s: %d planned, %d accounted for: %+v", file, r.Planned, sum, r)
		}
		if planned && r.NumFused() == 0 && (len(r.Floats) == 0 ||
			!strings.Contains(r.Floats[0].Reason, `"logits" is an output of the graph`)) {
			t.Errorf("%s: nothing became an integer operator, and the reason is not that of this file: %+v", file, r)
		}
	}
	if _, err := Audit(rt, []byte("no model")); err == nil {
		t.Error("a text was audited")
	}
}

func TestPrecisionOf(t *testing.T) {
	for file, want := range map[string]infer.Precision{"tiny-int8.onnx": infer.INT8, "tiny-fp32.onnx": infer.FP32} {
		c, err := FromFile("m", tiny+file)
		if err != nil || c.Precision != want || c.Label != file {
			t.Errorf("%s: %+v, %v", file, c.Precision, err)
		}
	}
	if _, err := FromFile("m", "benchmark_test.go"); err == nil {
		t.Error("a text was taken for a model")
	}
}

func TestMeasureMemory(t *testing.T) {
	load(t)
	m, err := MeasureMemory("", tiny+"tiny-fp32.onnx", ort.NetOptions{
		Inputs: []ort.NetInput{{Name: "input", Shape: inputShape(t)}}, Outputs: []string{"logits"}})
	if err != nil || m.BaseBytes < 1<<20 || m.PeakBytes < m.BaseBytes {
		t.Errorf("%+v, %v", m, err)
	}
}

func inputShape(t *testing.T) []int64 {
	m, err := infer.LoadFile(tiny + "manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	return m.Input.Shape
}

func TestEnvironment(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	root := fstest.MapFS{
		"proc/cpuinfo": text("processor : 0\nmodel name : A CPU\ncpu MHz : 2500.5\nflags : fpu avx2 " +
			"avx512_vnni mystery\nprocessor : 1\n"),
		"proc/loadavg":              text("1.25 0.5 0.1 1/100 42\n"),
		"proc/sys/kernel/osrelease": text("6.1.0\n"),
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":  text("performance\n"),
		"sys/class/thermal/thermal_zone0/type":                  text("cpu-thermal\n"),
		"sys/class/thermal/thermal_zone0/temp":                  text("41500\n"),
		"var/lib/nvpmodel/status":                               text("pmode:0002\n"),
		"etc/nvpmodel.conf":                                     text("< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"),
		"sys/devices/virtual/dmi/id/product_name":               text("PC\n"),
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq2": text(""),
	}
	got := Environment(root, "1.27.0", 1)
	got.Program, got.Board = "", ""
	want := bench.Environment{CPU: "A CPU", CPUFeatures: []string{"avx2", "avx512_vnni"}, Cores: 2, Threads: 1,
		Kernel: "6.1.0", Runtime: "1.27.0",
		Governor: "performance", PowerMode: "2 MAXN_SUPER", CPUMHz: 2500.5, LoadAverage: 1.25, Celsius: 41.5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := Environment(fstest.MapFS{}, "1.27.0", 0)
	if bare.Board == "" || bare.Cores != 1 || bare.Threads != 1 || bare.Celsius != 0 {
		t.Errorf("a machine that tells nothing: %+v", bare)
	}
}
