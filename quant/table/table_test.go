package table

import (
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNativeText(t *testing.T) {
	got, err := Table{"input": 1, "onnx::Conv_320": 127}.Native("8502")
	want := "TRT-8502-EntropyCalibration2\ninput: 3c010204\nonnx::Conv_320: 3f800000\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	back, version, err := ParseNative(got)
	if err != nil || version != "8502" || back["onnx::Conv_320"] != 127 || math.Abs(back["input"]-1) > 1e-7 {
		t.Errorf("got %v, %q, %v", back, version, err)
	}
	if c := (Table{"a": 1, "b:0": 1}).Colons(); !slices.Equal(c, []string{"b:0"}) {
		t.Errorf("got %v", c)
	}
}

func TestFlatbuffersBytes(t *testing.T) {
	got, err := Table{"ab": 1.5}.Flatbuffers()
	want := "0c000000" + "060008000400" + "0000" + // root, vtable, padding
		"08000000" + "04000000" + // table: back to the vtable, dict
		"01000000" + "0c000000" + // vector of one
		"08000c0004000800" + // vtable of KeyValue
		"08000000" + "08000000" + "0c000000" + // KeyValue
		"02000000" + "61620000" + "03000000" + "312e3500"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("got  %x, %v\nwant %s", got, err, want)
	}
}

func TestTablesRefuseWhatTensorRTCannotTake(t *testing.T) {
	for _, bad := range []Table{{"a": 0}, {"a": -1}, {"a": math.Inf(1)}, {"a": math.NaN()}} {
		if _, err := bad.Native("8502"); err == nil {
			t.Errorf("native %v: got no error", bad)
		}
		if _, err := bad.Flatbuffers(); err == nil {
			t.Errorf("flatbuffers %v: got no error", bad)
		}
	}
	if _, err := (Table{"a\nb": 1}).Native("8502"); err == nil {
		t.Error("a line break passes")
	}
	if _, err := (Table{"a": 1}).Native("8.5.2"); err == nil || !strings.Contains(err.Error(), "8502") {
		t.Errorf("got %v, want the form named", err)
	}
}

func TestTablesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Table{}
		for name, r := range rapid.MapOf(rapid.String(), rapid.Float32Range(1e-20, 1e20)).Draw(t, "table") {
			want[name] = float64(r)
		}
		b, err := want.Flatbuffers()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFlatbuffers(b)
		if err != nil || !maps.EqualFunc(got, want, func(a, b float64) bool { return float32(a) == float32(b) }) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	b, _ := Table{"a": 1, "b:0": 2}.Flatbuffers()
	n, _ := Table{"a": 1, "b:0": 2}.Native("8502")
	f.Add(b)
	f.Add(n)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ParseFlatbuffers(b); err != nil && !errors.Is(err, ErrTable) {
			t.Error(err)
		}
		ParseNative(b)
	})
}
