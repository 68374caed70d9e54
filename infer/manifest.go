package infer

import (
	"slices"
	"time"
)

// Precision names the number format that a variant of a model computes in.
type Precision string

// The precisions that a manifest may declare.
const (
	FP32 Precision = "fp32"
	FP16 Precision = "fp16"
	INT8 Precision = "int8"
)

// Valid reports whether p is one of the declared precisions.
func (p Precision) Valid() bool { return p == FP32 || p == FP16 || p == INT8 }

// Provider names an execution provider of ONNX Runtime.
type Provider string

// The providers that a session may ask for, fastest first on a Jetson.
const (
	TensorRT Provider = "tensorrt"
	CUDA     Provider = "cuda"
	CPU      Provider = "cpu"
)

// Valid reports whether p is one of the declared providers.
func (p Provider) Valid() bool { return p == TensorRT || p == CUDA || p == CPU }

// Tasks that a model may serve.
const (
	TaskFire    = "fire"
	TaskGesture = "gesture"
)

// Manifest declares one classifier. It is read from JSON by [ParseManifest],
// which refuses unknown keys, and holds no machine-dependent fact.
type Manifest struct {
	// Name is the short name of the model, e.g. "fire". It is used in topics,
	// reports and cache keys: lower-case letters, digits, '-', '_' and '.'.
	Name string `json:"name"`
	// Task is "fire" or "gesture".
	Task string `json:"task"`
	// Version is free text without spaces, e.g. "1.0.0".
	Version string `json:"version"`
	// Description is one or two sentences for people.
	Description string `json:"description"`
	// Licence is the SPDX identifier of the weights.
	Licence string `json:"licence"`
	// Labels names the output logits, in their order.
	Labels []string `json:"labels"`
	// Input and Output declare the only two tensors of the graph.
	Input  Input  `json:"input"`
	Output Output `json:"output"`
	// Alarm, if set, adds several labels up to one alarm score.
	Alarm *Alarm `json:"alarm,omitempty"`
	// Variants lists the files, at most one for each precision.
	Variants []Variant `json:"variants"`
	// Decision holds the defaults for the decision over several frames.
	Decision Decision `json:"decision"`
}

// Input declares the input tensor and the preprocessing that fills it.
// A pixel byte x becomes (x/255 - Mean[c]) / Std[c], c in Order.
type Input struct {
	// Name is the name of the graph input.
	Name string `json:"name"`
	// Shape is [1,3,H,W] for layout nchw and [1,H,W,3] for nhwc.
	Shape []int64 `json:"shape"`
	// DType is always "float32".
	DType string `json:"dtype"`
	// Layout is "nchw" or "nhwc".
	Layout string `json:"layout"`
	// Order is "rgb" or "bgr".
	Order string `json:"order"`
	// Fit is "stretch", "letterbox" or "centercrop".
	Fit string `json:"fit"`
	// Mean and Std normalise each channel, on the scale 0..1.
	Mean [3]float32 `json:"mean"`
	Std  [3]float32 `json:"std"`
}

// Height returns the height of the input in pixels, 0 if the shape is faulty.
func (in Input) Height() int { return in.dim(2, 1) }

// Width returns the width of the input in pixels, 0 if the shape is faulty.
func (in Input) Width() int { return in.dim(3, 2) }

func (in Input) dim(nchw, nhwc int) int {
	if len(in.Shape) != 4 {
		return 0
	}
	if in.Layout == "nhwc" {
		return int(in.Shape[nhwc])
	}
	return int(in.Shape[nchw])
}

// Output declares the output tensor.
type Output struct {
	// Name is the name of the graph output.
	Name string `json:"name"`
	// Shape is [1,N], N being the number of labels.
	Shape []int64 `json:"shape"`
	// Kind is always "logits": scores before softmax.
	Kind string `json:"kind"`
}

// Alarm names the labels whose probabilities add up to the alarm score.
type Alarm struct {
	Labels []string `json:"labels"`
}

// Variant is one ONNX file of a model.
type Variant struct {
	// Precision is the number format the file computes in. "int8" is a QDQ
	// graph; all take and return float32.
	Precision Precision `json:"precision"`
	// File is the path of the ONNX file, relative to the manifest, with '/'.
	File string `json:"file"`
	// SHA256 is the checksum of the file, 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Temperature calibrates the scores: softmax(logits / Temperature).
	Temperature float32 `json:"temperature"`
	// Threshold is compared with the alarm score, or with the best score of
	// a model that has no alarm. 0 < Threshold < 1.
	Threshold float32 `json:"threshold"`
}

// Decision holds defaults for the decision over several frames: an event
// begins when Agree of the last Window frames reach the variant's threshold.
type Decision struct {
	// Window is the number of latest frames that are looked at, at least 1.
	Window int `json:"window"`
	// Agree is the number of them that must agree, 1..Window.
	Agree int `json:"agree"`
	// Release is the score below which a frame speaks for the end of an event,
	// 0 < Release <= threshold of every variant.
	Release float32 `json:"release"`
	// Dwell is the time for which a label must hold before it counts.
	Dwell Seconds `json:"dwell_seconds"`
	// Ignore lists labels that never begin an event, e.g. "other".
	Ignore []string `json:"ignore,omitempty"`
}

// Seconds is a time span in seconds, as manifests write it.
type Seconds float64

// Duration converts s to a time.Duration, rounded towards zero.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Label returns the index of the label name, or -1.
func (m *Manifest) Label(name string) int { return slices.Index(m.Labels, name) }

// Precisions lists the precisions of the variants in the order of the manifest.
func (m *Manifest) Precisions() []Precision {
	ps := make([]Precision, len(m.Variants))
	for i, v := range m.Variants {
		ps[i] = v.Precision
	}
	return ps
}
