package qdq

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"emberwing/quant/calib"
	"emberwing/quant/onnx"
)

var types = map[string]onnx.ElemType{"uint8": onnx.Uint8, "int8": onnx.Int8}

// TestQuantizeIsNumpys compares with what calib/testdata/vectors.py computed.
func TestQuantizeIsNumpys(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "calib", "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Quantize []struct {
			Lo, Hi    float64
			Type      string
			Symmetric bool
			Scale     float32
			Zero      int32
			X         []float32
			Q         []int32
		}
	}
	if err := json.Unmarshal(b, &file); err != nil || len(file.Quantize) < 5 {
		t.Fatal(err, len(file.Quantize))
	}
	for _, v := range file.Quantize {
		p, err := Choose(calib.Range{Lo: v.Lo, Hi: v.Hi}, types[v.Type], v.Symmetric)
		if err != nil || p.Scale != v.Scale || p.Zero != v.Zero {
			t.Errorf("%v..%v: got %+v, %v, want scale %v zero %d", v.Lo, v.Hi, p, err, v.Scale, v.Zero)
		}
		for i, x := range v.X {
			if got := p.Quantize(x); got != v.Q[i] {
				t.Errorf("%v..%v: %v: got %d, want %d", v.Lo, v.Hi, x, got, v.Q[i])
			}
		}
	}
}

// params draws a range and what Choose makes of it.
func params(t *rapid.T) (calib.Range, Params) {
	r := calib.Range{Lo: rapid.Float64Range(-1e4, 1e4).Draw(t, "lo"), Hi: rapid.Float64Range(-1e4, 1e4).Draw(t, "hi")}
	if r.Lo > r.Hi {
		r.Lo, r.Hi = r.Hi, r.Lo
	}
	symmetric := rapid.Bool().Draw(t, "symmetric")
	typ := onnx.Int8
	if !symmetric && rapid.Bool().Draw(t, "unsigned") {
		typ = onnx.Uint8
	}
	p, err := Choose(r, typ, symmetric)
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

func TestIntegersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, p := params(t)
		lo, hi := limits(p.Type)
		for q := lo; q <= hi; q++ {
			if got := p.Quantize(p.Dequantize(q)); got != q {
				t.Fatalf("%+v: %d comes back as %d", p, q, got)
			}
		}
	})
}

func TestQuantizeIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, p := params(t)
		a, b := rapid.Float32().Draw(t, "a"), rapid.Float32().Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if p.Quantize(a) > p.Quantize(b) {
			t.Fatalf("%+v: %v gives %d, %v gives %d", p, a, p.Quantize(a), b, p.Quantize(b))
		}
	})
}

func TestTheRangeIsCoveredAndZeroIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := params(t)
		got := p.Range()
		half := float64(p.Scale) * 0.5001
		if got.Lo > math.Min(r.Lo, 0)+half || got.Hi < math.Max(r.Hi, 0)-half {
			t.Fatalf("%+v stands for %v, want to cover %v", p, got, r)
		}
		if z := p.Dequantize(p.Quantize(0)); z != 0 {
			t.Fatalf("%+v: zero becomes %v", p, z)
		}
		x := rapid.Float32Range(float32(math.Min(r.Lo, 0)), float32(math.Max(r.Hi, 0))).Draw(t, "x")
		if d := math.Abs(float64(p.Dequantize(p.Quantize(x)) - x)); d > half*1.001 {
			t.Fatalf("%+v: %v is off by %v, want at most half a step", p, x, d)
		}
	})
}

func TestOddRanges(t *testing.T) {
	for _, r := range []calib.Range{{Lo: math.NaN(), Hi: 1}, {Lo: 0, Hi: math.Inf(1)}} {
		if p, err := Choose(r, onnx.Uint8, false); err == nil {
			t.Errorf("%v: got %+v, want an error", r, p)
		}
	}
	for _, r := range []calib.Range{{}, {Lo: -1e-42, Hi: 1e-42}} {
		if p, err := Choose(r, onnx.Int8, true); err != nil || p.Scale != 1 || p.Zero != 0 {
			t.Errorf("%v: got %+v, %v, want scale 1", r, p, err)
		}
	}
	p := Params{Scale: 0.5, Zero: 3, Type: onnx.Uint8}
	if got := p.Quantize(float32(math.NaN())); got != 3 {
		t.Errorf("NaN becomes %d, want the zero point", got)
	}
}

func TestCoarseScalesCoverTheRange(t *testing.T) {
	for _, tt := range []struct{ scale, want float32 }{
		{1, 1}, {1.01, 1.125}, {0.9375, 0.9375}, {0.94, 1}, {3, 3}, {3.1, 3.25}, {0.047, 0.046875 * 13 / 12},
	} {
		got := coarse(tt.scale, 4)
		if got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.scale, got, tt.want)
		}
		if got < tt.scale || got > tt.scale*1.125 || coarse(got, 4) != got {
			t.Errorf("%v: got %v, want at most an eighth more, and the same again", tt.scale, got)
		}
	}
	for _, p := range Profiles() {
		if (p.ScaleBits > 0) != (p.Name == "tensorrt") {
			t.Errorf("%s: got scales of %d bits", p.Name, p.ScaleBits)
		}
	}
	if got := coarse(0.1, 0); got != 0.1 {
		t.Errorf("all bits: got %v", got)
	}
}
