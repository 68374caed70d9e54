package infer

import (
	"errors"
	"strings"
)

// The named faults of a model. Each is wrapped in an [Error] or a
// [ManifestError] that says which file, what was found and what was expected.
var (
	ErrManifest     = errors.New("manifest is invalid")
	ErrLabels       = errors.New("labels are missing or wrong")
	ErrShape        = errors.New("tensor shape differs")
	ErrDType        = errors.New("tensor element type differs")
	ErrTensor       = errors.New("tensor name differs")
	ErrTruncated    = errors.New("file is truncated")
	ErrSize         = errors.New("file size differs")
	ErrChecksum     = errors.New("sha256 differs")
	ErrModel        = errors.New("not an ONNX model")
	ErrModelVersion = errors.New("model is too new for the library")
	ErrVariant      = errors.New("model has no such variant")
	ErrUnknownModel = errors.New("unknown model")
)

// The named faults of precision and provider selection, and of running.
var (
	ErrPrecision = errors.New("precision is refused")
	ErrProvider  = errors.New("execution provider is not available")
	ErrOptions   = errors.New("session options are invalid")
	ErrSlot      = errors.New("no such slot")
	ErrBusy      = errors.New("slot is already running")
	ErrNotFinite = errors.New("logits hold NaN or infinity")
)

// Error is a named fault with its circumstances. errors.Is finds Err.
type Error struct {
	Op   string // what was being done, e.g. "read model"
	File string // the file or the key concerned
	Got  string // what was found
	Want string // what was expected
	Hint string // what a person can do about it
	Err  error  // one of the sentinel errors, possibly wrapped
}

// Error prints "op file: fault: got X, want Y (hint)", leaving out what is
// empty.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	part(&b, " ", e.File)
	if e.Err != nil {
		part(&b, ": ", e.Err.Error())
	}
	part(&b, ": got ", e.Got)
	if e.Got == "" {
		part(&b, ": want ", e.Want)
	} else {
		part(&b, ", want ", e.Want)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func part(b *strings.Builder, sep, s string) {
	if s != "" {
		b.WriteString(sep + s)
	}
}

// Unwrap returns the named fault.
func (e *Error) Unwrap() error { return e.Err }

// Fault is one mistake in a manifest.
type Fault struct {
	Key  string // path of the key, e.g. "variants[1].sha256"
	Got  string // the value found, as JSON or in words
	Want string // what would be right
	Err  error  // the named error it belongs to, ErrManifest if no other
}

// String prints "key: got X, want Y".
func (f Fault) String() string { return f.Key + ": got " + f.Got + ", want " + f.Want }

// ManifestError reports every fault of one manifest.
type ManifestError struct {
	File   string // "" when the manifest was not read from a file
	Faults []Fault
}

// Error prints one fault a line.
func (e *ManifestError) Error() string {
	var b strings.Builder
	b.WriteString("manifest")
	part(&b, " ", e.File)
	for _, f := range e.Faults {
		sep := "\n\t"
		if len(e.Faults) == 1 {
			sep = ": "
		}
		b.WriteString(sep + f.String())
	}
	return b.String()
}

// Unwrap returns ErrManifest and the named error of each fault.
func (e *ManifestError) Unwrap() []error {
	errs := []error{ErrManifest}
	for _, f := range e.Faults {
		if f.Err != nil {
			errs = append(errs, f.Err)
		}
	}
	return errs
}
