package wire_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"emberwing/telemetry/wire"
)

// Every key that a golden message has must be documented.
func TestSchemaNamesEveryKey(t *testing.T) {
	doc, err := os.ReadFile("SCHEMA.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, field := range strings.FieldsFunc(string(doc), func(r rune) bool { return strings.ContainsRune("`|, .…\n", r) }) {
		documented[field] = true
	}
	for name, m := range samples() {
		b, err := wire.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if e, ok := v["evidence"].(map[string]any); ok {
			delete(e, "scores") // its keys are labels
		}
		for _, key := range keys(v) {
			if !documented[key] {
				t.Errorf("%s: SCHEMA.md does not mention %q", name, key)
			}
		}
	}
}

func keys(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			out = append(append(out, k), keys(e)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, keys(e)...)
		}
	}
	return out
}
