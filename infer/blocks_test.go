package infer_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

// documented returns the examples of MANIFEST.md by model name.
func documented(t testing.TB) map[string]*infer.Manifest {
	t.Helper()
	text, err := os.ReadFile("MANIFEST.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*infer.Manifest{}
	for _, part := range strings.Split(string(text), "```json\n")[1:] {
		code, _, _ := strings.Cut(part, "```")
		m, err := infer.ParseManifest([]byte(code))
		if err != nil {
			t.Fatalf("an example of MANIFEST.md: %v", err)
		}
		out[m.Name] = m
	}
	return out
}

func TestDocumentedManifestsParse(t *testing.T) {
	docs := documented(t)
	for name, kind := range map[string]infer.Kind{"fire": infer.Classifier, "hand": infer.Detector, "fire-seg": infer.Segmenter} {
		m := docs[name]
		if m == nil || !m.Is(kind) {
			t.Errorf("%s: got %+v, want a %s", name, m, kind)
			continue
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := infer.ParseManifest(again)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(m, m2); d != "" {
			t.Error(d)
		}
	}
	want := []string{"fire-gate", "fire-nano", "fire-seg"}
	if d := cmp.Diff(want, docs["fire"].Companions()); d != "" {
		t.Error(d)
	}
}

// TestValidateBlocks breaks one field of a documented manifest at a time and
// expects exactly that fault.
func TestValidateBlocks(t *testing.T) {
	tests := []struct {
		model, key string
		want       error
		spoil      func(m *infer.Manifest)
	}{
		{"fire", "kind", infer.ErrManifest, func(m *infer.Manifest) {
			m.Kind = "regressor"
			m.Features, m.CAM, m.Variants[0].OOD = nil, nil, nil
			clearBlocks(m)
		}},
		{"fire", "features.shape", infer.ErrShape, func(m *infer.Manifest) { m.Features.Shape = []int64{1, 65}; m.Variants[0].OOD = nil }},
		{"fire", "features.shape", infer.ErrShape, func(m *infer.Manifest) { m.Features.Shape = nil }},
		{"fire", "features.name", infer.ErrTensor, func(m *infer.Manifest) { m.Features.Name = "logits" }},
		{"fire", "cam.name", infer.ErrTensor, func(m *infer.Manifest) { m.CAM.Name = "features" }},
		{"fire", "cam.shape", infer.ErrShape, func(m *infer.Manifest) { m.CAM.Shape = []int64{1, 2, 7, 7} }},
		{"fire", "variants[0].ood", infer.ErrTensor, func(m *infer.Manifest) { m.Features = nil }},
		{"fire", "variants[0].ood.means", infer.ErrLabels, func(m *infer.Manifest) { m.Variants[0].OOD.Means = m.Variants[0].OOD.Means[:2] }},
		{"fire", "variants[0].ood.means[1]", infer.ErrShape, func(m *infer.Manifest) { m.Variants[0].OOD.Means[1] = []float32{1} }},
		{"fire", "variants[0].ood.means[1]", infer.ErrShape, func(m *infer.Manifest) { m.Variants[0].OOD.Means[1][0] = float32(math.NaN()) }},
		{"fire", "variants[0].ood.factor", infer.ErrShape, func(m *infer.Manifest) { m.Variants[0].OOD.Factor = []float32{1, 0, 0, 1} }},
		{"fire", "variants[0].ood.factor", infer.ErrShape, func(m *infer.Manifest) { m.Variants[0].OOD.Factor[2] = 0 }},
		{"fire", "variants[0].ood.factor", infer.ErrShape, func(m *infer.Manifest) { m.Variants[0].OOD.Factor[0] = -1 }},
		{"fire", "variants[0].ood.threshold", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[0].OOD.Threshold = 0 }},
		{"fire", "variants[1].target", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[1].Target = "npu" }},
		{"fire", "variants[1].method", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[1].Method = "magic" }},
		{"fire", "variants[0].method", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[0].Method = infer.QAT }},
		{"fire", "variants[2].precision", infer.ErrManifest, func(m *infer.Manifest) { m.Variants[2].Method, m.Variants[2].Target = infer.PTQ, infer.TargetCPU }},
		{"fire", "gate.model", infer.ErrManifest, func(m *infer.Manifest) { m.Gate.Model = "../gate" }},
		{"fire", "gate.model", infer.ErrManifest, func(m *infer.Manifest) { m.Gate.Model = "fire" }},
		{"fire", "gate.threshold", infer.ErrManifest, func(m *infer.Manifest) { m.Gate.Threshold = 0.41 }},
		{"fire", "gate.every", infer.ErrManifest, func(m *infer.Manifest) { m.Gate.Every = 0 }},
		{"fire", "gate.every", infer.ErrManifest, func(m *infer.Manifest) { m.Gate.Every = 1001 }},
		{"fire", "localiser.pad", infer.ErrManifest, func(m *infer.Manifest) { localise(m).Pad = 0.9 }},
		{"fire", "localiser.whole_side", infer.ErrManifest, func(m *infer.Manifest) { localise(m).WholeSide = -1 }},
		{"fire", "localiser.min_pixels", infer.ErrManifest, func(m *infer.Manifest) { localise(m).MinPixels = -1 }},
		{"fire", "vote", infer.ErrManifest, func(m *infer.Manifest) { v := *m.Vote; localise(m); m.Vote = &v }},
		{"fire", "vote.crops", infer.ErrManifest, func(m *infer.Manifest) { m.Vote.Crops = infer.MaxCrops + 1 }},
		{"fire", "vote.margin", infer.ErrManifest, func(m *infer.Manifest) { m.Vote.Margin = 0 }},
		{"fire", "mix.slope", infer.ErrManifest, func(m *infer.Manifest) { m.Mix.Slope = -1 }},
		{"fire", "mix.bias", infer.ErrManifest, func(m *infer.Manifest) { m.Mix.Bias = float32(math.Inf(1)) }},
		{"fire", "segmenter.model", infer.ErrManifest, func(m *infer.Manifest) { m.Segmenter.Model = "" }},
		{"fire", "nms", infer.ErrManifest, func(m *infer.Manifest) { m.NMS = &infer.NMS{IoU: 0.5, Max: 1} }},
		{"hand", "nms", infer.ErrManifest, func(m *infer.Manifest) { m.NMS = nil }},
		{"hand", "nms.iou", infer.ErrManifest, func(m *infer.Manifest) { m.NMS.IoU = 1 }},
		{"hand", "nms.max", infer.ErrManifest, func(m *infer.Manifest) { m.NMS.Max = infer.MaxBoxes + 1 }},
		{"hand", "output.shape", infer.ErrShape, func(m *infer.Manifest) { m.Output.Shape = []int64{1, 5, 768} }},
		{"hand", "output.kind", infer.ErrManifest, func(m *infer.Manifest) { m.Output.Kind = "logits" }},
		{"hand", "kind", infer.ErrManifest, func(m *infer.Manifest) { m.Vote = &infer.Vote{Crops: 1, Margin: 0.1} }},
		{"hand", "features", infer.ErrManifest, func(m *infer.Manifest) { m.Features = &infer.Extra{Name: "f", Shape: []int64{1, 2}} }},
		{"hand", "labels", infer.ErrLabels, func(m *infer.Manifest) { m.Labels = nil; m.Output.Shape = []int64{1, 768, 4} }},
		{"fire-seg", "output.shape", infer.ErrShape, func(m *infer.Manifest) { m.Output.Shape = []int64{1, 3, 56, 56} }},
		{"fire-seg", "output.kind", infer.ErrManifest, func(m *infer.Manifest) { m.Output.Kind = "logits" }},
	}
	for _, tt := range tests {
		m := documented(t)[tt.model]
		tt.spoil(m)
		err := m.Validate()
		var faults *infer.ManifestError
		if !errors.As(err, &faults) || !errors.Is(err, tt.want) {
			t.Errorf("%s %s: got %v, want %v", tt.model, tt.key, err, tt.want)
			continue
		}
		if len(faults.Faults) != 1 || faults.Faults[0].Key != tt.key {
			t.Errorf("%s %s: got %v", tt.model, tt.key, err)
		}
	}
}

