package boards

import (
	"fmt"
	"slices"
)

// Precision names a number format of network weights and activations.
type Precision string

// The precisions a GPU may run at full speed.
const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32"
	FP16 Precision = "fp16"
	INT8 Precision = "int8"
)

// Support is the answer to "does it have this": yes, no, or nobody said.
type Support uint8

// The three answers. Unknown is the zero value.
const (
	Unknown Support = iota
	No
	Yes
)

// String returns "unknown", "no" or "yes".
func (s Support) String() string {
	switch s {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// ComputeCapability is the CUDA architecture version of a GPU; the zero value
// means that there is no CUDA GPU or that it is unknown.
type ComputeCapability struct {
	Major uint8 `json:"major"`
	Minor uint8 `json:"minor"`
}

// String prints "5.3", or "none" for the zero value.
func (c ComputeCapability) String() string {
	if c == (ComputeCapability{}) {
		return "none"
	}
	return fmt.Sprintf("%d.%d", c.Major, c.Minor)
}

// SM prints the compiler's name of the architecture, e.g. "sm_53", or "" for
// the zero value.
func (c ComputeCapability) SM() string {
	if c == (ComputeCapability{}) {
		return ""
	}
	return fmt.Sprintf("sm_%d%d", c.Major, c.Minor)
}

// Grade says how far a figure can be trusted.
type Grade string

// The grades, best first.
const (
	// ReadInSource: read in source code, packaging data or a vendor's file.
	ReadInSource Grade = "read in source"
	// Quoted: a public page that quotes the vendor.
	Quoted Grade = "quoted"
	// FieldReport: a third party's measurement or log.
	FieldReport Grade = "field report"
	// Unverified: common knowledge that no source confirmed.
	Unverified Grade = "unverified"
)

// Source is where figures of a board come from.
type Source struct {
	Of    []Figure `json:"of"`
	Grade Grade    `json:"grade"`
	Ref   string   `json:"ref"`
}

// Figure names one fact of a [Board] that carries a source.
type Figure string

// The figures that [Source.Of] may name.
const (
	OfCompatible     Figure = "compatible"
	OfCompute        Figure = "compute_capability"
	OfCores          Figure = "cores"
	OfGPUClock       Figure = "gpu_max_hz"
	OfMemory         Figure = "memory_bytes"
	OfBandwidth      Figure = "memory_bandwidth"
	OfFastPrecisions Figure = "fast_precisions"
	OfHeader         Figure = "header"
	OfPowerModes     Figure = "power_modes"
	OfL4T            Figure = "l4t"
	OfPeaks          Figure = "peaks"
)

// Line is one GPIO line, named the way the kernel keeps stable: by the label
// of its chip (never by the number of /dev/gpiochipN) and the offset in it.
type Line struct {
	Chip   string `json:"chip"`
	Offset int    `json:"offset"`
	// Name is the kernel's line name, e.g. "PH.07"; "" on kernels that name
	// no lines (the Nano's 4.9).
	Name string `json:"name,omitempty"`
}

// String prints "tegra234-gpio:50 (PH.07)".
func (l Line) String() string {
	if l.Name == "" {
		return fmt.Sprintf("%s:%d", l.Chip, l.Offset)
	}
	return fmt.Sprintf("%s:%d (%s)", l.Chip, l.Offset, l.Name)
}

// HeaderPin is a pin of the 40-pin header that can be driven as an output.
type HeaderPin struct {
	Pin int `json:"pin"` // physical number, 1..40
	Line
}

// PowerMode is one row of nvpmodel.
type PowerMode struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	GPUCap  Hertz  `json:"gpu_cap_hz,omitempty"` // 0 = unknown or uncapped
	Default bool   `json:"default,omitempty"`    // only where a source says so
}

// Peak is the highest rate at which a GPU multiplies and adds in a precision,
// dense matrices unless the note says otherwise.
type Peak struct {
	Precision Precision `json:"precision"`
	// OpsPerSecond counts a multiply-accumulate as two operations.
	OpsPerSecond float64 `json:"ops_per_second"`
	Note         string  `json:"note,omitempty"` // what the vendor's figure includes
}

// Board is one row of the table. Zero values mean unknown, except where a
// field says otherwise.
type Board struct {
	ID   string `json:"id"`   // stable, lower case: "jetson-nano-4gb"
	Name string `json:"name"` // for people
	SoC  string `json:"soc"`
	// Generic marks a row that stands for a family and not for one board: it
	// has no header and matches only when nothing better does.
	Generic bool `json:"generic,omitempty"`

	// Compatible lists the device-tree strings of this board: module and
	// carrier together. ModuleCompatible lists those of the module alone,
	// which say nothing about the carrier's header.
	Compatible       []string `json:"compatible,omitempty"`
	ModuleCompatible []string `json:"module_compatible,omitempty"`
	// Refines names the row that shares these device-tree strings with this
	// one; ModelContains or MemoryBelow tell the two apart.
	Refines       string `json:"refines,omitempty"`
	ModelContains string `json:"-"`
	MemoryBelow   Bytes  `json:"-"`

	ComputeCapability ComputeCapability `json:"compute_capability"`
	CUDACores         int               `json:"cuda_cores,omitempty"`
	TensorCores       int               `json:"tensor_cores,omitempty"`
	GPUMax            Hertz             `json:"gpu_max_hz,omitempty"`
	MemoryBytes       Bytes             `json:"memory_bytes,omitempty"` // nominal, shared by CPU and GPU
	MemoryBandwidth   BytesPerSecond    `json:"memory_bandwidth,omitempty"`
	// FastPrecisions lists what the GPU runs at full speed; nil = unknown or
	// no GPU. Ask with [Board.Fast].
	FastPrecisions []Precision `json:"fast_precisions,omitempty"`
	// Peaks holds the vendor's figures; ask with [Board.Peak].
	Peaks []Peak `json:"peaks,omitempty"`

	Header []HeaderPin `json:"header,omitempty"`
	// StatusPin is the header pin this project wires to its status output;
	// 0 = none. A wiring convention, not a standard.
	StatusPin  int         `json:"status_pin,omitempty"`
	PowerModes []PowerMode `json:"power_modes,omitempty"`
	// L4T lists the major Linux-for-Tegra releases that support the board.
	L4T     []int    `json:"l4t,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Sources []Source `json:"sources,omitempty"`
}

// Fast says whether the board's GPU runs p at full speed. A board without
// listed precisions answers Unknown: the runtime has to find out.
func (b Board) Fast(p Precision) Support {
	if len(b.FastPrecisions) == 0 {
		return Unknown
	}
	if slices.Contains(b.FastPrecisions, p) {
		return Yes
	}
	return No
}

// Peak returns the highest arithmetic rate of the GPU in a precision, and
// whether it is known: the vendor's figure, or for FP32 two operations a clock
// and core.
func (b Board) Peak(p Precision) (Peak, bool) {
	i := slices.IndexFunc(b.Peaks, func(k Peak) bool { return k.Precision == p })
	if i >= 0 {
		return b.Peaks[i], true
	}
	if p != FP32 || b.CUDACores == 0 || b.GPUMax == 0 {
		return Peak{}, false
	}
	return Peak{FP32, 2 * float64(b.CUDACores) * float64(b.GPUMax), "2 operations x cores x highest clock"}, true
}

// Line returns the GPIO line behind a header pin (1..40), and whether that
// pin can be driven.
func (b Board) Line(pin int) (Line, bool) {
	for _, h := range b.Header {
		if h.Pin == pin {
			return h.Line, true
		}
	}
	return Line{}, false
}

// StatusLine returns the line of the conventional status output, and whether
// the board has one.
func (b Board) StatusLine() (Line, bool) { return b.Line(b.StatusPin) }

// SourceOf returns the first source that covers f, and whether there is one.
func (b Board) SourceOf(f Figure) (Source, bool) {
	for _, s := range b.Sources {
		if slices.Contains(s.Of, f) {
			return s, true
		}
	}
	return Source{}, false
}

// ByID returns the row with that identifier, and whether there is one.
func ByID(id string) (Board, bool) {
	for _, b := range Table() {
		if b.ID == id {
			return b, true
		}
	}
	return Board{}, false
}
