package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"emberwing/boards"
)

// Clock is the frequency of one CPU cluster now. Cores of a cluster share it, so each policy
// of the kernel is one clock.
type Clock struct {
	Policy string // "policy0"
	Value  boards.Hertz
}

// CPUClocks reads the clocks of the CPU. A machine whose kernel does not scale them, as most
// virtual ones, is ErrAbsent; a policy that cannot be read is left out.
func CPUClocks(fsys fs.FS) ([]Clock, error) {
	dirs, err := children(fsys, "sys/devices/system/cpu/cpufreq", "policy")
	if err != nil {
		return nil, fmt.Errorf("read CPU clocks: %w", err)
	}
	var clocks []Clock
	for _, dir := range dirs {
		text, err := readText(fsys, path.Join(dir, "scaling_cur_freq"))
		if err != nil {
			continue
		}
		if khz, err := strconv.ParseUint(text, 10, 40); err == nil {
			clocks = append(clocks, Clock{path.Base(dir), boards.Hertz(khz) * boards.KHz})
		}
	}
	if len(clocks) == 0 {
		return nil, fmt.Errorf("read CPU clocks: %w", ErrAbsent)
	}
	return clocks, nil
}

// ResidentMemory is what this process holds in memory now.
func ResidentMemory(fsys fs.FS, pageSize int) (boards.Bytes, error) {
	text, err := readText(fsys, "proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("read resident memory: %w", err)
	}
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return 0, errors.New("read resident memory: /proc/self/statm has no second number")
	}
	pages, err := strconv.ParseUint(fields[1], 10, 50)
	if err != nil {
		return 0, fmt.Errorf("read resident memory: %w", err)
	}
	return boards.Bytes(pages) * boards.Bytes(pageSize), nil
}
