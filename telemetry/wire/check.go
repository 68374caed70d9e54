package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrValue is what every *FieldError is.
var ErrValue = errors.New("value out of range")

// FieldError names the field of a message (or the part of a topic) that breaks the
// schema. Field is the JSON path, e.g. "evidence.position.lat".
type FieldError struct {
	Field string
	Got   string
	Want  string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: got %s, want %s", e.Field, e.Got, e.Want)
}

// Is makes errors.Is(err, ErrValue) true.
func (e *FieldError) Is(target error) bool { return target == ErrValue }

// checker keeps the first fault found; prefix is the path of the struct at hand.
type checker struct {
	prefix string
	err    error
}

func (c *checker) fail(field, got, want string) {
	if c.err == nil {
		c.err = &FieldError{Field: c.prefix + field, Got: got, Want: want}
	}
}

// in runs check with field names below name.
func (c *checker) in(name string, check func(*checker)) {
	if c.err != nil {
		return
	}
	outer := c.prefix
	c.prefix += name + "."
	check(c)
	c.prefix = outer
}

func (c *checker) id(field, s string) {
	switch {
	case s == "" || len(s) > MaxID:
		c.fail(field, clip(s), fmt.Sprintf("1 to %d bytes", MaxID))
	case !utf8.ValidString(s):
		c.fail(field, clip(s), "valid UTF-8")
	case strings.HasPrefix(s, "$"):
		c.fail(field, clip(s), "an id that does not begin with $")
	case strings.ContainsFunc(s, badInID):
		c.fail(field, clip(s), "an id without / + # spaces or control characters")
	}
}

func badInID(r rune) bool {
	return strings.ContainsRune("/+#", r) || unicode.IsSpace(r) || unicode.IsControl(r) || !unicode.IsPrint(r)
}

// name checks a text that must be there, text one that may be empty.
func (c *checker) name(field, s string) {
	if s == "" {
		c.fail(field, `""`, "a name")
	}
	c.text(field, s, MaxName)
}

func (c *checker) text(field, s string, limit int) {
	switch {
	case len(s) > limit:
		c.fail(field, fmt.Sprintf("%d bytes", len(s)), fmt.Sprintf("at most %d bytes", limit))
	case !utf8.ValidString(s):
		c.fail(field, clip(s), "valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		c.fail(field, clip(s), "text without control characters")
	}
}

// sha256 accepts 64 lower-case hexadecimal digits, or nothing when optional.
func (c *checker) sha256(field, s string, optional bool) {
	if s == "" && optional {
		return
	}
	if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		c.fail(field, clip(s), "64 lower-case hexadecimal digits")
	}
}

func (c *checker) oneOf(field, got string, want ...string) {
	for _, w := range want {
		if got == w {
			return
		}
	}
	c.fail(field, clip(got), strings.Join(want, ", "))
}

func (c *checker) intRange(field string, v, lo, hi int64) {
	if v < lo || v > hi {
		c.fail(field, fmt.Sprint(v), fmt.Sprintf("%d to %d", lo, hi))
	}
}

func (c *checker) count(field string, v uint64) {
	if v > MaxSeq {
		c.fail(field, fmt.Sprint(v), fmt.Sprintf("0 to %d", int64(MaxSeq)))
	}
}

func (c *checker) floatRange(field string, v, lo, hi float64) {
	if math.IsNaN(v) || v < lo || v > hi {
		c.fail(field, fmt.Sprint(v), fmt.Sprintf("%g to %g", lo, hi))
	}
}

// degrees checks a direction.
func (c *checker) degrees(field string, v float64) {
	if v == 360 {
		c.fail(field, "360", "0 instead")
	}
	c.floatRange(field, v, 0, 360)
}

// jpeg checks a picture by its first bytes and its size; whoever shows it decodes it.
func (c *checker) jpeg(field string, b []byte, limit int, optional bool) {
	switch {
	case len(b) == 0 && optional:
	case len(b) > limit:
		c.fail(field, fmt.Sprintf("%d bytes", len(b)), fmt.Sprintf("at most %d", limit))
	case !bytes.HasPrefix(b, []byte{0xff, 0xd8, 0xff}):
		c.fail(field, fmt.Sprintf("%d bytes beginning with %x", len(b), b[:min(len(b), 3)]), "a JPEG")
	}
}

func (c *checker) unit(field string, v float64) { c.floatRange(field, v, 0, 1) }

func (c *checker) list(field string, n int) {
	if n > MaxList {
		c.fail(field, fmt.Sprintf("%d entries", n), fmt.Sprintf("at most %d", MaxList))
	}
}

func (c *checker) instant(field string, t Time) {
	if t.IsZero() {
		c.fail(field, "no time", "an RFC 3339 time")
		return
	}
	c.optionalInstant(field, t)
}

func (c *checker) optionalInstant(field string, t Time) {
	if y := t.UTC().Year(); !t.IsZero() && (y < 1970 || y > 9999) {
		c.fail(field, fmt.Sprintf("year %d", y), "1970 to 9999")
	}
}

// clip quotes s for an error text, shortened and with control characters escaped.
func clip(s string) string {
	const limit = 40
	if len(s) <= limit {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… (%d bytes)", s[:limit], len(s))
}
