package onnxpb_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// schemaSum is the SHA-256 of ../onnx.proto that onnx.pb.go was made from;
// set it when the schema is replaced and the code generated again.
const schemaSum = "547214dd049486a4d5ecbae593e9c72d90b5e8d603944b722eff469e0b5a9cc9"

// The schema is the one the code was made from. Where protoc is installed the
// code is made again and compared, the versions of the tools left aside.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	schema, err := os.ReadFile("../onnx.proto")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(schema)
	if got := hex.EncodeToString(sum[:]); got != schemaSum {
		t.Errorf("onnx.proto: got sha256 %s, want %s", got, schemaSum)
	}
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Log("protoc is not installed: checked the schema's sum only")
		return
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("generate.sh: %v\n%s", err, out)
	}
	if generated(t, dir) != generated(t, ".") {
		t.Error("onnx.pb.go is not what onnx.proto gives: run go generate ./quant/onnx/onnxpb")
	}
}

// generated reads the code without the lines that name tool versions.
func generated(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "onnx.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	return string(regexp.MustCompile(`(?m)^// \tprotoc.*\n`).ReplaceAll(b, nil))
}
