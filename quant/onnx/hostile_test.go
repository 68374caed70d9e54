package onnx_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// graphOf makes a model of nodes written "out = op(in, in)".
func graphOf(inputs []string, outputs []string, lines ...string) *onnxpb.ModelProto {
	g := &onnxpb.GraphProto{Name: proto.String("g")}
	for _, in := range inputs {
		g.Input = append(g.Input, &onnxpb.ValueInfoProto{Name: proto.String(in)})
	}
	for _, out := range outputs {
		g.Output = append(g.Output, &onnxpb.ValueInfoProto{Name: proto.String(out)})
	}
	for _, line := range lines {
		out, call, _ := strings.Cut(line, " = ")
		op, args, _ := strings.Cut(strings.TrimSuffix(call, ")"), "(")
		g.Node = append(g.Node, &onnxpb.NodeProto{
			OpType: proto.String(op), Input: strings.Split(args, ", "), Output: strings.Split(out, ", "),
		})
	}
	return &onnxpb.ModelProto{
		IrVersion: proto.Int64(7), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}}, Graph: g,
	}
}

func TestCheck(t *testing.T) {
	x, y := []string{"x"}, []string{"y"}
	for _, tt := range []struct {
		name  string
		model *onnxpb.ModelProto
		want  error
		says  string
	}{
		{"sound", graphOf(x, y, "a = Relu(x)", "y = Add(a, a)"), nil, ""},
		{"optional input", graphOf(x, y, "y = Clip(x, , )"), nil, ""},
		{"cycle", graphOf(x, y, "a = Add(x, b)", "b = Relu(a)", "y = Relu(b)"), onnx.ErrCycle, `Relu -> "b"`},
		{"self", graphOf(x, y, "y = Add(x, y)"), onnx.ErrCycle, `Add -> "y"`},
		{"order", graphOf(x, y, "y = Relu(a)", "a = Relu(x)"), onnx.ErrOrder, `"a", which comes later`},
		{"dangling node input", graphOf(x, y, "y = Add(x, ghost)"), onnx.ErrDangling, `"ghost", read by Add -> "y"`},
		{"dangling output", graphOf(x, []string{"z"}, "y = Relu(x)"), onnx.ErrDangling, `"z", read by graph output`},
		{"value twice", graphOf(x, y, "y = Relu(x)", "y = Neg(x)"), onnx.ErrDuplicate, `"y", by Neg`},
		{"input twice", graphOf([]string{"x", "x"}, y, "y = Relu(x)"), onnx.ErrDuplicate, `"x", by graph input`},
		{"node hides input", graphOf(x, y, "x = Neg(x)", "y = Relu(x)"), onnx.ErrDuplicate, `"x", by Neg`},
	} {
		_, err := onnx.FromProto(tt.model)
		if !errors.Is(err, tt.want) || tt.want != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %v with %s", tt.name, err, tt.want, tt.says)
		}
	}
}

func TestCheckInitializerTwice(t *testing.T) {
	m := graphOf(nil, []string{"w"})
	m.Graph.Initializer = []*onnxpb.TensorProto{{Name: proto.String("w")}, {Name: proto.String("w")}}
	if _, err := onnx.FromProto(m); !errors.Is(err, onnx.ErrDuplicate) {
		t.Errorf("got %v", err)
	}
}

func TestCheckSubgraph(t *testing.T) {
	m := graphOf([]string{"x"}, []string{"y"}, "y = If(x)")
	branch := graphOf(nil, []string{"b"}, "b = Add(x, ghost)").Graph
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{
		Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: branch,
	}}
	_, err := onnx.FromProto(m)
	if !errors.Is(err, onnx.ErrDangling) || strings.Contains(err.Error(), `"x"`) {
		t.Errorf("got %v, want only ghost", err)
	}
}

func TestCheckFunctionBody(t *testing.T) {
	m := graphOf([]string{"x"}, []string{"y"}, "y = Relu(x)")
	m.Functions = []*onnxpb.FunctionProto{{Input: []string{"p"}, Output: []string{"q"}}}
	if _, err := onnx.FromProto(m); !errors.Is(err, onnx.ErrDangling) {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("v%d = Relu(ghost%d)", i, i))
	}
	_, err := onnx.FromProto(graphOf(nil, nil, lines...))
	if n := strings.Count(err.Error(), "ghost"); n != 20 {
		t.Errorf("got %d faults in the message, want 20", n)
	}
}

// A file cut anywhere is refused, by name.
func TestTruncated(t *testing.T) {
	b, err := os.ReadFile("testdata/torch_export.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		_, err := onnx.Parse(b[:n:n], onnx.Limits{})
		if !errors.Is(err, onnx.ErrTruncated) {
			t.Fatalf("first %d of %d bytes: got %v, want %v", n, len(b), err, onnx.ErrTruncated)
		}
	}
}

