package boards_test

import (
	"regexp"
	"slices"
	"testing"

	"emberwing/boards"
)

func TestTableIdentifiersAreUnique(t *testing.T) {
	ids, compatibles := map[string]bool{}, map[string]string{}
	for _, b := range boards.Table() {
		if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(b.ID) || ids[b.ID] {
			t.Errorf("identifier %q is malformed or used twice", b.ID)
		}
		ids[b.ID] = true
		for _, c := range append(slices.Clone(b.Compatible), b.ModuleCompatible...) {
			if other, taken := compatibles[c]; taken {
				t.Errorf("%q belongs to %s and %s", c, other, b.ID)
			}
			compatibles[c] = b.ID
		}
	}
}

// plausible bounds catch a wrong unit, not a wrong figure.
func TestTableFiguresArePlausible(t *testing.T) {
	for _, b := range boards.Table() {
		check := func(ok bool, what string, got any) {
			if !ok {
				t.Errorf("%s: implausible %s %v", b.ID, what, got)
			}
		}
		check(b.Name != "", "name", b.Name)
		check(b.GPUMax == 0 || b.GPUMax >= 300*boards.MHz && b.GPUMax <= 3000*boards.MHz, "GPU clock", b.GPUMax)
		check(b.MemoryBytes == 0 || b.MemoryBytes >= boards.GiB && b.MemoryBytes <= 128*boards.GiB, "memory", b.MemoryBytes)
		check(b.MemoryBandwidth == 0 || b.MemoryBandwidth >= 10_000*boards.MBPerSecond &&
			b.MemoryBandwidth <= 500_000*boards.MBPerSecond, "bandwidth", b.MemoryBandwidth)
		check(b.CUDACores%64 == 0 && b.CUDACores <= 4096, "cores", b.CUDACores)
		check(b.CUDACores == 0 || b.ComputeCapability.SM() != "", "cores without compute capability", b.CUDACores)
		check(!b.Generic || len(b.Header) == 0, "header of a generic row", b.Header)
	}
}

func TestTableHeaders(t *testing.T) {
	for _, b := range boards.Table() {
		pins, lines := map[int]bool{}, map[boards.Line]bool{}
		for _, h := range b.Header {
			if h.Pin < 1 || h.Pin > 40 || pins[h.Pin] || lines[h.Line] || h.Chip == "" || h.Offset < 0 || h.Offset > 255 {
				t.Errorf("%s: header pin %d (%s) is out of range or listed twice", b.ID, h.Pin, h.Line)
			}
			pins[h.Pin], lines[h.Line] = true, true
		}
		if _, ok := b.StatusLine(); ok != (b.StatusPin != 0) {
			t.Errorf("%s: status pin %d is not on the header", b.ID, b.StatusPin)
		}
	}
}

func TestTablePowerModes(t *testing.T) {
	for _, b := range boards.Table() {
		defaults := 0
		for i, m := range b.PowerModes {
			if m.ID != i || m.Name == "" {
				t.Errorf("%s: power mode %d is %+v", b.ID, i, m)
			}
			if m.Default {
				defaults++
			}
		}
		if defaults > 1 {
			t.Errorf("%s: %d default power modes", b.ID, defaults)
		}
	}
}

// A figure without a source is a guess.
func TestTableFiguresHaveSources(t *testing.T) {
	for _, b := range boards.Table() {
		given := map[boards.Figure]bool{
			boards.OfCompatible:     len(b.Compatible) > 0,
			boards.OfCompute:        b.ComputeCapability.SM() != "",
			boards.OfCores:          b.CUDACores > 0,
			boards.OfGPUClock:       b.GPUMax > 0,
			boards.OfMemory:         b.MemoryBytes > 0,
			boards.OfBandwidth:      b.MemoryBandwidth > 0,
			boards.OfFastPrecisions: len(b.FastPrecisions) > 0,
			boards.OfHeader:         len(b.Header) > 0,
			boards.OfPowerModes:     len(b.PowerModes) > 0,
			boards.OfL4T:            len(b.L4T) > 0,
			boards.OfPeaks:          len(b.Peaks) > 0,
		}
		for f, ok := range given {
			if s, has := b.SourceOf(f); ok && (!has || s.Ref == "" || s.Grade == "") {
				t.Errorf("%s: %s has no source", b.ID, f)
			}
		}
	}
}

