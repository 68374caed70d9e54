package pixel

import (
	"encoding/csv"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"testing"

	"emberwing/camera"
)

// levels runs f through a plan that leaves the levels as they are and returns
// them as packed bytes in the order of the spec.
func levels(t testing.TB, s Spec, f *camera.Frame) []byte {
	t.Helper()
	s.Layout, s.Mean, s.Std = NHWC, [3]float32{}, [3]float32{1, 1, 1}
	p, err := NewPlan(s, f.Width, f.Height, f.Format)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, s.Len())
	if err := p.Into(dst, f); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(dst))
	for i, v := range dst {
		out[i] = byte(math.Round(float64(v) * 255))
	}
	return out
}

// TestPillowBits compares with the checksums that testdata/pillow.py wrote:
// every level is the one Pillow computes.
func TestPillowBits(t *testing.T) {
	fits := map[string]Fit{"stretch": Stretch, "letterbox": Letterbox, "centercrop": CenterCrop}
	formats := map[int]camera.Format{1: camera.Gray8, 3: camera.RGB24}
	data, err := os.ReadFile("testdata/pillow.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil || len(rows) < 100 {
		t.Fatalf("read checksums: got %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		t.Run(strings.Join(row[:6], ","), func(t *testing.T) {
			var w, h, channels, tw, th int
			if _, err := fmt.Sscan(strings.Join(row[:5], " "), &w, &h, &channels, &tw, &th); err != nil {
				t.Fatal(err)
			}
			fit, ok := fits[row[5]]
			if !ok {
				t.Fatalf("got fit %q", row[5])
			}
			out := levels(t, Spec{Width: tw, Height: th, Fit: fit}, noise(w, h, formats[channels]))
			if got := fmt.Sprintf("%08x", crc32.ChecksumIEEE(out)); got != row[6] {
				t.Errorf("got checksum %s, want Pillow's %s", got, row[6])
			}
		})
	}
}
