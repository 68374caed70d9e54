package benchmark

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"emberwing/boards"
	"emberwing/boards/sysfs"
	"emberwing/firmware/version"
	"emberwing/quant/bench"
)

// features are the CPU features that decide how fast inference is.
var features = []string{
	"avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "avx512_bf16", "avx512_fp16",
	"amx_int8", "amx_bf16",
	"asimd", "asimdhp", "asimddp", "i8mm", "sve", "sve2",
}

// Environment records the machine below root. Facts that it does not tell stay
// empty.
func Environment(root fs.FS, runtime string, threads int) bench.Environment {
	e := bench.Environment{Board: boards.GenericUnknown, Cores: 1, Threads: max(threads, 1), Runtime: runtime,
		Program: version.String()}
	if d, err := boards.Detect(root); err == nil || d.Board.ID != "" {
		e.Board = d.Board.ID
	}
	if cpu, err := sysfs.ReadCPU(root); err == nil {
		e.CPU, e.Cores = cpu.Model, cpu.Cores
		e.CPUFeatures = slices.DeleteFunc(slices.Clone(features), func(f string) bool { return !cpu.Has(f) })
	}
	if mode, err := sysfs.ReadPowerMode(root); err == nil {
		e.PowerMode = strings.TrimSpace(strconv.Itoa(mode.ID) + " " + mode.Name)
	}
	if gpu, err := sysfs.ReadGPU(root); err == nil {
		e.GPUMHz = float64(gpu.Clock) / 1e6
	}
	if rails, err := sysfs.Rails(root); err == nil {
		if total, err := sysfs.Total(rails); err == nil {
			e.Watts = float64(total) / 1e3
		}
	}
	e.Kernel = line(root, "proc/sys/kernel/osrelease")
	e.Governor = line(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	e.CPUMHz = clock(root)
	e.LoadAverage = number(line(root, "proc/loadavg"))
	e.Celsius = Celsius(root)
	return e
}

// Celsius returns the temperature of the hottest zone, 0 without any.
func Celsius(root fs.FS) float64 {
	zones, err := sysfs.Temperatures(root)
	if err != nil {
		return 0
	}
	hottest := 0.0
	for _, z := range zones {
		if z.Err == nil && !z.Constant() {
			hottest = max(hottest, float64(z.Value)/1e3)
		}
	}
	return hottest
}

// line returns the first line of a small file, "" when it cannot be read.
func line(root fs.FS, name string) string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	text, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(text)
}

// number returns the first word of a text as a number, 0 when it is none.
func number(text string) float64 {
	word, _, _ := strings.Cut(text, " ")
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0
	}
	return v
}

// clock returns the clock of the first core in MHz: what the governor reports,
// else what /proc/cpuinfo says, else 0.
func clock(root fs.FS) float64 {
	if kHz := number(line(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")); kHz > 0 {
		return kHz / 1e3
	}
	data, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == "cpu MHz" {
			return number(strings.TrimSpace(value))
		}
	}
	return 0
}
