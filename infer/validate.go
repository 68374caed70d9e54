package infer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
)

const (
	maxSide       = 4096      // pixels of one input side
	maxLabels     = 4096      // classes
	maxWindow     = 1000      // frames of the decision window
	maxDwell      = 60        // seconds
	maxModelBytes = 512 << 20 // bytes of one ONNX file
	maxCandidates = 1 << 15   // rows of a detector's output
	maxPicture    = 1 << 16   // pixels of one side of a picture
	maxEvery      = 1000      // frames between two runs of a gated model
)

// Validate checks m and returns nil or a [*ManifestError] with every fault.
func (m *Manifest) Validate() error {
	var c checker
	c.names(m)
	c.labels(m)
	c.input(&m.Input)
	c.output(m)
	c.extras(m)
	c.variants(m)
	if m.Is(Classifier) || m.Decision.Window != 0 {
		c.decision(m)
	}
	c.blocks(m)
	if len(c.faults) == 0 {
		return nil
	}
	return &ManifestError{Faults: c.faults}
}

// checker collects faults.
type checker struct{ faults []Fault }

// want records a fault of key unless ok.
func (c *checker) want(ok bool, key string, got any, want string, err error) {
	if ok {
		return
	}
	c.faults = append(c.faults, Fault{Key: key, Got: show(got), Want: want, Err: err})
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // NaN and infinities, which JSON cannot hold
		return fmt.Sprint(v)
	}
	return string(b)
}

func (c *checker) names(m *Manifest) {
	c.want(isName(m.Name), "name", m.Name, "a name of a-z 0-9 - _ .", nil)
	c.want(m.Task == TaskFire || m.Task == TaskGesture, "task", m.Task, `"fire" or "gesture"`, nil)
	c.want(
		m.Is(Classifier) || m.Is(Detector) || m.Is(Segmenter),
		"kind",
		m.Kind,
		`"classifier", "detector" or "segmenter"`,
		nil,
	)
	c.want(
		m.Version != "" && !strings.ContainsAny(m.Version, " \t\r\n"),
		"version",
		m.Version,
		"a version without spaces",
		nil,
	)
	c.want(strings.TrimSpace(m.Licence) != "", "licence", m.Licence, "an SPDX identifier", nil)
}

func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	return s != "" && len(s) <= 64 && s[0] != '.' && strings.Trim(s, allowed) == ""
}

func (c *checker) labels(m *Manifest) {
	n, least := len(m.Labels), 2
	if !m.Is(Classifier) {
		least = 1
	}
	c.want(
		n >= least && n <= maxLabels,
		"labels",
		m.Labels,
		fmt.Sprintf("%d or more labels in the order of the logits", least),
		ErrLabels,
	)
	for i, l := range m.Labels {
		key := fmt.Sprintf("labels[%d]", i)
		c.want(strings.TrimSpace(l) == l && l != "", key, l, "a label without surrounding spaces", ErrLabels)
		c.want(slices.Index(m.Labels, l) == i, key, l, "every label once", ErrLabels)
	}
	if m.Alarm != nil {
		c.want(len(m.Alarm.Labels) > 0, "alarm.labels", m.Alarm.Labels, "at least one label", ErrLabels)
		c.subset(m, "alarm.labels", m.Alarm.Labels)
	}
	c.want(
		m.Alarm != nil || m.Task != TaskFire || !m.Is(Classifier),
		"alarm",
		nil,
		"the labels that raise the alarm of a fire model",
		ErrLabels,
	)
}

// subset demands that each of labels is a label of m and appears once.
func (c *checker) subset(m *Manifest, key string, labels []string) {
	for i, l := range labels {
		at := fmt.Sprintf("%s[%d]", key, i)
		c.want(m.Label(l) >= 0, at, l, "one of the labels", ErrLabels)
		c.want(slices.Index(labels, l) == i, at, l, "every label once", ErrLabels)
	}
}

func (c *checker) input(in *Input) {
	c.want(in.Name != "", "input.name", in.Name, "the name of the graph input", ErrTensor)
	c.want(in.DType == "float32", "input.dtype", in.DType, `"float32"`, ErrDType)
	c.want(in.Layout == "nchw" || in.Layout == "nhwc", "input.layout", in.Layout, `"nchw" or "nhwc"`, nil)
	c.want(in.Order == "rgb" || in.Order == "bgr", "input.order", in.Order, `"rgb" or "bgr"`, nil)
	c.want(slices.Contains([]string{"stretch", "letterbox", "centercrop"}, in.Fit),
		"input.fit", in.Fit, `"stretch", "letterbox" or "centercrop"`, nil)
	h, w := int64(in.Height()), int64(in.Width())
	want := []int64{1, 3, h, w}
	if in.Layout == "nhwc" {
		want = []int64{1, h, w, 3}
	}
	sides := h > 0 && w > 0 && h <= maxSide && w <= maxSide
	c.want(sides && slices.Equal(in.Shape, want), "input.shape", in.Shape,
		fmt.Sprintf("[1,3,H,W] for nchw or [1,H,W,3] for nhwc with sides of 1..%d", maxSide), ErrShape)
	for i := range 3 {
		c.want(finite(in.Mean[i]), fmt.Sprintf("input.mean[%d]", i), in.Mean[i], "a finite number", nil)
		c.want(finite(in.Std[i]) && in.Std[i] > 0, fmt.Sprintf("input.std[%d]", i), in.Std[i], "more than 0", nil)
	}
}

