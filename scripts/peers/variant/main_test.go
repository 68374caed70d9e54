package main

import (
	"os"
	"path/filepath"
	"testing"

	"emberwing/infer"
)

func TestVariantStandsAlone(t *testing.T) {
	const tiny = "../../../infer/infertest/tiny/"
	data, err := os.ReadFile(tiny + "tiny-int8.onnx")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "other.onnx")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{tiny + "manifest.json", file}); err != nil {
		t.Fatal(err)
	}
	m, err := infer.LoadFile(filepath.Join(filepath.Dir(file), "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Variants) != 1 || m.Variants[0].File != "other.onnx" || m.Variants[0].Precision != infer.FP32 {
		t.Errorf("%+v", m.Variants)
	}
	if err := run([]string{"nothing.json", file}); err == nil {
		t.Error("a manifest that is not there was read")
	}
	if err := run(nil); err == nil {
		t.Error("no arguments were taken")
	}
}
