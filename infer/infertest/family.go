package infertest

import (
	"embed"
	"encoding/json"
	"io/fs"
	"os"
	"testing"

	"emberwing/infer"
)

//go:embed family/*/*.json family/*/*.onnx
var family embed.FS

// Family holds the folders of a family of tiny models that use every block of
// the manifest; family/make.py says what each computes. The largest, "beacon",
// has a gate, a vote, a mix, a segmenter, features and a class activation map;
// "beacon-crop" has a localiser.
func Family(t testing.TB) fs.FS {
	t.Helper()
	sub, err := fs.Sub(family, "family")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// Member loads one model of the family.
func Member(t testing.TB, name string) *infer.Model {
	t.Helper()
	m, err := infer.Load(Family(t), name+"/"+infer.ManifestFile)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// EditManifest changes the manifest in a file on disk.
func EditManifest(t testing.TB, file string, edit func(m *infer.Manifest)) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := infer.ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	edit(m)
	if data, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
