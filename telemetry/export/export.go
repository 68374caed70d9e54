// Package export writes events in the formats of other systems: GeoJSON for maps, CAP 1.2
// for agencies, Cursor-on-Target for TAK; and hands them on by file, HTTP or UDP.
//
// An export is a view. It says what a machine believes until a person has judged the event:
// the certainty of CAP is Likely or Possible, and Observed only after the verdict "fire".
// What is a drill says so in every format. The same step of an event always gives the same
// bytes and the same identifiers, so sending it twice does no harm.
package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// ErrNoPosition says that a format needs to know where, and the drone did not.
var ErrNoPosition = errors.New("the position of the event is not known")

// Format names an encoding.
type Format string

// The formats.
const (
	GeoJSON Format = "geojson"
	CAP     Format = "cap"
	CoT     Format = "cot"
)

// Formats lists every format.
func Formats() []Format { return []Format{GeoJSON, CAP, CoT} }

// ContentType of a format.
func (f Format) ContentType() string {
	switch f {
	case GeoJSON:
		return "application/geo+json"
	case CAP:
		return "application/cap+xml"
	}
	return "application/xml"
}

// Extension of files in a format.
func (f Format) Extension() string {
	if f == GeoJSON {
		return ".geojson"
	}
	return "." + string(f) + ".xml"
}

// Mode says whether messages are meant.
type Mode string

// The modes of a station. An alert that is marked as a drill is an exercise in any of them
// but Test.
const (
	Actual   Mode = "Actual"
	Exercise Mode = "Exercise"
	Test     Mode = "Test"
)

// Options of the encodings. Zero means the default.
type Options struct {
	Sender string        // who answers for the message: a domain or an address, "emberwing"
	Mode   Mode          // Actual
	Stale  time.Duration // after which a step of an event is no longer news, 10 min
}

func (o Options) withDefaults() Options {
	if o.Sender == "" {
		o.Sender = "emberwing"
	}
	if o.Mode == "" {
		o.Mode = Actual
	}
	if o.Stale <= 0 {
		o.Stale = 10 * time.Minute
	}
	return o
}

// Validate reports options that a format could not carry.
func (o Options) Validate() error {
	if strings.ContainsAny(o.Sender, " ,<&\t\n") {
		return fmt.Errorf("export: sender %q: CAP allows no space, comma, < or & in it", o.Sender)
	}
	if o.Mode != "" && !slices.Contains([]Mode{Actual, Exercise, Test}, o.Mode) {
		return fmt.Errorf("export: got mode %q, want Actual, Exercise or Test", o.Mode)
	}
	return nil
}

// Encode writes an event in a format. first is when its first step was received.
func Encode(f Format, e *store.Event, o Options) ([]byte, error) {
	o = o.withDefaults()
	switch f {
	case GeoJSON:
		return encodeGeoJSON(e, o)
	case CAP:
		return encodeCAP(e, o)
	case CoT:
		return encodeCoT(e, o)
	}
	return nil, fmt.Errorf("export: got format %q, want one of %v", f, Formats())
}

// mode is that of the station, or Exercise for a drill.
func (o Options) mode(e *store.Event) Mode {
	drill := e.Latest.Exercise || e.Verdict != nil && e.Verdict.Verdict == string(wire.VerdictExercise)
	if o.Mode == Actual && drill {
		return Exercise
	}
	return o.Mode
}

// judgement is what people have made of an event.
type judgement int

const (
	unjudged  judgement = iota
	confirmed           // it is what the alert says
	undecided           // looked at, no conclusion
	rejected            // it is something else
)

func judge(e *store.Event) judgement {
	if e.Verdict == nil {
		return unjudged
	}
	switch wire.Verdict(e.Verdict.Verdict) {
	case wire.VerdictFire, wire.VerdictExercise:
		return confirmed
	case wire.VerdictUnknown:
		return undecided
	}
	return rejected
}

// over reports whether nothing more is to be expected of the event.
func over(e *store.Event) bool { return e.Phase == wire.PhaseEnd || judge(e) == rejected }

// updated is the time of the state that is exported.
func updated(e *store.Event) time.Time {
	if e.Verdict != nil && e.Verdict.At.After(e.Last.Time) {
		return e.Verdict.At.Time
	}
	return e.Last.Time
}

// began is when the event did, by the clock of the drone where that makes sense, else when the
// station heard of it first: a clock that was never set, or runs ahead, would tell readers of a
// fire of 1970 or of tomorrow.
func began(e *store.Event) time.Time {
	if e.Clock == wire.ClockNone || e.Started.After(e.First.Time) {
		return e.First.Time
	}
	return e.Started.Time
}

// uid names an event in all formats, in characters that none of them forbids and in a length
// that a file name may have. What it ends with is of everything that makes an event what it is:
// a drone that gives its event the name of another's must not replace that one.
func uid(e *store.Event) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Fleet, e.Drone, e.Boot, e.Event}, "\x00")))
	name := clean(e.Fleet) + "." + clean(e.Event)
	return "emberwing." + strings.ToValidUTF8(name[:min(len(name), maxUID)], "") + "." + hex.EncodeToString(sum[:8])
}

const maxUID = 160 // bytes of the part that people can read

func clean(id string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x21 || r == 0x7f || strings.ContainsRune(`,<&>"'/`, r) || r == '\uFFFD' {
			return '_'
		}
		return r
	}, id)
}

// xmlText drops what XML 1.0 cannot carry in any way.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			return r
		}
		return -1
	}, s)
}

// headline is one line for people.
func headline(e *store.Event, o Options) string {
	first, size := utf8.DecodeRuneInString(e.Label)
	text := fmt.Sprintf("%c%s seen by drone %s", unicode.ToUpper(first), e.Label[size:], e.Drone)
	if e.Task == wire.TaskGesture {
		text = fmt.Sprintf("Person signals %q to drone %s", e.Label, e.Drone)
	}
	switch judge(e) {
	case confirmed:
		text += ", confirmed by a person"
	case rejected:
		text += ", judged to be " + strings.ReplaceAll(e.Verdict.Verdict, "_", " ")
	default:
		text += ", not yet confirmed by a person"
	}
	if m := o.mode(e); m != Actual {
		text = strings.ToUpper(string(m)) + ": " + text
	}
	return xmlText(text)
}

// why says on what the alert rests.
func why(e *store.Event) string {
	v := e.Latest.Evidence
	text := fmt.Sprintf("%d of %d frames above the threshold %.2f; calibrated score %.2f, highest %.2f; model %s, %s on %s.",
		v.Agree, v.Window, v.Threshold, v.Calibrated, e.Peak, v.Model.Name, v.Model.EffectivePrecision,
		v.Model.EffectiveProvider)
	if e.Late {
		text += " The drone could not send it earlier."
	}
	if e.Verdict != nil {
		text += fmt.Sprintf(" Verdict of %s: %s. %s", e.Verdict.Operator, e.Verdict.Verdict, e.Verdict.Note)
	}
	return xmlText(strings.TrimSpace(text))
}