func (c *checker) output(m *Manifest) {
	out := &m.Output
	n := int64(len(m.Labels))
	kind, ok, want := "logits", slices.Equal(
		out.Shape,
		[]int64{1, n},
	), fmt.Sprintf(
		"[1,%d], one logit for each label",
		n,
	)
	switch {
	case m.Is(Detector):
		kind, want = "boxes", fmt.Sprintf(
			"[1,N,%d], N candidates of four sides and one logit for each label, N at most %d",
			4+n,
			maxCandidates,
		)
		ok = len(out.Shape) == 3 && out.Shape[0] == 1 && out.Shape[1] >= 1 && out.Shape[1] <= maxCandidates &&
			out.Shape[2] == 4+n
	case m.Is(Segmenter):
		kind, ok, want = "masks", isMap(out.Shape, n), mapShape(n)
	}
	c.want(out.Name != "", "output.name", out.Name, "the name of the graph output", ErrTensor)
	c.want(out.Kind == kind, "output.kind", out.Kind, fmt.Sprintf("%q", kind), nil)
	c.want(ok, "output.shape", out.Shape, want, ErrShape)
}

func (c *checker) variants(m *Manifest) {
	c.want(len(m.Variants) > 0, "variants", m.Variants, "at least one variant", ErrVariant)
	seen := map[string]bool{}
	for i := range m.Variants {
		v, key := &m.Variants[i], fmt.Sprintf("variants[%d]", i)
		c.want(v.Precision.Valid(), key+".precision", v.Precision, `"fp32", "fp16" or "int8"`, nil)
		c.want(v.Target.valid(), key+".target", v.Target, `"cpu", "cuda", "tensorrt" or none`, nil)
		c.want(
			v.Method == "" || v.Precision == INT8 && v.Method.valid(),
			key+".method",
			v.Method,
			`"ptq" or "qat" of an int8 file, or none`,
			nil,
		)
		c.want(
			!seen[v.String()],
			key+".precision",
			v.Precision,
			"every precision once, or with another target or method",
			nil,
		)
		seen[v.String()] = true
		c.variant(key, v)
		c.ood(key+".ood", m, v.OOD)
	}
}

func (c *checker) variant(key string, v *Variant) {
	c.want(
		fs.ValidPath(v.File) && v.File != ".",
		key+".file",
		v.File,
		"a path below the manifest's folder, with /",
		nil,
	)
	c.want(isSHA256(v.SHA256), key+".sha256", v.SHA256, "64 lower-case hexadecimal digits", ErrChecksum)
	c.want(v.Bytes > 0 && v.Bytes <= maxModelBytes, key+".bytes", v.Bytes, fmt.Sprintf("1..%d", maxModelBytes), ErrSize)
	c.want(finite(v.Temperature) && v.Temperature > 0, key+".temperature", v.Temperature, "more than 0", nil)
	c.want(v.Threshold > 0 && v.Threshold < 1, key+".threshold", v.Threshold, "more than 0 and less than 1", nil)
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func (c *checker) decision(m *Manifest) {
	d := &m.Decision
	c.want(
		d.Window >= 1 && d.Window <= maxWindow,
		"decision.window",
		d.Window,
		fmt.Sprintf("1..%d frames", maxWindow),
		nil,
	)
	c.want(d.Agree >= 1 && d.Agree <= d.Window, "decision.agree", d.Agree, "1..window frames", nil)
	lowest := float32(1)
	for _, v := range m.Variants {
		lowest = min(lowest, v.Threshold)
	}
	c.want(d.Release > 0 && d.Release <= lowest, "decision.release", d.Release,
		fmt.Sprintf("more than 0 and at most the lowest threshold, %v", lowest), nil)
	c.want(d.Dwell >= 0 && d.Dwell <= maxDwell, "decision.dwell_seconds", d.Dwell, fmt.Sprintf("0..%d", maxDwell), nil)
	c.subset(m, "decision.ignore", d.Ignore)
}

func finite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}
