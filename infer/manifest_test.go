package infer_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

// manifestJSON returns the tiny model's manifest as JSON.
func manifestJSON(t testing.TB) []byte {
	t.Helper()
	data, err := fs.ReadFile(infertest.FS(), "tiny/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseManifestRoundTrip(t *testing.T) {
	m, err := infer.ParseManifest(manifestJSON(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	m2, err := infer.ParseManifest(again)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, m2); d != "" {
		t.Error(d)
	}
	if m.Input.Width() != 8 || m.Input.Height() != 8 || m.Label("blue") != 2 || m.Label("none") != -1 {
		t.Errorf("input %dx%d, labels %v", m.Input.Width(), m.Input.Height(), m.Labels)
	}
}

// TestParseManifestIsStrict edits the text of a good manifest.
func TestParseManifestIsStrict(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           []string // parts of the message
	}{
		{"unknown key", `"name": "tiny"`, `"nmae": 1, "name": "tiny"`, []string{"nmae: got an unknown key", "want one of name task"}},
		{"unknown nested key", `"window"`, `"widow": 3, "window"`, []string{"decision.widow: got an unknown key"}},
		{"unknown key in a list", `"precision": "int8"`, `"prec": "int8", "precision": "int8"`, []string{"variants[1].prec: got an unknown key"}},
		{"wrong case", `"labels": [`, `"Labels": [`, []string{"Labels: got an unknown key"}},
		{"repeated key", `"name": "tiny"`, `"name": "tiny", "name": "tiny"`, []string{"name: got the key twice"}},
		{"wrong type", `"window": 5`, `"window": "5"`, []string{"decision.window", "got string, want int"}},
		{"two mistakes", `"window": 5`, `"window": -5, "x": 1`, []string{"decision.x", "decision.window: got -5", "decision.agree: got 3"}},
		{"syntax", `"window": 5,`, `"window": 5,,`, []string{"on line", "want valid JSON"}},
		{"trailing data", "}\n", "} {}", []string{"want valid JSON"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := string(manifestJSON(t))
			i := strings.LastIndex(text, tt.old)
			if i < 0 {
				t.Fatalf("%q is not in the manifest", tt.old)
			}
			m, err := infer.ParseManifest([]byte(text[:i] + tt.new + text[i+len(tt.old):]))
			if m != nil || !errors.Is(err, infer.ErrManifest) {
				t.Fatalf("got %v, %v, want %v", m, err, infer.ErrManifest)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
		})
	}
}

// TestValidate breaks one field at a time and expects exactly that fault.
func TestValidate(t *testing.T) {
	tests := []struct {
		key   string
		want  error
		spoil func(m *infer.Manifest)
	}{
		{"name", infer.ErrManifest, func(m *infer.Manifest) { m.Name = "Tiny model" }},
		{"name", infer.ErrManifest, func(m *infer.Manifest) { m.Name = "../x" }},
		{"task", infer.ErrManifest, func(m *infer.Manifest) { m.Task = "weather" }},
		{"version", infer.ErrManifest, func(m *infer.Manifest) { m.Version = "" }},
		{"licence", infer.ErrManifest, func(m *infer.Manifest) { m.Licence = " " }},
		{"labels[1]", infer.ErrLabels, func(m *infer.Manifest) { m.Labels[1] = "red"; m.Alarm.Labels = []string{"red"} }},
		{"labels[3]", infer.ErrLabels, func(m *infer.Manifest) { m.Labels[3] = ""; m.Decision.Ignore = nil }},
		{"alarm", infer.ErrLabels, func(m *infer.Manifest) { m.Alarm = nil }},
		{"alarm.labels", infer.ErrLabels, func(m *infer.Manifest) { m.Alarm.Labels = nil }},
		{"alarm.labels[0]", infer.ErrLabels, func(m *infer.Manifest) { m.Alarm.Labels[0] = "smoke" }},
		{"input.name", infer.ErrTensor, func(m *infer.Manifest) { m.Input.Name = "" }},
		{"input.dtype", infer.ErrDType, func(m *infer.Manifest) { m.Input.DType = "uint8" }},
		{"input.order", infer.ErrManifest, func(m *infer.Manifest) { m.Input.Order = "gbr" }},
		{"input.fit", infer.ErrManifest, func(m *infer.Manifest) { m.Input.Fit = "crop" }},
		{"input.shape", infer.ErrShape, func(m *infer.Manifest) { m.Input.Shape = []int64{1, 8, 8, 3} }},
		{"input.shape", infer.ErrShape, func(m *infer.Manifest) { m.Input.Shape = []int64{2, 3, 8, 8} }},
		{"input.shape", infer.ErrShape, func(m *infer.Manifest) { m.Input.Shape = []int64{1, 3, 8, 4097} }},
		{"input.shape", infer.ErrShape, func(m *infer.Manifest) { m.Input.Shape = nil }},
		{"input.std[2]", infer.ErrManifest, func(m *infer.Manifest) { m.Input.Std[2] = 0 }},
		{"output.name", infer.ErrTensor, func(m *infer.Manifest) { m.Output.Name = "" }},
		{"output.kind", infer.ErrManifest, func(m *infer.Manifest) { m.Output.Kind = "probabilities" }},
		{"output.shape", infer.ErrShape, func(m *infer.Manifest) { m.Output.Shape = []int64{1, 5} }},
		{"variants", infer.ErrVariant, func(m *infer.Manifest) { m.Variants = nil }},
		{"variants[0].precision", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[0].Precision = "bf16" }},
		{"variants[1].precision", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[1].Precision = infer.FP32 }},
		{"variants[1].file", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[1].File = "../tiny.onnx" }},
		{"variants[1].sha256", infer.ErrChecksum, func(m *infer.Manifest) { m.Variants[1].SHA256 = strings.Repeat("A", 64) }},
		{"variants[1].bytes", infer.ErrSize, func(m *infer.Manifest) { m.Variants[1].Bytes = 0 }},
		{"variants[0].temperature", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[0].Temperature = 0 }},
		{"variants[0].threshold", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[0].Threshold = 1 }},
		{"decision.window", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Window = 1001 }},
		{"decision.agree", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Agree = 6 }},
		{"decision.agree", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Agree = 0 }},
		{"decision.release", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Release = 0.61 }},
		{"decision.release", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Release = 0 }},
		{"decision.dwell_seconds", infer.ErrManifest, func(m *infer.Manifest) { m.Decision.Dwell = -1 }},
		{"decision.ignore[0]", infer.ErrLabels, func(m *infer.Manifest) { m.Decision.Ignore[0] = "night" }},
	}
	for _, tt := range tests {
		m := infertest.Tiny(t).Manifest
		tt.spoil(&m)
		err := m.Validate()
		var faults *infer.ManifestError
		if !errors.As(err, &faults) || !errors.Is(err, tt.want) || !errors.Is(err, infer.ErrManifest) {
			t.Errorf("%s: got %v, want %v", tt.key, err, tt.want)
			continue
		}
		if len(faults.Faults) != 1 || faults.Faults[0].Key != tt.key {
			t.Errorf("%s: got %v", tt.key, err)
		}
	}
}

