package main

import (
	"bytes"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWritesLabelledPictures(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	args := []string{"--out", dir, "--frames", "24", "--per-flight", "12", "--size", "96x64"}
	if code := run(args, &out, &errs); code != 0 {
		t.Fatalf("got exit code %d: %s", code, &errs)
	}
	for _, folder := range []string{"fire/nofire", "gesture/palm", "gesture/fist", "gesture/none"} {
		files, err := filepath.Glob(filepath.Join(dir, folder, "*.jpg"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: got %d pictures, %v", folder, len(files), err)
			continue
		}
		file, err := os.Open(files[0])
		if err != nil {
			t.Fatal(err)
		}
		c, err := jpeg.DecodeConfig(file)
		if file.Close(); err != nil || c.Width != 96 || c.Height != 64 {
			t.Errorf("%s: got %dx%d, %v", files[0], c.Width, c.Height, err)
		}
	}
	burning, _ := filepath.Glob(filepath.Join(dir, "fire", "[sf]*", "*.jpg"))
	if len(burning) == 0 {
		t.Error("got no picture of smoke or fire")
	}
}

// TestBoxesOfHands checks that every picture with a hand, and no other, has a
// box.
func TestBoxesOfHands(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run([]string{"--out", dir, "--frames", "24", "--per-flight", "12", "--size", "96x64"}, &out, &errs); code != 0 {
		t.Fatalf("got exit code %d: %s", code, &errs)
	}
	boxes, err := os.ReadFile(filepath.Join(dir, "gesture", "boxes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "gesture", "*", "*.jpg"))
	for _, file := range files {
		label := filepath.Base(filepath.Dir(file))
		line := label + "/" + filepath.Base(file) + ","
		if got, want := strings.Count(string(boxes), line), label != "none"; (got == 1) != want {
			t.Errorf("%s: got %d boxes, want one: %t", line, got, want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--help", 0, "Example:"},
		{"", 2, "--out is missing"},
		{"--out x --size big", 2, "want WIDTHxHEIGHT"},
		{"--out x --frames 0", 2, "want at least 1"},
		{"--out x y", 2, `unexpected argument "y"`},
		{"--out " + os.DevNull + " --frames 1 --size 64x64", 1, os.DevNull},
		{"--out x --size 8x8", 1, "size: got 8x8"},
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(c.args), &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: got exit code %d and %q, want %d and %q", c.args, code, &errs, c.code, c.want)
		}
	}
}