func TestTableRefinements(t *testing.T) {
	for _, b := range boards.Table() {
		if b.Refines == "" {
			continue
		}
		if _, ok := boards.ByID(b.Refines); !ok || b.Refines == b.ID || b.ModelContains == "" && b.MemoryBelow == 0 {
			t.Errorf("%s: refines %q by nothing", b.ID, b.Refines)
		}
	}
}

// The precision policy rests on these rows.
func TestFastPrecisions(t *testing.T) {
	for _, tt := range []struct {
		id   string
		p    boards.Precision
		want boards.Support
	}{
		{"jetson-nano-4gb", boards.INT8, boards.No},
		{"jetson-nano-2gb", boards.INT8, boards.No},
		{"jetson-tx2", boards.INT8, boards.No},
		{"jetson-nano-4gb", boards.FP16, boards.Yes},
		{"jetson-xavier-nx-8gb", boards.INT8, boards.Yes},
		{"jetson-xavier-nx-8gb", boards.TF32, boards.No},
		{"jetson-orin-nano-super", boards.INT8, boards.Yes},
		{"jetson-agx-thor", boards.INT8, boards.Unknown},
		{"raspberry-pi-5", boards.INT8, boards.Unknown},
	} {
		b, ok := boards.ByID(tt.id)
		if got := b.Fast(tt.p); !ok || got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.id, tt.p, got, tt.want)
		}
	}
}

func TestUnitsPrint(t *testing.T) {
	nano, _ := boards.ByID("jetson-nano-4gb")
	line, _ := nano.StatusLine()
	for _, tt := range []struct{ got, want string }{
		{nano.MemoryBytes.String(), "4.0 GiB"},
		{(1536 * boards.MiB).String(), "1.5 GiB"},
		{boards.Bytes(512).String(), "512 B"},
		{nano.MemoryBandwidth.String(), "25.6 GB/s"},
		{nano.GPUMax.String(), "921.6 MHz"},
		{nano.ComputeCapability.SM(), "sm_53"},
		{boards.ComputeCapability{}.String(), "none"},
		{line.String(), "tegra-gpio:79"},
		{boards.MilliCelsius(-256000).String(), "-256.0 °C"},
		{boards.MilliVolts(5000).Times(850).String(), "4.25 W"},
		{boards.PerMille(635).String(), "63.5 %"},
		{boards.L4T{Major: 32, Revision: "7.1"}.String(), "32.7.1"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestUserlands(t *testing.T) {
	for _, b := range boards.Table() {
		for _, major := range b.L4T {
			u, ok := boards.L4T{Major: major}.Userland()
			if major != 38 && (!ok || u.Glibc == "" || u.TensorRT == "") {
				t.Errorf("%s: nothing known of L4T %d", b.ID, major)
			}
		}
	}
	if u, _ := (boards.L4T{Major: 32}).Userland(); u.Glibc != "2.27" || u.GPIOv2 {
		t.Errorf("L4T 32: got glibc %s, GPIO v2 %v, want 2.27, false", u.Glibc, u.GPIOv2)
	}
}

// A peak that is off by a factor of a thousand would make every bound useless.
func TestPeaks(t *testing.T) {
	for _, b := range boards.Table() {
		fp32, known := b.Peak(boards.FP32)
		if known != (b.CUDACores > 0 && b.GPUMax > 0) || known && (fp32.OpsPerSecond < 1e11 || fp32.OpsPerSecond > 2e13) {
			t.Errorf("%s: FP32 peak %+v, %v", b.ID, fp32, known)
		}
		for _, p := range b.Peaks {
			if b.Fast(p.Precision) != boards.Yes || p.OpsPerSecond < 1e11 || p.OpsPerSecond > 1e15 || p.Note == "" {
				t.Errorf("%s: peak %+v", b.ID, p)
			}
		}
	}
	nano, _ := boards.ByID("jetson-nano-4gb")
	if p, ok := nano.Peak(boards.FP16); !ok || p.OpsPerSecond != 472e9 {
		t.Errorf("Nano FP16: %+v, %v", p, ok)
	}
	if p, ok := nano.Peak(boards.INT8); ok {
		t.Errorf("Nano INT8: %+v", p)
	}
}
