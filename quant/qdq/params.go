package qdq

import (
	"fmt"
	"math"

	"emberwing/quant/calib"
	"emberwing/quant/onnx"
)

// Params map real numbers to integers: q = saturate(round(x/Scale) + Zero),
// x = (q - Zero) * Scale, with halves rounded to even, as ONNX defines
// QuantizeLinear.
type Params struct {
	Scale float32
	Zero  int32
	Type  onnx.ElemType // Uint8 or Int8
}

// limits returns the smallest and largest integer of a type.
func limits(t onnx.ElemType) (lo, hi int32) {
	if t == onnx.Uint8 {
		return 0, 255
	}
	return -128, 127
}

// Quantize returns the integer for x. NaN becomes the zero point.
func (p Params) Quantize(x float32) int32 {
	lo, hi := limits(p.Type)
	q := math.RoundToEven(float64(x/p.Scale)) + float64(p.Zero)
	switch {
	case q != q:
		return p.Zero
	case q < float64(lo):
		return lo
	case q > float64(hi):
		return hi
	}
	return int32(q)
}

// Dequantize returns the number that integer q stands for.
func (p Params) Dequantize(q int32) float32 { return float32(q-p.Zero) * p.Scale }

// Range returns the numbers at the ends of the type.
func (p Params) Range() calib.Range {
	lo, hi := limits(p.Type)
	return calib.Range{Lo: float64(p.Dequantize(lo)), Hi: float64(p.Dequantize(hi))}
}

// smallest is the least scale that is written: half the smallest normal
// float32 would lose the zero point.
const smallest = 1.1754943508222875e-38

// Choose returns the parameters for a range, which is widened to cover zero.
// Symmetric ones have zero in the middle and use -127..127 of int8, so that
// scale = max(|Lo|,|Hi|)/127; others use all integers of the type.
func Choose(r calib.Range, t onnx.ElemType, symmetric bool) (Params, error) {
	lo, hi := math.Min(r.Lo, 0), math.Max(r.Hi, 0)
	if math.IsNaN(r.Lo+r.Hi) || math.IsInf(r.Lo, 0) || math.IsInf(r.Hi, 0) {
		return Params{}, fmt.Errorf("choose scale: got range %v to %v, want finite numbers", r.Lo, r.Hi)
	}
	bottom, top := limits(t)
	steps, zero := float64(top-bottom), float64(0)
	if symmetric {
		hi = math.Max(-lo, hi)
		lo, steps, zero = -hi, 254, float64(bottom+top+1)/2
	}
	scale := (hi - lo) / steps
	if scale < smallest {
		return Params{Scale: 1, Zero: int32(zero), Type: t}, nil
	}
	if !symmetric {
		zero = math.RoundToEven(float64(bottom) - lo/scale)
	}
	return Params{Scale: float32(scale), Zero: int32(zero), Type: t}, nil
}

// coarse returns the least number of so many significant bits that is not below
// scale; bits 0 returns scale.
func coarse(scale float32, bits int) float32 {
	if bits == 0 {
		return scale
	}
	frac, exp := math.Frexp(float64(scale)) // frac is 0.5 to 1
	return float32(math.Ldexp(math.Ceil(math.Ldexp(frac, bits)), exp-bits))
}
