package infer

import (
	"slices"
	"strings"
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

// Manifest declares one model. It is read from JSON by [ParseManifest], which
// refuses unknown keys, and holds no machine-dependent fact. MANIFEST.md
// describes the file with an example.
type Manifest struct {
	// Name is the short name of the model, e.g. "fire". It is used in topics,
	// reports and cache keys: lower-case letters, digits, '-', '_' and '.'.
	Name string `json:"name"`
	// Task is "fire" or "gesture".
	Task string `json:"task"`
	// Kind is "classifier", "detector" or "segmenter"; empty is a classifier.
	Kind Kind `json:"kind,omitempty"`
	// Version is free text without spaces, e.g. "1.0.0".
	Version string `json:"version"`
	// Description is one or two sentences for people.
	Description string `json:"description"`
	// Licence is the SPDX identifier of the weights.
	Licence string `json:"licence"`
	// Labels names the output logits, in their order. Detectors and segmenters
	// may have a single one.
	Labels []string `json:"labels"`
	// Input and Output declare the tensors that every graph has.
	Input  Input  `json:"input"`
	Output Output `json:"output"`
	// Features, if set, declares an output [1,D] for Variant.OOD.
	Features *Extra `json:"features,omitempty"`
	// CAM, if set, declares an output [1,C,h,w]: how much each place of the
	// picture adds to the logit of each label.
	CAM *Extra `json:"cam,omitempty"`
	// NMS tunes a detector, and only that.
	NMS *NMS `json:"nms,omitempty"`
	// Alarm, if set, adds several labels up to one alarm score.
	Alarm *Alarm `json:"alarm,omitempty"`
	// Variants lists the files. Those of one precision differ in target or
	// method; see [Manifest.Select] for which one runs.
	Variants []Variant `json:"variants"`
	// Decision holds the defaults for the decision over several frames. Only
	// classifiers must have it.
	Decision Decision `json:"decision,omitzero"`
	// The blocks below are for classifiers. Each is off when absent.
	Gate      *Gate      `json:"gate,omitempty"`
	Localiser *Localiser `json:"localiser,omitempty"`
	Vote      *Vote      `json:"vote,omitempty"`
	Mix       *Mix       `json:"mix,omitempty"`
	Segmenter *Segment   `json:"segmenter,omitempty"`
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

// Output declares the main output tensor.
type Output struct {
	// Name is the name of the graph output.
	Name string `json:"name"`
	// Shape is, for C labels, [1,C] of a classifier, [1,N,4+C] of a detector
	// and [1,C,h,w] of a segmenter.
	Shape []int64 `json:"shape"`
	// Kind is "logits" (before softmax), "boxes" or "masks"; see [Kind].
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
	// Method is "ptq" or "qat" of an int8 file, empty if unstated.
	Method Method `json:"method,omitempty"`
	// Target is the provider the file was made for, empty for any.
	Target Target `json:"target,omitempty"`
	// File is the path of the ONNX file, relative to the manifest, with '/'.
	File string `json:"file"`
	// SHA256 is the checksum of the file, 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Temperature calibrates the scores: softmax(logits / Temperature), or
	// sigmoid(logits / Temperature) of a detector or segmenter.
	Temperature float32 `json:"temperature"`
	// Threshold is compared with the alarm score, or with the best score of
	// a model that has no alarm; with each box's best score of a detector and
	// each cell's score of a segmenter. 0 < Threshold < 1.
	Threshold float32 `json:"threshold"`
	// OOD, if set, needs Features and belongs to this file alone: another
	// precision has other features.
	OOD *OOD `json:"ood,omitempty"`
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

// Is reports whether m is of kind k.
func (m *Manifest) Is(k Kind) bool { return m.Kind == k || m.Kind == "" && k == Classifier }

// Precisions lists the precisions of the variants, each once, in the order of
// the manifest.
func (m *Manifest) Precisions() []Precision {
	var ps []Precision
	for _, v := range m.Variants {
		if !slices.Contains(ps, v.Precision) {
			ps = append(ps, v.Precision)
		}
	}
	return ps
}

// Select returns the variant of precision p for a provider: the first one
// whose target is that provider, else the first one for any. An empty method
// accepts all. ErrVariant when there is none.
func (m *Manifest) Select(p Precision, on Provider, method Method) (Variant, error) {
	best := -1
	for i, v := range m.Variants {
		if v.Precision != p || method != "" && v.Method != method {
			continue
		}
		if v.Target == Target(on) {
			return v, nil
		}
		if v.Target == AnyTarget && best < 0 {
			best = i
		}
	}
	if best >= 0 {
		return m.Variants[best], nil
	}
	return Variant{}, m.noVariant(p, on, method)
}

func (m *Manifest) noVariant(p Precision, on Provider, method Method) error {
	got := string(p)
	if method != "" {
		got += " by " + string(method)
	}
	if m.hasPrecision(p) {
		got += " for " + string(on)
	}
	return &Error{Op: "choose variant of model", File: m.Name, Err: ErrVariant,
		Got: got, Want: "one of " + strings.Join(m.variantNames(), ", ")}
}

func (m *Manifest) hasPrecision(p Precision) bool { return slices.Contains(m.Precisions(), p) }

// variantNames names each variant by what tells it apart.
func (m *Manifest) variantNames() []string {
	names := make([]string, len(m.Variants))
	for i, v := range m.Variants {
		names[i] = v.String()
	}
	return names
}

// String names a variant by precision, method and target: "int8 qat tensorrt".
func (v Variant) String() string {
	s := string(v.Precision)
	if v.Method != "" {
		s += " " + string(v.Method)
	}
	if v.Target != AnyTarget {
		s += " " + string(v.Target)
	}
	return s
}