func TestNotAModel(t *testing.T) {
	for _, text := range []string{"<!DOCTYPE html><html>", "version https://git-lfs", "\x7fELF\x02\x01\x01",
		"PK\x03\x04\x14\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x0b\x0c", "\x08\x00\x3a\x00"} {
		_, err := onnx.Parse([]byte(text), onnx.Limits{})
		if !errors.Is(err, onnx.ErrSyntax) && !errors.Is(err, onnx.ErrTruncated) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestModelWithoutParts(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no graph": "\x08\x07\x42\x02\x10\x0d", "no operator set": "\x08\x07\x3a\x00",
	} {
		if _, err := onnx.Parse([]byte(text), onnx.Limits{}); !errors.Is(err, onnx.ErrTruncated) {
			t.Errorf("%s: got %v, want %v", name, err, onnx.ErrTruncated)
		}
	}
	if _, err := onnx.Parse([]byte("\x08\x07\x42\x02\x10\x0d\x3a\x00"), onnx.Limits{}); err != nil {
		t.Errorf("an empty graph is a model: %v", err)
	}
}

// bytesField appends a length-delimited field.
func bytesField(b []byte, num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), content)
}

// Field numbers of the schema.
const (
	modelGraph, graphNode, nodeAttribute, attributeGraph, graphInitializer, tensorInt64 = 7, 1, 5, 6, 5, 7
)

func deep(levels int) []byte {
	b := []byte{}
	for range levels {
		b = bytesField(nil, graphNode, bytesField(nil, nodeAttribute, bytesField(nil, attributeGraph, b)))
	}
	return bytesField(nil, modelGraph, b)
}

func TestHostileFilesAreBounded(t *testing.T) {
	nodes := func(n int) []byte { return bytesField(nil, modelGraph, []byte(strings.Repeat("\x0a\x00", n))) }
	ints := bytesField(nil, modelGraph, bytesField(nil, graphInitializer, bytesField(nil, tensorInt64, make([]byte,
		64<<20))))
	lie := append(protowire.AppendVarint(protowire.AppendTag(nil, modelGraph, protowire.BytesType), 1<<40), "short"...)
	for _, tt := range []struct {
		name string
		file []byte
		want error
	}{
		{"10^6 nodes", nodes(1_000_000), onnx.ErrLimit},
		{"10^7 nodes", nodes(10_000_000), onnx.ErrLimit},
		{"150000 empty nodes", nodes(150_000), onnx.ErrLimit},
		{"1000 empty nodes", nodes(1_000), onnx.ErrLimit},
		{"deep", deep(2_000), onnx.ErrLimit},
		{"eightfold integers", ints, onnx.ErrLimit},
		{"lying length", lie, onnx.ErrTruncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := onnx.Parse(tt.file, onnx.Limits{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("refusing %d bytes allocated %d", len(tt.file), got)
			}
		})
	}
}

// What is accepted keeps the promise of the budget too.
func TestAcceptedFilesStayInBudget(t *testing.T) {
	var lines []string
	for i := range 20_000 {
		lines = append(lines, fmt.Sprintf("v%d = Relu(v%d)", i+1, i))
	}
	chain, err := proto.Marshal(graphOf([]string{"v0"}, []string{"v20000"}, lines...))
	if err != nil {
		t.Fatal(err)
	}
	weights := graphOf(nil, []string{"w"})
	weights.Graph.Initializer = []*onnxpb.TensorProto{{Name: proto.String("w"), RawData: make([]byte, 64<<20)}}
	heavy, err := proto.Marshal(weights)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"chain of nodes": chain, "64 MiB of weights": heavy} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := onnx.Parse(file, onnx.Limits{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if got, want := after.TotalAlloc-before.TotalAlloc, allowance(len(file)); got > want {
			t.Errorf("%s: decoding %d bytes allocated %d, want at most %d", name, len(file), got, want)
		} else {
			t.Logf("%s: decoding %d bytes allocated %d", name, len(file), got)
		}
	}
}

func TestLimitsAreSettable(t *testing.T) {
	b, err := os.ReadFile("testdata/conv.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []onnx.Limits{{FileBytes: 10}, {Nodes: 3}, {Depth: 3}} {
		if _, err := onnx.Parse(b, l); !errors.Is(err, onnx.ErrLimit) {
			t.Errorf("%+v: got %v", l, err)
		}
	}
	if _, err := onnx.Parse(b, onnx.Limits{Nodes: 4, Depth: 7}); err != nil {
		t.Error(err)
	}
}

// allocated returns the bytes that were allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// allowance is what reading n bytes may allocate: four times the file. A node
// is thirty bytes in the file and a thousand in memory: a file of little but
// nodes gets 49 times its size, up to 32 MiB. The last MiB is for what the
// runtime counts ahead, by spans, and for the rest of the program.
func allowance(n int) uint64 { return uint64(max(4*n, min(32<<20+n, 64<<10+49*n)) + 1<<20) }

func FuzzParse(f *testing.F) {
	for _, path := range files(f) {
		if b, err := os.ReadFile(path); err == nil && len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Add(deep(10))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := allocated()
		m, err := onnx.Parse(b, onnx.Limits{})
		if got, most := allocated()-before, allowance(len(b)); got > most {
			t.Errorf("reading %d bytes allocated %d, want at most %d", len(b), got, most)
		}
		if err != nil {
			return
		}
		if string(m.Bytes()) != string(b) {
			t.Error("bytes changed")
		}
		for _, x := range m.Graph().Initializers() {
			_, _ = x.Float32s()
			_, _ = x.Int64s()
		}
		for _, n := range m.Graph().Nodes() {
			_ = n.String()
		}
		again, err := onnx.FromProto(m.CloneProto())
		if err != nil {
			t.Fatalf("an accepted model cannot be encoded: %v", err)
		}
		if again.Graph().NumNodes() != m.Graph().NumNodes() {
			t.Error("encoding lost nodes")
		}
	})
}
