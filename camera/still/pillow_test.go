package still

import (
	"path/filepath"
	"strings"
	"testing"

	"emberwing/camera"
)

// compare returns the mean and the largest difference of two pictures in
// levels.
func compare(t *testing.T, a, b *camera.Frame) (mean float64, largest int) {
	t.Helper()
	if a.Width != b.Width || a.Height != b.Height {
		t.Fatalf("got %dx%d, want %dx%d", a.Width, a.Height, b.Width, b.Height)
	}
	sum := 0
	for i, v := range a.Pix {
		d := max(v, b.Pix[i]) - min(v, b.Pix[i])
		sum += int(d)
		largest = max(largest, int(d))
	}
	return float64(sum) / float64(len(a.Pix)), largest
}

// TestPillow compares with what Pillow decoded. What is left is the rounding
// of the inverse cosine transform; another chroma filter or another colour
// matrix is ten times further away.
func TestPillow(t *testing.T) {
	names, err := filepath.Glob("testdata/pillow/*.jpg")
	if err != nil || len(names) < 12 {
		t.Fatalf("got %d pictures, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var got, want camera.Frame
			if err := Open(name, &got); err != nil {
				t.Fatal(err)
			}
			if err := Open(strings.TrimSuffix(name, "jpg")+"png", &want); err != nil {
				t.Fatal(err)
			}
			if mean, largest := compare(t, &got, &want); mean > 0.2 || largest > 3 {
				t.Errorf("got mean difference %.3f levels, largest %d, want at most 0.2 and 3", mean, largest)
			}
		})
	}
}
