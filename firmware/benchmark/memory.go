package benchmark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"emberwing/infer"
	"emberwing/infer/ort"
	"emberwing/quant/bench"
)

// Child starts this program again to measure the memory of one model.
type Child struct {
	Program string // path of this program
	Library string // of ONNX Runtime
	Model   *infer.Model
	Threads int
}

// Measure runs the hidden command "bench-memory" on the candidate's file in a
// process of its own: what this process has freed would hide what a model needs.
func (c Child) Measure(ctx context.Context, of Candidate) (*bench.Memory, error) {
	dir, err := os.MkdirTemp("", "emberwing-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(file, of.Data, 0o600); err != nil {
		return nil, err
	}
	var shape []string
	for _, d := range c.Model.Input.Shape {
		shape = append(shape, strconv.FormatInt(d, 10))
	}
	var out, why bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Program, "bench-memory", "--library", c.Library, "--threads",
		strconv.Itoa(c.Threads),
		"--input", c.Model.Input.Name, "--shape", strings.Join(shape, ","), "--output", strings.Join(c.outputs(), ","), file)
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("measure memory of mode %s: %w: %s", of.Mode, errors.Join(ctx.Err(), err),
			strings.TrimSpace(why.String()))
	}
	m := new(bench.Memory)
	return m, json.Unmarshal(out.Bytes(), m)
}

// outputs names everything that the model computes.
func (c Child) outputs() []string {
	out := []string{c.Model.Output.Name}
	for k := range infer.NumExtras {
		if x := k.Declared(&c.Model.Manifest); x != nil {
			out = append(out, x.Name)
		}
	}
	return out
}

// MeasureMemory opens one model file on the CPU in this process, runs it three
// times on zeros, and returns the resident set at its highest and before.
func MeasureMemory(library, file string, o ort.NetOptions) (*bench.Memory, error) {
	rt, err := ort.Load(library)
	if err != nil {
		return nil, err
	}
	defer rt.Close()
	base, err := resident("VmRSS")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("measure memory: %w", err)
	}
	net, err := rt.OpenNet(data, o)
	if err != nil {
		return nil, err
	}
	defer net.Close()
	for range 3 {
		if err := net.Run(); err != nil {
			return nil, err
		}
	}
	peak, err := resident("VmHWM")
	return &bench.Memory{PeakBytes: peak, BaseBytes: base}, err
}

// resident reads a field of /proc/self/status in bytes.
func resident(field string) (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	for l := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(l, field+":"); ok {
			kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kB << 10, err
		}
	}
	return 0, fmt.Errorf("measure memory: /proc/self/status has no %s", field)
}
