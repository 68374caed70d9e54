package onnx_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/quant/onnx"
)

func TestGraphOfConv(t *testing.T) {
	g := read(t, "testdata/conv.onnx").Graph()
	var got []string
	for _, v := range append(g.Inputs(), g.Outputs()...) {
		got = append(got, v.String())
	}
	for _, n := range g.Nodes() {
		got = append(got, n.String())
	}
	for _, c := range g.Initializers() {
		v, _ := g.Value(c.Name())
		got = append(got, v.String())
	}
	want := []string{
		"x: float[batch,1,4,4]", "y: float[batch,2]",
		`Conv "conv"`, `Relu "relu"`, `GlobalAveragePool "pool"`, `Flatten "flatten"`,
		"w: float[2,1,3,3]", "b: float[2]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if g.Name() != "conv" || g.NumNodes() != 4 {
		t.Errorf("got graph %q of %d nodes", g.Name(), g.NumNodes())
	}
}

func TestGraphLinks(t *testing.T) {
	g := read(t, "testdata/conv.onnx").Graph()
	producer, ok := g.Producer("r")
	if !ok || producer.Op() != "Relu" {
		t.Errorf("producer of r: got %s, %v", producer, ok)
	}
	if _, ok := g.Producer("w"); ok {
		t.Error("an initializer has a producer")
	}
	consumers := g.Consumers("c")
	if len(consumers) != 1 || consumers[0].Op() != "Relu" {
		t.Errorf("consumers of c: got %v", consumers)
	}
	if diff := cmp.Diff([]string{"x", "w", "b"}, mustProducer(t, g, "c").Inputs()); diff != "" {
		t.Error(diff)
	}
	if _, ok := g.Value("nowhere"); ok {
		t.Error("an unknown name has a declaration")
	}
}

func mustProducer(t *testing.T, g *onnx.Graph, name string) onnx.Node {
	t.Helper()
	n, ok := g.Producer(name)
	if !ok {
		t.Fatalf("no producer of %q", name)
	}
	return n
}

func TestAttributes(t *testing.T) {
	g := read(t, "testdata/conv.onnx").Graph()
	conv := mustProducer(t, g, "c")
	pads, err := conv.Ints("pads")
	if diff := cmp.Diff([]int64{1, 1, 1, 1}, pads); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if v, err := conv.Int("group"); v != 1 || err != nil {
		t.Errorf("group: got %d, %v", v, err)
	}
	if _, err := conv.Int("strides"); !errors.Is(err, onnx.ErrMissing) {
		t.Errorf("strides: got %v, want missing", err)
	}
	if _, err := conv.Float("pads"); !errors.Is(err, onnx.ErrType) {
		t.Errorf("pads as float: got %v, want a type error", err)
	}
	if !conv.HasAttribute("pads") || conv.HasAttribute("strides") || len(conv.Attributes()) != 2 {
		t.Errorf("got attributes %q", conv.Attributes())
	}
}

func TestSubgraphSeesOuterNames(t *testing.T) {
	g := read(t, "testdata/if.onnx").Graph()
	then, err := mustProducer(t, g, "out").Subgraph("then_branch")
	if err != nil {
		t.Fatal(err)
	}
	if add := mustProducer(t, then, "t"); add.Op() != "Add" {
		t.Errorf("got %s", add)
	}
	if len(then.Consumers("a")) != 1 {
		t.Error("a node that reads a value twice is one consumer")
	}
}

func TestTorchExport(t *testing.T) {
	m := read(t, "testdata/torch_export.onnx")
	if v, _ := m.Opset(""); v != 13 || m.Info().IRVersion > 8 {
		t.Errorf("got opset %d, IR %d", v, m.Info().IRVersion)
	}
	in, out := m.Graph().Inputs(), m.Graph().Outputs()
	if len(in) != 1 || in[0].String() != "input: float[1,3,8,8]" || len(out) != 1 ||
		out[0].String() != "logits: float[1,3]" {
		t.Errorf("got %v -> %v", in, out)
	}
}
