// Command variant puts one ONNX file beside a manifest that names it alone, so
// that emberwing classify runs that very file. It is a tool of
// scripts/peers/runtimes.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"emberwing/infer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "variant: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: variant MANIFEST FILE.onnx (writes manifest.json beside FILE.onnx)")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	m, err := infer.ParseManifest(text)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(alone(m, filepath.Base(args[1]), data), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(args[1]), infer.ManifestFile), append(out, '\n'), 0o644)
}

// alone returns a manifest of one variant without companions. The variant is
// called FP32, as which every provider opens it; what it computes in is up to
// its graph.
func alone(m *infer.Manifest, file string, data []byte) *infer.Manifest {
	c := *m
	sum := sha256.Sum256(data)
	v := m.Variants[0]
	v.Precision, v.Method, v.Target, v.OOD = infer.FP32, "", "", nil
	v.File, v.SHA256, v.Bytes = file, hex.EncodeToString(sum[:]), int64(len(data))
	c.Variants = []infer.Variant{v}
	c.Gate, c.Localiser, c.Vote, c.Mix, c.Segmenter = nil, nil, nil, nil, nil
	return &c
}
