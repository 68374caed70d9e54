package boards

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Limits on what is read from a board: the real files are far below them.
const (
	maxFile       = 64 << 10
	maxText       = 200 // runes of one string
	maxCompatible = 32  // entries
)

// Detection is what a machine turned out to be, with what was seen.
type Detection struct {
	// Board is the row that fits, or one of the generic rows. It is always
	// set; Known says whether the table has this very board.
	Board Board `json:"board"`
	Known bool  `json:"known"`
	// Matched is the device-tree string that decided, "" if none did.
	Matched string `json:"matched,omitempty"`

	Compatible []string `json:"compatible,omitempty"`
	Model      string   `json:"model,omitempty"`
	DMI        DMI      `json:"dmi,omitzero"`
	CPUModel   string   `json:"cpu_model,omitempty"`
	L4T        L4T      `json:"l4t,omitzero"`
	// JetPack is exact ("4.6.1") or, where the table has no such release,
	// the generation ("6.2"); "" without L4T.
	JetPack     string `json:"jetpack,omitempty"`
	MemoryTotal Bytes  `json:"memory_total,omitempty"` // 0 = unknown
	// Warnings say in words what does not fit together.
	Warnings []string `json:"warnings,omitempty"`
}

// DMI is what the firmware of a PC says about itself.
type DMI struct {
	Vendor  string `json:"vendor,omitempty"`
	Product string `json:"product,omitempty"`
}

// Detect reads the device tree, the L4T release, DMI and the amount of memory
// from a file system rooted at "/". The Detection is usable even when an
// error is returned: the error joins the files that exist and could not be
// read. A machine that the table does not know is no error: it gets a generic
// row and Known is false.
func Detect(fsys fs.FS) (Detection, error) {
	r := reader{fsys: fsys}
	d := Detection{
		Compatible: splitNUL(r.first("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible")),
		Model:      clean(string(r.first("proc/device-tree/model", "sys/firmware/devicetree/base/model"))),
		DMI: DMI{
			Vendor:  clean(string(r.first("sys/devices/virtual/dmi/id/sys_vendor"))),
			Product: clean(string(r.first("sys/devices/virtual/dmi/id/product_name"))),
		},
		L4T:         parseL4T(r.first("etc/nv_tegra_release")),
		MemoryTotal: memTotal(r.first("proc/meminfo")),
	}
	cpuinfo := r.first("proc/cpuinfo")
	d.CPUModel = cpuField(cpuinfo, "model name")
	d.choose(Table(), cpuinfo)
	d.JetPack = jetpackOf(d.L4T)
	d.warn()
	return d, errors.Join(r.errs...)
}

// choose sets Board, Known and Matched.
func (d *Detection) choose(table []Board, cpuinfo []byte) {
	b, matched, rank := match(table, d.Compatible)
	if rank == noMatch {
		d.Board, _ = ByID(genericFor(cpuinfo, d.DMI))
		return
	}
	d.Matched = matched
	d.Board = d.refine(table, b)
	d.Known = !b.Generic
	if rank == moduleMatch {
		d.Board.Header, d.Board.StatusPin = nil, 0
		d.Warnings = append(d.Warnings, "known module on an unknown carrier: its header is not known")
	}
}

// refine prefers the row that shares b's device-tree strings when the model
// string or the memory says so.
func (d *Detection) refine(table []Board, b Board) Board {
	for _, r := range table {
		if r.Refines != b.ID || b.ID == "" {
			continue
		}
		byModel := r.ModelContains != "" && strings.Contains(d.Model, r.ModelContains)
		byMemory := d.MemoryTotal != 0 && d.MemoryTotal < r.MemoryBelow
		if byModel || byMemory {
			return r
		}
	}
	return b
}

