package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"emberwing/boards"
)

// GPU is the state of the graphics processor.
type GPU struct {
	Device   string       // devfreq entry: "57000000.gpu"
	Clock    boards.Hertz // now
	Min, Max boards.Hertz // bounds of the current power mode; 0 = unknown
	Governor string       // "nvhost_podgov"
	// Load is the busy share; LoadErr is nil or wraps ErrNoData or
	// fs.ErrPermission.
	Load    boards.PerMille
	LoadErr error
}

// ReadGPU reads the GPU of a Jetson. A machine without one is ErrAbsent; a
// clock that cannot be read is an error too, a load that cannot is LoadErr.
func ReadGPU(fsys fs.FS) (GPU, error) {
	dir, err := gpuDir(fsys)
	if err != nil {
		return GPU{}, fmt.Errorf("read GPU: %w", err)
	}
	g := GPU{Device: path.Base(dir)}
	if g.Clock, err = hertz(fsys, dir, "cur_freq"); err != nil {
		return GPU{}, fmt.Errorf("read GPU: %w", err)
	}
	g.Min, _ = hertz(fsys, dir, "min_freq")
	g.Max, _ = hertz(fsys, dir, "max_freq")
	g.Governor, _ = readText(fsys, path.Join(dir, "governor"))
	g.Load, g.LoadErr = load(fsys, dir)
	return g, nil
}

// gpuDir finds the devfreq entry of the GPU: by the name of its device-tree
// node, else by its own name (Thor has no such node).
func gpuDir(fsys fs.FS) (string, error) {
	dirs, err := children(fsys, "sys/class/devfreq", "")
	if err != nil {
		return "", err
	}
	for _, dir := range dirs {
		node, err := readText(fsys, path.Join(dir, "device/of_node/name"))
		if err == nil && slices.Contains([]string{"gpu", "gp10b", "gv11b", "ga10b", "gb10b"}, node) {
			return dir, nil
		}
	}
	for _, dir := range dirs {
		name := path.Base(dir)
		if strings.HasPrefix(name, "gpu-gpc") || slices.Contains([]string{"gpu", "gp10b", "gv11b", "ga10b"}, suffix(name)) {
			return dir, nil
		}
	}
	return "", ErrAbsent
}

// suffix is the part of "17000000.ga10b" after the dot.
func suffix(name string) string {
	_, s, _ := strings.Cut(name, ".")
	return s
}

// hertz reads a frequency.
func hertz(fsys fs.FS, dir, name string) (boards.Hertz, error) {
	n, err := readInt(fsys, path.Join(dir, name))
	if err != nil {
		return 0, noReading(err)
	}
	if n < 0 {
		return 0, fmt.Errorf("read /%s: %w: got %d Hz", path.Join(dir, name), ErrNoData, n)
	}
	return boards.Hertz(n), nil
}

// load reads the busy share next to the GPU's device, or where older kernels
// have it.
func load(fsys fs.FS, dir string) (boards.PerMille, error) {
	names := []string{path.Join(dir, "device/load"), "sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load"}
	for _, name := range names {
		n, err := readInt(fsys, name)
		switch {
		case errors.Is(err, ErrAbsent):
			continue
		case err != nil:
			return 0, err
		case n < 0 || n > 1000:
			return 0, fmt.Errorf("read /%s: %w: got %d per mille", name, ErrNoData, n)
		}
		return boards.PerMille(n), nil
	}
	return 0, fmt.Errorf("GPU load: %w", ErrNoData)
}
