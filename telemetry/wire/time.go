package wire

import (
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

// timeLayout is RFC 3339 in UTC with milliseconds. Its width never changes, which
// lets Stamp overwrite a time in an encoded message.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Time is a wall clock instant in UTC with a resolution of 1 ms. The zero Time
// means "not set".
type Time struct{ time.Time }

// At returns t as it travels on the wire: UTC, cut to milliseconds, without the
// monotonic reading.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return cut(wall(t))
}

func cut(t time.Time) Time { return Time{t.Round(0).UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes RFC 3339 with milliseconds, e.g. "2026-05-04T03:02:01.123Z".
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timeLayout+`"`), nil
}

// UnmarshalJSON accepts any RFC 3339 time and cuts it to milliseconds.
func (t *Time) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return timeError(b)
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return timeError(b)
	}
	*t = cut(v)
	return nil
}

// timeError is of the type to which encoding/json adds the path of the field.
func timeError(b []byte) error {
	return &json.UnmarshalTypeError{Value: "value " + clip(string(b)), Type: reflect.TypeFor[Time]()}
}
