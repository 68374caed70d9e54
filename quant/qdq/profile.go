package qdq

import (
	"fmt"
	"strings"

	"emberwing/quant/calib"
	"emberwing/quant/onnx"
)

// Placement says where a runtime wants Q/DQ pairs.
type Placement uint8

// The placements.
const (
	// Everywhere: at every input and output of every operator with an
	// integer kernel, as ONNX Runtime on the CPU fuses them.
	Everywhere Placement = iota
	// Inputs: at the inputs of convolutions and matrix products, and where
	// branches meet, as TensorRT fuses them.
	Inputs
	// Nowhere: the graph stays float, ranges go into a table.
	Nowhere
)

// Profile is what one kind of runtime wants of an INT8 model.
type Profile struct {
	Name       string
	About      string
	Placement  Placement
	Activation onnx.ElemType // of activations: Uint8 or Int8
	Symmetric  bool          // zero points of activations are 0
	WeightMax  int32         // largest magnitude of a weight: 127, or 64 where sums could saturate
	// X86 says that the kernels are those of x86-64.
	X86 bool
	// FloatWeights keeps weights as float, with Q and DQ after them.
	FloatWeights bool
	// FloatBias leaves the bias in float.
	FloatBias bool
	// ScaleBits is how many significant bits scales have that are chosen here, 0
	// for all that float32 has. A CPU runs float-bias layers on dequantised
	// numbers in float32; with few bits their products, and nearly all sums, are
	// exact there, so that the order in which a release sums changes little.
	ScaleBits int
}

// Profiles lists the profiles.
func Profiles() []Profile {
	return []Profile{
		{Name: "cpu-vnni", About: "x86-64 with AVX-VNNI or AVX-512 VNNI: uint8 activations, int8 weights",
			Activation: onnx.Uint8, WeightMax: 127, X86: true},
		{Name: "cpu-avx2", About: "x86-64 without VNNI, whose 16-bit sums saturate: as cpu-vnni, weights within ±64",
			Activation: onnx.Uint8, WeightMax: 64, X86: true},
		{Name: "cpu-arm", About: "ARM64: int8 activations and weights",
			Activation: onnx.Int8, WeightMax: 127},
		{Name: "tensorrt", About: "TensorRT 8 and later: symmetric int8, float bias, pairs where it fuses them",
			Placement: Inputs, Activation: onnx.Int8, Symmetric: true, WeightMax: 127, FloatWeights: true, FloatBias: true,
			ScaleBits: 5},
		{Name: "tensorrt-legacy-table", About: "TensorRT up to 10, and DLA: the FP32 graph with calibration tables beside it",
			Placement: Nowhere, Activation: onnx.Int8, Symmetric: true, WeightMax: 127},
	}
}

// ProfileOf returns the profile of that name.
func ProfileOf(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("choose target: got %q, want one of %s", name, strings.Join(names, ", "))
}

// Scheme returns the integers that ranges are chosen for.
func (p Profile) Scheme() calib.Scheme {
	if p.Symmetric {
		return calib.Scheme{Symmetric: true, Levels: 255}
	}
	return calib.Scheme{Levels: 256}
}
