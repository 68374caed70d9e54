package ort

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"emberwing/infer"
)

// Error is a fault reported by ONNX Runtime. It prints as one line; %+v adds
// the whole message and what the library logged meanwhile.
type Error struct {
	Op   string // what was being done
	Line string // the gist of the message
	Full string // the message as it came
	Log  string // log lines of the library, may be empty
	Err  error  // named error it stands for, nil if none
}

// Error prints the operation and the gist.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op + ": " + e.Line
	}
	return e.Op + ": " + e.Err.Error() + ": " + e.Line
}

// Unwrap returns the named error, if the message is known to mean one.
func (e *Error) Unwrap() error { return e.Err }

// Format implements fmt.Formatter: %+v prints everything.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(f, "%q", e.Error())
		return
	}
	fmt.Fprint(f, e.Error())
	if verb == 'v' && f.Flag('+') {
		fmt.Fprintf(f, "\nmessage: %s", e.Full)
		if e.Log != "" {
			fmt.Fprintf(f, "\nlog:\n%s", e.Log)
		}
	}
}

// origin matches the C++ signature and source position that the library puts
// before a message.
var origin = regexp.MustCompile(`^\S*/[\w./-]+\.(?:cc|h):\d+ .*?\) (?:const )?`)

// preambles are phrases before a message that say nothing.
var preambles = []string{"Error creating C session: ", "Load model from memory failed:", "Failed to load model with error: "}

// longest is the length in bytes of a line that gist does not cut.
const longest = 240

// meanings maps parts of messages, in lower case, to named errors.
var meanings = []struct {
	part string
	err  error
}{
	{"unsupported model ir version", infer.ErrModelVersion},
	{"is under development and support for this is limited", infer.ErrModelVersion},
	{"is not a registered function/op", infer.ErrModelVersion},
	{"no op registered for", infer.ErrModelVersion},
	{"protobuf parsing failed", infer.ErrModel},
	{"invalid_protobuf", infer.ErrModel},
	{"failed to load shared library", infer.ErrProvider},
	{"failed to load library", infer.ErrProvider},
	{"provider is not enabled in this build", infer.ErrProvider},
	{"fallback to cpu ep has been explicitly disabled", infer.ErrProvider},
}

// newError turns an error of the wrapper into an *Error. log is what the
// library logged during the call.
func newError(op string, err error, log string) *Error {
	full := err.Error()
	e := &Error{Op: op, Full: full, Log: log, Line: gist(full)}
	lower := strings.ToLower(full)
	for _, m := range meanings {
		if strings.Contains(lower, m.part) {
			e.Err = m.err
			break
		}
	}
	var known *infer.Error
	if errors.As(err, &known) {
		e.Err = err
	}
	return e
}

// brief returns why a provider was passed over, without what everybody knows.
func brief(err error) string {
	var fromLibrary *Error
	var known *infer.Error
	switch {
	case errors.As(err, &fromLibrary):
		return fromLibrary.Line
	case errors.As(err, &known):
		return strings.TrimPrefix(known.Err.Error(), infer.ErrProvider.Error()+": ")
	}
	return err.Error()
}

// gist returns the first line that says something, without preambles and
// source positions, cut after the sentence that makes it too long.
func gist(msg string) string {
	for _, p := range preambles {
		msg = strings.TrimPrefix(msg, p)
	}
	for line := range strings.Lines(msg) {
		line = strings.TrimSpace(origin.ReplaceAllString(strings.TrimSpace(line), ""))
		if line != "" {
			return cut(line)
		}
	}
	return "no message"
}

// newOpset matches the message about an operator set that the library does
// not know; the gist of it stands at its ends.
var newOpset = regexp.MustCompile(`Opset (\d+) is under development.* support for domain (\S+) is till opset (\d+)`)

func cut(line string) string {
	if m := newOpset.FindStringSubmatch(line); m != nil {
		return fmt.Sprintf("opset %s of %s: the library knows them up to %s", m[1], m[2], m[3])
	}
	if len(line) <= longest {
		return line
	}
	if i := strings.LastIndex(line[:longest], ". "); i > 0 {
		return line[:i+1] + " …"
	}
	return strings.ToValidUTF8(line[:longest], "") + "…"
}