// localise gives m a localiser in place of the vote.
func localise(m *infer.Manifest) *infer.Localiser {
	m.Vote, m.Localiser = nil, &infer.Localiser{Model: "hand", Pad: 1.25, WholeSide: 400, MinPixels: 24}
	return m.Localiser
}

func clearBlocks(m *infer.Manifest) {
	m.Gate, m.Localiser, m.Vote, m.Mix, m.Segmenter = nil, nil, nil, nil, nil
	m.Output.Shape = []int64{1, 3}
}

func TestSelectPrefersTheTarget(t *testing.T) {
	m := documented(t)["fire"]
	any := m.Variants[1]
	any.Target, any.Method, any.File = infer.AnyTarget, "", "any.onnx"
	m.Variants = append([]infer.Variant{any}, m.Variants...)
	tests := []struct {
		on     infer.Provider
		method infer.Method
		want   string
	}{
		{infer.CPU, "", "fire-int8.onnx"},
		{infer.TensorRT, "", "fire-int8-trt.onnx"},
		{infer.CUDA, "", "any.onnx"},
		{infer.CPU, infer.PTQ, "fire-int8.onnx"},
		{infer.TensorRT, infer.QAT, "fire-int8-trt.onnx"},
	}
	for _, tt := range tests {
		if v, err := m.Select(infer.INT8, tt.on, tt.method); err != nil || v.File != tt.want {
			t.Errorf("%s %s: got %s, %v, want %s", tt.on, tt.method, v.File, err, tt.want)
		}
	}
	_, err := m.Select(infer.INT8, infer.CPU, infer.QAT)
	const want = `choose variant of model fire: model has no such variant: got int8 by qat for cpu, want one of int8, fp32, int8 ptq cpu, int8 qat tensorrt`
	if !errors.Is(err, infer.ErrVariant) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if d := cmp.Diff([]infer.Precision{infer.INT8, infer.FP32}, m.Precisions()); d != "" {
		t.Error(d)
	}
}

func TestCompanionIsBesideTheModel(t *testing.T) {
	files := infertest.Files(t)
	for name, f := range files {
		if rest, ok := strings.CutPrefix(name, "tiny/"); ok {
			files["other/"+rest] = f
		}
	}
	onDisk := t.TempDir()
	if err := os.CopyFS(onDisk, files); err != nil {
		t.Fatal(err)
	}
	t.Chdir(onDisk + "/tiny") // a relative path must not lose what is beside it
	embedded, err := infer.Load(files, "tiny/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	disk, err := infer.LoadFile("manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*infer.Model{embedded, disk} {
		if c, err := m.Companion("other"); err != nil || c.Name != "tiny" {
			t.Errorf("got %v, %v", c, err)
		}
		if _, err := m.Companion("absent"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want %v", err, fs.ErrNotExist)
		}
	}
}
