package infer

import (
	"fmt"
	"time"
)

// Session runs one variant of a model. Its slots are independent pairs of
// input and output memory, so that one can be filled while another runs.
//
// Different slots may be used concurrently. One slot belongs to one caller at
// a time: fill Input, Run, read Output. Memory of a slot stays valid and in
// place until Close; it must not be touched afterwards.
type Session interface {
	// Input returns the input of a slot: float32 in the shape, layout and
	// normalisation that the manifest declares. nil for a slot out of range.
	Input(slot int) []float32
	// Output returns the main output of a slot's last Run in the shape that the
	// manifest declares: of a classifier the logits, one for each label.
	// nil for a slot out of range.
	Output(slot int) []float32
	// Extra returns a further output of a slot's last Run. nil for a slot out
	// of range and for an output that the manifest does not declare.
	Extra(slot int, kind ExtraKind) []float32
	// Run computes the outputs of slot its input without allocating. It
	// returns ErrSlot, ErrBusy when the slot is running already, and
	// os.ErrClosed after Close.
	Run(slot int) error
	// Report says what runs, and what was asked for.
	Report() Report
	// Close waits for running slots and frees everything. It is idempotent.
	Close() error
}

// ExtraKind names a further output of a session.
type ExtraKind int

// The further outputs.
const (
	Features ExtraKind = iota // Manifest.Features
	CAM                       // Manifest.CAM
	NumExtras
)

// Declared returns what m declares for the output, nil for nothing.
func (k ExtraKind) Declared(m *Manifest) *Extra {
	switch k {
	case Features:
		return m.Features
	case CAM:
		return m.CAM
	}
	return nil
}

// Options says how to open a session.
type Options struct {
	// Precision is what is requested; empty means fp32.
	Precision Precision
	// Method demands an int8 file made that way; empty takes any.
	Method Method
	// Providers lists the execution providers to try, in order; empty means
	// CPU only. The first is the requested one.
	Providers []Provider
	// Strict makes every fallback of provider or precision an error.
	Strict bool
	// Threads is the number of threads of the CPU pool; 0 means one less
	// than the cores, at least 1.
	Threads int
	// Slots is the number of input/output pairs; 0 means 1, at most 64.
	Slots int
	// CacheDir keeps built TensorRT engines; empty disables the cache.
	CacheDir string
	// Board is what is known about the board.
	Board Capability
}

// MaxSlots is the largest number of slots of a session.
const MaxSlots = 64

// WithDefaults returns o with empty fields filled in, or ErrOptions. cores is
// the number of processors.
func (o Options) WithDefaults(cores int) (Options, error) {
	if o.Precision == "" {
		o.Precision = FP32
	}
	if len(o.Providers) == 0 {
		o.Providers = []Provider{CPU}
	}
	if o.Threads == 0 {
		o.Threads = max(1, cores-1)
	}
	if o.Slots == 0 {
		o.Slots = 1
	}
	return o, o.check()
}

func (o Options) check() error {
	bad := func(key string, got any, want string) error {
		return &Error{Op: "open session: option", File: key, Err: ErrOptions, Got: fmt.Sprint(got), Want: want}
	}
	switch {
	case !o.Precision.Valid():
		return bad("Precision", o.Precision, "fp32, fp16 or int8")
	case !o.Method.valid():
		return bad("Method", o.Method, "ptq or qat, or empty for any")
	case o.Threads < 1 || o.Threads > 256:
		return bad("Threads", o.Threads, "1..256")
	case o.Slots < 1 || o.Slots > MaxSlots:
		return bad("Slots", o.Slots, fmt.Sprintf("1..%d", MaxSlots))
	}
	seen := map[Provider]bool{}
	for _, p := range o.Providers {
		if !p.Valid() || seen[p] {
			return bad("Providers", o.Providers, "tensorrt, cuda and cpu, each at most once")
		}
		seen[p] = true
	}
	return nil
}

// Report says what a session runs and what was requested. It is filled when
// the session opens; reading it costs nothing.
type Report struct {
	Model  string // name of the manifest
	SHA256 string // of the file that runs
	Method Method // how that file got its scales, "" if unstated
	Target Target // the provider it was made for, "" for any

	RequestedPrecision Precision
	Precision          Precision // effective: what is really computed
	RequestedProvider  Provider  // first of Options.Providers
	Provider           Provider  // effective
	// Fallback says why effective and requested differ; "" when they do not.
	Fallback string

	Library     string // version of the runtime library, e.g. "1.26.0"
	LibraryPath string // file it was loaded from
	Threads     int    // threads of the CPU pool
	Slots       int
	LoadTime    time.Duration // reading, verifying and building the session
}
