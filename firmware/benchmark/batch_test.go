package benchmark

import (
	"os"
	"testing"

	"emberwing/infer"
	"emberwing/quant/bench"
	"emberwing/quant/onnx"
	"emberwing/quant/quanttest"
)

// someInputs returns three inputs of noise.
func someInputs(n int) [][]float32 {
	out := make([][]float32, 3)
	for i := range out {
		out[i] = make([]float32, n)
		noise(out[i], uint64(i))
	}
	return out
}

func TestBatchesAnswerAsSinglePictures(t *testing.T) {
	rt := load(t)
	m, err := infer.LoadFile(tiny + "manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	size := 1
	for _, d := range m.Input.Shape {
		size *= int(d)
	}
	for _, file := range []string{"tiny-fp32.onnx", "tiny-int8.onnx"} {
		data, err := os.ReadFile(tiny + file)
		if err != nil {
			t.Fatal(err)
		}
		net, err := openBatch(rt, data, m, bench.Samples, 1, someInputs(size))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if got := len(net.Input(0)); got != bench.Samples*size {
			t.Errorf("%s: a batch holds %d numbers, want %d", file, got, bench.Samples*size)
		}
		net.Close()
	}
}

// TestModelsThatMixPicturesAreNotBatched: a mean over the first axis answers
// for the batch and not for each picture; a constant shape does not fit at all.
func TestModelsThatMixPicturesAreNotBatched(t *testing.T) {
	rt := load(t)
	for name, build := range map[string]func(b *quanttest.Builder) string{
		"mixes": func(b *quanttest.Builder) string {
			return b.Node("Sub", []string{"input", b.Node("ReduceMean", []string{"input"})})
		},
		"constant shape": func(b *quanttest.Builder) string { return b.Node("Reshape", []string{"input", b.Ints(1, 4)}) },
	} {
		b := quanttest.NewBuilder(1)
		b.Input("input", 1, 4)
		build(b)
		b.Output(b.Rename("logits"))
		m := &infer.Model{}
		m.Input.Name, m.Input.Shape, m.Output.Name = "input", []int64{1, 4}, "logits"
		model := b.Model(t, 13)
		if _, err := onnx.Parse(model.Bytes(), onnx.Limits{}); err != nil {
			t.Fatal(err)
		}
		if net, err := openBatch(rt, model.Bytes(), m, bench.Samples, 1, someInputs(4)); err == nil {
			net.Close()
			t.Errorf("%s: was batched", name)
		}
	}
}
