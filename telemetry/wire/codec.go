package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What Decode reports, besides ErrTopic and *FieldError (which is ErrValue).
var (
	ErrTooLarge    = errors.New("payload too large")
	ErrSyntax      = errors.New("payload is not one JSON object")
	ErrVersion     = errors.New("schema version not supported")
	ErrMismatch    = errors.New("payload does not belong to its topic")
	ErrUnsupported = errors.New("no payload type for this topic")
)

// Append appends the encoded message to dst and returns the extended slice; on an
// error it returns dst unchanged. It sets V and Kind of the header and turns nil lists
// into empty ones; it changes nothing else.
func Append(dst []byte, m Message) ([]byte, error) {
	h := m.Head()
	h.V, h.Kind = Version, m.kind()
	if l, ok := m.(interface{ fillLists() }); ok {
		l.fillLists()
	}
	if err := m.Validate(); err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.kind(), err)
	}
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.kind(), err)
	}
	out := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if n := len(out) - len(dst); n > MaxPayload {
		return dst, fmt.Errorf("encode %s: %w: got %d bytes, want at most %d", m.kind(), ErrTooLarge, n, MaxPayload)
	}
	return out, nil
}

// Decode parses a message received on topic. The result does not share memory with
// payload.
func Decode(topic string, payload []byte) (Message, error) {
	t, err := ParseTopic(topic)
	if err != nil {
		return nil, err
	}
	m, err := newMessage(t.Kind)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", clip(topic), err)
	}
	if err := decodeInto(m, t, payload); err != nil {
		return nil, fmt.Errorf("decode %s: %w", t.Kind, err)
	}
	return m, nil
}

func newMessage(k Kind) (Message, error) {
	switch k {
	case KindStatus:
		return new(Status), nil
	case KindAlert:
		return new(Alert), nil
	case KindStats:
		return new(Stats), nil
	case KindHealth:
		return new(Health), nil
	case KindPicture:
		return new(Picture), nil
	case KindCommand:
		return new(Command), nil
	case KindResult:
		return new(Result), nil
	case KindReceipt:
		return new(Receipt), nil
	}
	return nil, ErrUnsupported
}

func decodeInto(m Message, t Topic, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("%w: got %d bytes, want at most %d", ErrTooLarge, len(payload), MaxPayload)
	}
	if first := bytes.TrimLeft(payload, " \t\r\n"); len(first) == 0 || first[0] != '{' {
		return fmt.Errorf("%w: got %s", ErrSyntax, clip(string(payload)))
	}
	if err := json.Unmarshal(payload, m); err != nil {
		return jsonError(err, m.Head())
	}
	if v := m.Head().V; v != Version {
		return versionError(v)
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if got := m.Topic(); got != t {
		return fmt.Errorf("%w: payload is for %s", ErrMismatch, got)
	}
	return nil
}

func versionError(v int) error {
	return fmt.Errorf("%w: got %d, want %d", ErrVersion, v, Version)
}

// jsonError turns the errors of encoding/json into ours. A payload of another
// version may well have other types, so the version is what counts then.
func jsonError(err error, h *Header) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	case h.V > Version:
		return versionError(h.V)
	case errors.As(err, &typ):
		field := strings.TrimPrefix(typ.Field, "Header.")
		return &FieldError{Field: field, Got: clip(typ.Value), Want: "a " + typ.Type.String()}
	}
	return err
}

const bootKey = `"boot":"`

// Boot returns the boot id inside an encoded message without decoding it; "" when it has
// none. What a message says about itself stands before any text that could look like it.
func Boot(payload []byte) string {
	_, rest, _ := bytes.Cut(payload, []byte(bootKey))
	boot, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || len(boot) > MaxID {
		return ""
	}
	return string(boot)
}

const publishedKey = `"published":"`

// Stamp sets the publish time inside an encoded message, in place, without decoding
// it: the field has a fixed width. It reports whether the message has the field.
// A key cannot be confused with text, in which the quotes would be escaped.
func Stamp(payload []byte, at time.Time) bool {
	i := bytes.Index(payload, []byte(publishedKey))
	at = wall(at)
	if y := at.UTC().Year(); i < 0 || y < 1 || y > 9999 {
		return false
	}
	field := payload[i+len(publishedKey):]
	if len(field) <= len(timeLayout) || field[len(timeLayout)] != '"' {
		return false
	}
	var scratch [64]byte // AppendFormat may write beyond what it returns
	copy(field, at.UTC().AppendFormat(scratch[:0], timeLayout))
	return true
}

// Delay is how long the message waited on the drone, by the drone's own clock; 0 when
// it was not stamped or the clock was set back meanwhile.
func (h *Header) Delay() time.Duration {
	if h.Published.IsZero() {
		return 0
	}
	return max(0, h.Published.Sub(h.Captured.Time))
}
