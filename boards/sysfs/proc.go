package sysfs

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"emberwing/boards"
)

// Memory is what /proc/meminfo says. On a Jetson the GPU shares it.
type Memory struct {
	Total     boards.Bytes
	Available boards.Bytes // what a program may still take: gate model loading on this
	SwapTotal boards.Bytes
	SwapFree  boards.Bytes
}

// ReadMemory reads the state of the memory. Without a total it is ErrNoData.
func ReadMemory(fsys fs.FS) (Memory, error) {
	b, err := readFile(fsys, "proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	var m Memory
	fields := map[string]*boards.Bytes{
		"MemTotal": &m.Total, "MemAvailable": &m.Available, "SwapTotal": &m.SwapTotal, "SwapFree": &m.SwapFree,
	}
	eachField(b, func(key, value string) {
		kb, err := strconv.ParseUint(strings.TrimSuffix(value, " kB"), 10, 50)
		if dst := fields[key]; dst != nil && err == nil {
			*dst = boards.Bytes(kb) * boards.KiB
		}
	})
	if m.Total == 0 {
		return Memory{}, fmt.Errorf("read memory: %w: /proc/meminfo has no MemTotal", ErrNoData)
	}
	return m, nil
}

// CPU is what /proc/cpuinfo says of the first core and how many there are.
type CPU struct {
	Model string // "Intel(R) …"; on arm64, which has no name, "implementer 0x41 part 0xd07"
	Cores int
	// Features are the kernel's names, sorted: "avx2", "avx512_vnni",
	// "asimddp". Those decide how fast INT8 runs on a CPU.
	Features []string
}

// Has says whether the CPU has a feature.
func (c CPU) Has(feature string) bool {
	_, ok := slices.BinarySearch(c.Features, feature)
	return ok
}

// ReadCPU reads the CPU's model and features.
func ReadCPU(fsys fs.FS) (CPU, error) {
	b, err := readFile(fsys, "proc/cpuinfo")
	if err != nil {
		return CPU{}, fmt.Errorf("read CPU: %w", err)
	}
	var c CPU
	first := map[string]string{}
	eachField(b, func(key, value string) {
		if key == "processor" {
			c.Cores++
		}
		if _, seen := first[key]; !seen {
			first[key] = value
		}
	})
	c.Model = first["model name"]
	if c.Model == "" && first["CPU implementer"] != "" {
		c.Model = fmt.Sprintf("implementer %s part %s", first["CPU implementer"], first["CPU part"])
	}
	c.Features = strings.Fields(first["flags"] + " " + first["Features"])
	slices.Sort(c.Features)
	if c.Cores == 0 {
		return CPU{}, fmt.Errorf("read CPU: %w: /proc/cpuinfo lists no processor", ErrNoData)
	}
	return c, nil
}

// eachField calls f for every "key : value" line, trimmed and printable.
func eachField(b []byte, f func(key, value string)) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxFile+1)
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.Map(toSpace, lines.Text()), ":")
		if ok {
			f(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
}

// toSpace keeps tabs as spaces and drops what does not print.
func toSpace(r rune) rune {
	if r == '\t' {
		return ' '
	}
	return printable(r)
}