// warn notes what does not fit together.
func (d *Detection) warn() {
	if !d.Known && d.Matched == "" && len(d.Compatible) > 0 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("no board in the table has the device tree %q", d.Compatible))
	}
	if len(d.Compatible) == 0 && d.L4T.Major != 0 {
		d.Warnings = append(d.Warnings, "L4T without a device tree: a container needs /proc/device-tree mounted")
	}
	if d.L4T.Major != 0 && len(d.Board.L4T) > 0 && !slices.Contains(d.Board.L4T, d.L4T.Major) {
		d.Warnings = append(d.Warnings,
			fmt.Sprintf("L4T %s is not known to support %s (known: %v)", d.L4T, d.Board.Name, d.Board.L4T))
	}
}

// Ranks of a match, best first.
const (
	boardMatch = iota
	moduleMatch
	socMatch
	noMatch
)

// match finds the most specific row: one that names board and carrier beats
// one that names the module, which beats one that names the SoC; within a
// rank the earlier device-tree string wins, as device trees list the most
// specific first.
func match(table []Board, compatible []string) (best Board, matched string, rank int) {
	rank = noMatch
	for _, c := range compatible {
		for _, b := range table {
			if r := rankOf(b, c); r < rank {
				best, matched, rank = b, c, r
			}
		}
	}
	return best, matched, rank
}

// rankOf says how closely one device-tree string fits a row.
func rankOf(b Board, compatible string) int {
	switch {
	case slices.Contains(b.Compatible, compatible) && b.Generic:
		return socMatch
	case slices.Contains(b.Compatible, compatible):
		return boardMatch
	case slices.Contains(b.ModuleCompatible, compatible):
		return moduleMatch
	}
	return noMatch
}

// genericFor tells the machine's family from /proc/cpuinfo and DMI.
func genericFor(cpuinfo []byte, dmi DMI) string {
	switch {
	case cpuField(cpuinfo, "vendor_id") != "":
		return GenericX86
	case cpuField(cpuinfo, "CPU implementer") != "":
		return GenericARM64
	case dmi != DMI{}:
		return GenericX86
	}
	return GenericUnknown
}

// jetpackOf falls back from the exact version to the generation.
func jetpackOf(r L4T) string {
	if v := r.JetPack(); v != "" {
		return v
	}
	u, _ := r.Userland()
	return u.JetPack
}

// cpuField returns the first value of a key in /proc/cpuinfo, "" if absent.
func cpuField(cpuinfo []byte, key string) string {
	lines := bufio.NewScanner(bytes.NewReader(cpuinfo))
	for lines.Scan() {
		k, v, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(k) == key {
			return clean(v)
		}
	}
	return ""
}

// memTotal reads "MemTotal: 4059504 kB"; 0 if there is no such line.
func memTotal(meminfo []byte) Bytes {
	fields := strings.Fields(cpuField(meminfo, "MemTotal"))
	if len(fields) != 2 || fields[1] != "kB" {
		return 0
	}
	kb, err := strconv.ParseUint(fields[0], 10, 50)
	if err != nil {
		return 0
	}
	return Bytes(kb) * KiB
}

// splitNUL splits a NUL-separated device-tree list and drops empty entries.
func splitNUL(b []byte) []string {
	var out []string
	for part := range bytes.SplitSeq(b, []byte{0}) {
		if s := clean(string(part)); s != "" && len(out) < maxCompatible {
			out = append(out, s)
		}
	}
	return out
}

// clean makes bytes from firmware fit for a terminal and a log: it stops at
// NUL, drops unprintable runes, trims, and bounds the length.
func clean(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(s) {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			continue
		}
		if n++; n > maxText {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// reader reads bounded files and collects what could not be read.
type reader struct {
	fsys fs.FS
	errs []error
}

// first returns the start of the first of these files that exists, nil if
// none does.
func (r *reader) first(paths ...string) []byte {
	for _, p := range paths {
		b, err := readBounded(r.fsys, p)
		switch {
		case err == nil:
			return b
		case !errors.Is(err, fs.ErrNotExist):
			r.errs = append(r.errs, fmt.Errorf("detect board: %w", err))
		}
	}
	return nil
}

// readBounded reads at most maxFile bytes of a file.
func readBounded(fsys fs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}
