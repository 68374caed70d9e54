package infertest

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"emberwing/infer"
)

//go:embed tiny/manifest.json tiny/*.onnx tiny/bad/*.onnx
var files embed.FS

// FS holds the folder tiny with the manifest and the ONNX files of a model of
// less than a kilobyte, and tiny/bad with faulty ones.
func FS() fs.FS { return files }

// Tiny loads the tiny model: fp32 and int8, input [1,3,8,8], labels red green
// blue dark. Its logits are the mean of each channel, green plus 0.5, and for
// dark one less the sum of the three.
func Tiny(t testing.TB) *infer.Model {
	t.Helper()
	m, err := infer.Load(files, "tiny/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Logits computes what the tiny model answers to an input of shape [1,3,8,8].
func Logits(input []float32) []float32 {
	var mean [3]float32
	n := len(input) / 3
	for c := range mean {
		for _, x := range input[c*n : (c+1)*n] {
			mean[c] += x / float32(n)
		}
	}
	return []float32{mean[0], mean[1] + 0.5, mean[2], 1 - mean[0] - mean[1] - mean[2]}
}

// Files copies the tiny model into a file system that a test may change.
func Files(t testing.TB) fstest.MapFS {
	t.Helper()
	dst := fstest.MapFS{}
	err := fs.WalkDir(files, "tiny", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		dst[path] = &fstest.MapFile{Data: slices.Clone(data)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// Restamp returns the manifest with sha256 and size of the file of precision p
// set to those of data.
func Restamp(t testing.TB, manifest []byte, p infer.Precision, data []byte) []byte {
	t.Helper()
	m, err := infer.ParseManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	for i := range m.Variants {
		if v := &m.Variants[i]; v.Precision == p {
			v.SHA256, v.Bytes = hex.EncodeToString(sum[:]), int64(len(data))
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