// TestValidateBoundaries accepts the last good value on each side.
func TestValidateBoundaries(t *testing.T) {
	m := infertest.Tiny(t).Manifest
	m.Decision = infer.Decision{Window: 1, Agree: 1, Release: 0.6}
	m.Input.Shape = []int64{1, 3, 1, 4096}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	m.Input.Layout, m.Input.Shape = "nhwc", []int64{1, 20, 10, 3}
	if err := m.Validate(); err != nil || m.Input.Width() != 10 || m.Input.Height() != 20 {
		t.Errorf("%v, %dx%d", err, m.Input.Width(), m.Input.Height())
	}
	m.Decision = infer.Decision{Window: 1000, Agree: 1000, Release: 0.6, Dwell: 60}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	_, err := infer.ParseManifest([]byte("{}"))
	for _, key := range []string{"name", "task", "version", "licence", "labels", "input.shape", "output.kind", "variants", "decision.window"} {
		if !strings.Contains(err.Error(), "\n\t"+key+": got ") {
			t.Errorf("%s is not in %v", key, err)
		}
	}
	for _, want := range []error{infer.ErrManifest, infer.ErrLabels, infer.ErrShape, infer.ErrDType, infer.ErrTensor, infer.ErrVariant} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not in %v", want, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(manifestJSON(f))
	f.Add([]byte(`{"labels":[[[{"a":{}}]]],"input":null,"alarm":{}}`))
	f.Add([]byte(`{"input":{"shape":[1,3,9223372036854775807,1],"layout":"nhwc"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := infer.ParseManifest(data)
		if (m == nil) == (err == nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		if err == nil && m.Validate() != nil {
			t.Error("accepted an invalid manifest")
		}
	})
}
