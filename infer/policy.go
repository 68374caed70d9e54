package infer

import (
	"fmt"
	"slices"
)

// Capability is what a caller knows about the board. The zero value means
// that nothing is known, and nothing is refused on its account.
type Capability struct {
	// Board names the board in messages and cache keys, e.g. "jetson-nano".
	Board string
	// Fast lists the precisions for which the GPU has fast arithmetic; nil
	// when unknown.
	Fast []Precision
}

// Choice is the answer of [Choose]: which file to run and what it computes in.
type Choice struct {
	Variant   Variant   // file to open
	Effective Precision // what the provider really computes in
	Reason    string    // why Effective is not what was requested, "" if it is
}

// PrecisionError refuses a precision and offers another. It is ErrPrecision.
type PrecisionError struct {
	Requested Precision
	Provider  Provider
	Offered   Precision // "" if nothing else is possible
	Reason    string
}

// Error names the reason and the alternative.
func (e *PrecisionError) Error() string {
	s := fmt.Sprintf("choose precision %s on %s: %v: %s", e.Requested, e.Provider, ErrPrecision, e.Reason)
	if e.Offered == "" {
		return s
	}
	return s + fmt.Sprintf(" (request %s instead)", e.Offered)
}

// Unwrap returns ErrPrecision.
func (e *PrecisionError) Unwrap() error { return ErrPrecision }

// Choose applies the precision policy to a request. It is a pure function:
//
//   - on a GPU, a precision without fast arithmetic is refused with a
//     [*PrecisionError] that offers the next one that is fast;
//   - int8 runs only from a QDQ file; a missing one is ErrVariant;
//   - fp16 runs from an fp16 file or, on TensorRT, from the fp32 file;
//   - the CPU computes fp16 in fp32, CUDA computes fp16 without an fp16 file
//     and QDQ files in fp32: the choice is then fp32 with the reason.
//
// Among several files of a precision, [Manifest.Select] takes the one made for
// the provider; method, if not empty, demands one made that way.
func Choose(m *Manifest, requested Precision, method Method, on Provider, board Capability) (Choice, error) {
	if !requested.Valid() || !on.Valid() {
		return Choice{}, &Error{Op: "choose precision", Err: ErrOptions,
			Got: fmt.Sprintf("%q on %q", requested, on), Want: "fp32, fp16 or int8 on tensorrt, cuda or cpu"}
	}
	if err := refuse(requested, on, board); err != nil {
		return Choice{}, err
	}
	file, reason := requested, ""
	switch {
	case requested == FP16 && on == CPU:
		file, reason = FP32, "the CPU provider computes fp16 models in fp32"
	case requested == FP16 && !m.hasPrecision(FP16):
		file = FP32
		if on == CUDA {
			reason = "CUDA needs an fp16 file and model " + m.Name + " has none"
		}
	case requested == INT8 && on == CUDA:
		file, reason = FP32, "the CUDA provider computes quantised models in fp32"
	}
	if file != requested {
		method = "" // of the file that was asked for, not of its substitute
	}
	v, err := m.Select(file, on, method)
	if err != nil {
		return Choice{}, err
	}
	c := Choice{Variant: v, Effective: requested, Reason: reason}
	if reason != "" {
		c.Effective = FP32
	}
	return c, nil
}

// refuse returns an error if the GPU of the board is slow in precision p.
func refuse(p Precision, on Provider, board Capability) error {
	if on == CPU || p == FP32 || board.Fast == nil || slices.Contains(board.Fast, p) {
		return nil
	}
	offered := FP32
	if p == INT8 && slices.Contains(board.Fast, FP16) {
		offered = FP16
	}
	name := board.Board
	if name == "" {
		name = "this board"
	}
	return &PrecisionError{Requested: p, Provider: on, Offered: offered,
		Reason: fmt.Sprintf("the GPU of %s has no fast %s", name, p)}
}
