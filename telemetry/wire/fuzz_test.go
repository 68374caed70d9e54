package wire_test

import (
	"bytes"
	"testing"

	"emberwing/telemetry/wire"
)

// FuzzDecode: whatever is decoded can be encoded, and comes back the same.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		b, err := wire.Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Topic().String(), b)
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		m, err := wire.Decode(topic, payload)
		if err != nil {
			return
		}
		first, err := wire.Append(nil, m)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		again, err := wire.Decode(topic, first)
		if err != nil {
			t.Fatalf("decode what was encoded: %v\n%s", err, first)
		}
		if second, err := wire.Append(nil, again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("second encoding differs (%v):\n%s\n%s", err, first, second)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.Topic().String())
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic, err := wire.ParseTopic(s)
		if err == nil && topic.String() != s {
			t.Fatalf("got %s, want %s", topic, s)
		}
	})
}
