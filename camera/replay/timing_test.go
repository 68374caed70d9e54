package replay

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzTiming parses garbage: a named error, or entries inside the folder whose
// times do not fall.
func FuzzTiming(f *testing.F) {
	f.Add("file,offset_ms\na.png,0\nb/c.png,12.5\n")
	f.Add("a.png,1e3\n\"b,\"\"c.png\", 2000\n# comment\n")
	f.Add("../a.png,0\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := readTiming(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrTiming) && !errors.Is(err, ErrNoPictures) {
				t.Errorf("got %v, want a named error", err)
			}
			return
		}
		for i, e := range entries {
			if !filepath.IsLocal(e.name) || e.offset < 0 || e.offset > maxOffset || i > 0 && e.offset < entries[i-1].offset {
				t.Errorf("entry %d: got %+v", i, e)
			}
		}
	})
}

// TestCompareNaturally is an order: antisymmetric, and equal for equals only.
func TestCompareNaturally(t *testing.T) {
	names := []string{"", "0", "00", "1", "01", "2", "10", "a", "a1", "a01", "a2b", "a10", "b", "é"}
	for i, a := range names {
		for j, b := range names {
			c, back := compareNaturally(a, b), compareNaturally(b, a)
			if c != -back || (c == 0) != (i == j) {
				t.Errorf("%q and %q: got %d and %d", a, b, c, back)
			}
		}
	}
}
