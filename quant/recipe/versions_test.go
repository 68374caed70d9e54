package recipe_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"emberwing/infer/ort"
	"emberwing/quant"
	"emberwing/quant/quanttest"
)

// The child of TestOldRuntimesOpenEveryTarget finds its library and its files
// by these variables.
const (
	libraryVar = "EMBERWING_TEST_QUANT_LIBRARY"
	modelsVar  = "EMBERWING_TEST_QUANT_MODELS"
)

// inputs is the number of samples that the libraries are compared on.
const inputs = 100

// TestOldRuntimesOpenEveryTarget opens the files of every target in each
// version of the library under bin/lib/versions, a process each, and compares
// labels and scores with those of the installed one.
func TestOldRuntimesOpenEveryTarget(t *testing.T) {
	if os.Getenv(libraryVar) != "" {
		t.SkipNow() // this is the child
	}
	dir := t.TempDir()
	for _, target := range []string{"cpu-vnni", "cpu-avx2", "cpu-arm", "tensorrt", "tensorrt-legacy-table"} {
		writeTarget(t, dir, target)
	}
	want := answersOf(t, filepath.Join("..", "..", "bin", "lib"), dir)
	if len(want) != 5 {
		t.Fatalf("got answers of %d files, want 5", len(want))
	}
	libraries, err := filepath.Glob(filepath.Join("..", "..", "bin", "lib", "versions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range libraries {
		got := answersOf(t, library, dir)
		for file, w := range want {
			labels, worst := differ(w, got[file])
			t.Logf("%s %s: %d of %d labels differ, scores by at most %.4f", filepath.Base(library), file, labels, inputs, worst)
			// Without VNNI-exact kernels an older library may round sums of
			// one step differently.
			if labels > 0 || worst > 0.05*largest(w) {
				t.Errorf("%s %s: %d labels differ, scores by %v of %v", filepath.Base(library), file, labels, worst, largest(w))
			}
		}
	}
}

// writeTarget writes the small network for a target.
func writeTarget(t *testing.T, dir, target string) {
	t.Helper()
	j := job(t, target)
	j.Method, j.Widen = "minmax", j.Profile.X86
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, target+".onnx")
	if target == "tensorrt-legacy-table" {
		tables, err := p.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := tables.Model.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	w, err := p.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Model.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}

// answersOf runs the files in a child that loads the library.
func answersOf(t *testing.T, library, models string) map[string][][]float32 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "answers.json")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnswerAsChild$")
	child.Env = append(os.Environ(), libraryVar+"="+library, modelsVar+"="+models, "EMBERWING_TEST_QUANT_OUT="+out)
	if log, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", library, err, log)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string][][]float32{}
	if err := json.Unmarshal(b, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

// TestAnswerAsChild writes what each file answers to each sample.
func TestAnswerAsChild(t *testing.T) {
	if os.Getenv(libraryVar) == "" {
		t.SkipNow() // only the child does it
	}
	rt, err := ort.Load(os.Getenv(libraryVar))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	files, err := filepath.Glob(filepath.Join(os.Getenv(modelsVar), "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string][][]float32{}
	for _, file := range files {
		answers[filepath.Base(file)] = answer(t, rt, file)
	}
	b, err := json.Marshal(answers)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("EMBERWING_TEST_QUANT_OUT"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// answer runs one file on every sample.
func answer(t *testing.T, rt *ort.Runtime, file string) (out [][]float32) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := quanttest.Input()
	s, err := rt.OpenNet(b, ort.NetOptions{Inputs: []ort.NetInput{{Name: in.Name, Shape: in.Dims}},
		Outputs: []string{"logits"}})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer s.Close()
	samples := quanttest.NewSamples(inputs)
	for i := range inputs {
		if err := samples.Load(i, s.Input(0)); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		out = append(out, append([]float32(nil), s.Output(0)...))
	}
	return out
}

// differ counts the samples whose best label differs, and returns the largest
// difference of a score.
func differ(a, b [][]float32) (labels int, worst float64) {
	if len(a) != len(b) {
		return len(a), math.Inf(1)
	}
	for i := range a {
		if top(a[i]) != top(b[i]) {
			labels++
		}
		for k := range a[i] {
			worst = math.Max(worst, math.Abs(float64(a[i][k]-b[i][k])))
		}
	}
	return labels, worst
}

func top(v []float32) (at int) {
	for i := range v {
		if v[i] > v[at] {
			at = i
		}
	}
	return at
}

// largest returns the largest magnitude of the scores.
func largest(a [][]float32) (out float64) {
	for _, row := range a {
		for _, v := range row {
			out = math.Max(out, math.Abs(float64(v)))
		}
	}
	return out
}

var _ quant.Session = (*ort.Net)(nil)
