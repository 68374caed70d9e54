package calib

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measured is a small calibration.
func measured() *Calibration {
	c := New("model", "samples", 2)
	s := new(Stats)
	s.observe(-1, 3)
	s.observe(-2, 1)
	s.Hist = newHistogram(s.Min, s.Max)
	s.Hist.add([]float32{-1, 3, -2, 1, 0, float32(math.NaN())})
	s.Binned = 2
	c.Tensors["a"] = s
	return c
}

func TestMovingAverages(t *testing.T) {
	s := measured().Tensors["a"]
	if s.Min != -2 || s.Max != 3 || !near(s.AvgMin, -1.01, 1e-12) || !near(s.AvgMax, 2.98, 1e-12) {
		t.Errorf("got %+v", s)
	}
	if n := total(s.Hist.Counts); n != 5 {
		t.Errorf("got %v values, want 5: NaN counts nowhere", n)
	}
}

func TestStoredCalibrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if _, err := Load(path, "model", "samples", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	want := measured()
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path, "model", "samples", 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Load(path, "other", "samples", 2); !errors.Is(err, ErrStored) || !strings.Contains(err.Error(), "other") {
		t.Errorf("got %v, want the models named", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"cut":       string(whole[:len(whole)/2]),
		"version":   strings.Replace(string(whole), `"version":1`, `"version":9`, 1),
		"range":     strings.Replace(string(whole), `"min":-2`, `"min":7`, 1),
		"histogram": strings.Replace(string(whole), `"lo":-3`, `"lo":-1`, 1),
		"null":      `{"version":1,"tensors":{"a":null}}`,
	} {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, "model", "samples", 2); !errors.Is(err, ErrStored) || !strings.Contains(err.Error(),
			"delete it") {
			t.Errorf("%s: got %v, want %v with the fix", name, err, ErrStored)
		}
	}
	if err := want.Save(filepath.Join(path, "below a file")); err == nil {
		t.Error("saving below a file passes")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".quant-*")); len(left) > 0 {
		t.Errorf("left %v behind", left)
	}
}

func TestPictures(t *testing.T) {
	s := measured().Tensors["a"]
	svg := s.SVG(`<a & "b">`, "mse", Range{-1, 2})
	d := xml.NewDecoder(strings.NewReader(svg))
	lines := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "line" {
			lines++
		}
	}
	if lines != 2 || !strings.Contains(svg, "-1</text>") || !strings.Contains(svg, "&lt;a &amp;") {
		t.Errorf("got %d lines in\n%s", lines, svg)
	}
	if svg := (&Stats{}).SVG("a", "mse", Range{}); !strings.Contains(svg, "no histogram") {
		t.Errorf("got %s", svg)
	}
}
