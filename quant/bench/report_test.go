package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"emberwing/quant/accuracy"
)

// schema compiles the published schema.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("bench.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("bench.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks every line against the schema.
func validate(t *testing.T, s *jsonschema.Schema, lines io.Reader) (n int, err error) {
	t.Helper()
	dec := json.NewDecoder(lines)
	for {
		var line json.RawMessage
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			return n, err
		}
		n++
	}
}

const anySHA = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// sample is a report with every field that a run can fill.
func sample() *Report {
	truth, ref, mode := make([]int, 200), make([]int, 200), make([]int, 200)
	for i := range truth {
		truth[i], ref[i], mode[i] = i%2, i%2, i%2
		if i < 8 {
			mode[i] = 1 - truth[i]
		}
	}
	d := Paired(right(ref, truth), right(mode, truth))
	wall := Timing{Wall: Latencies{{0.010, 0.011}, {0.012, 0.010}, {0.011, 0.010}}, CPU: Latencies{{0.009, 0.009},
		{0.010, 0.009}, {0.009, 0.009}}}
	half := Timing{Wall: Latencies{{0.005, 0.005}, {0.006, 0.005}, {0.005, 0.005}}, CPU: Latencies{{0.004, 0.004},
		{0.005, 0.004}, {0.004, 0.004}}}
	ratio := Ratios("fp32", wall.Wall.Medians(), half.Wall.Medians())
	cpu := Ratios("fp32", wall.CPU.Medians(), half.CPU.Medians())
	class := []accuracy.Class{{Label: "no", Support: 100, Precision: 1, Recall: 1, F1: 1}, {Label: "yes", Support: 100,
		Precision: 1, Recall: 0.96, F1: 0.98}}
	head := func(name string) Mode {
		return Mode{Kind: KindMode, Mode: name, File: name + ".onnx", SHA256: anySHA, Bytes: 4e6, Provider: "cpu",
			Computes: "fp32"}
	}
	fp32, fp16, int8 := head("fp32"), head("fp16"), head("int8")
	fp32.Accuracy = &Accuracy{Accuracy: 1, Interval: Interval{0.98, 1}, Classes: class}
	fp32.Answers, fp32.Latency = ref, LatencyOf(wall)
	fp32.WarmUp = &WarmUp{LoadMS: 100, FirstMS: []float64{20, 12}}
	fp32.Idle = []IdleGap{IdleGapOf(time.Second, []float64{0.02, 0.03})}
	fp32.Memory = &Memory{PeakBytes: 100e6, BaseBytes: 40e6}
	fp16.Emulated, fp16.Accuracy, fp16.Answers = "values rounded to FP16 after each operator", fp32.Accuracy, ref
	int8.Computes, int8.Answers = "int8", mode
	int8.Accuracy = &Accuracy{Accuracy: 0.96, Interval: Interval{0.92, 0.98}, Drop: &d, Classes: class, LogLoss: 0.1,
		Alarm: &accuracy.Alarm{Threshold: 0.5}}
	int8.Latency, int8.Ratio, int8.CPURatio = LatencyOf(half), &ratio, &cpu
	for _, s := range Scenarios() {
		int8.Scenarios = append(int8.Scenarios, s.Score(half.Wall, 1))
	}
	return &Report{
		Run: Run{Kind: KindRun, Version: Version, Time: "2026-01-02T03:04:05Z", Model: "fire", ModelVersion: "1.0.0",
			Labels: []string{"no", "yes"},
			Images: 200, ImagesSHA256: anySHA, Truth: truth, Turns: 3, Runs: 2, Reference: "fp32",
			Environment: Environment{Board: "generic-x86-64", CPU: "a CPU", CPUFeatures: []string{"avx2"}, Cores: 2,
				Threads: 1, Runtime: "1.27.0", Program: "devel"}},
		Modes: []Mode{fp32, fp16, int8},
	}
}

func TestReportFollowsItsSchema(t *testing.T) {
	s := schema(t)
	var out bytes.Buffer
	if err := sample().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(&out)
	for _, v := range Compare(sample(), sample()) {
		e.Encode(v)
	}
	e.Encode(Roofline{Kind: KindRoofline, Label: "bound, not measured", Board: "jetson-nano-4gb", Precision: "fp16",
		Model: "fire", MACs: 1, Bytes: 1,
		BoundMS: 1, PerSecond: 1000, LimitedBy: "compute", Sources: []string{"a"}, Layers: []RooflineLayer{{"conv", "Conv",
			1, 1, 1, "compute"}}})
	if n, err := validate(t, s, &out); n != 8 || err != nil {
		t.Errorf("%d lines are valid, then %v", n, err)
	}
}

// TestSchemaRefuses breaks the rules that the schema holds.
func TestSchemaRefuses(t *testing.T) {
	s := schema(t)
	for name, damage := range map[string]func(*Report){
		"a speed without accuracy":     func(r *Report) { r.Modes[2].Accuracy = nil },
		"a sum that is none":           func(r *Report) { r.Modes[0].SHA256 = "abc" },
		"an accuracy above 1":          func(r *Report) { r.Modes[0].Accuracy.Accuracy = 96 },
		"no pictures and no mark":      func(r *Report) { r.Run.ImagesSHA256 = "" },
		"a latency of no turns":        func(r *Report) { r.Modes[0].Latency.Turns = nil },
		"another version":              func(r *Report) { r.Run.Version = 2 },
		"a precision that nobody uses": func(r *Report) { r.Modes[0].Computes = "int4" },
	} {
		r := sample()
		damage(r)
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		if err := e.Encode(r.Run); err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Modes {
			if err := e.Encode(m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := validate(t, s, &out); err == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
}

func TestReadGivesBackWhatWasWritten(t *testing.T) {
	var out bytes.Buffer
	if err := sample().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	out.WriteString(`{"kind":"roofline","label":"x"}` + "\n")
	got, err := Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("(-wrote +read):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for input, want := range map[string]string{
		"":                           "no line of kind",
		"not json":                   "object 1",
		`{"kind":"mode"}`:            "no line of kind",
		`{"kind":"run","version":9}`: "got version 9, want 1",
		`{"kind":"run","version":1}{"kind":"run","version":1}`:                                         "second run",
		`{"kind":"run","version":1}{"kind":"mode","mode":"m","latency_ms":{"p50":1}}`:                  "without an accuracy",
		`{"kind":"run","version":1}{"kind":"mode","mode":"m","speed_only":"x","latency_ms":{"p50":1}}`: "no turns",
	} {
		if _, err := Read(strings.NewReader(input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", input, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var out bytes.Buffer
	sample().WriteJSON(&out)
	f.Add(out.Bytes())
	f.Add([]byte(`{"kind":"run","version":1}{"kind":"mode","answers":[-1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		Compare(r, r)
		if err := errors.Join(r.WriteTable(io.Discard), r.WriteSVG(io.Discard)); err != nil {
			t.Error(err)
		}
	})
}

// TestNoSpeedWithoutAccuracy: the writer refuses what the table would hide.
func TestNoSpeedWithoutAccuracy(t *testing.T) {
	r := sample()
	r.Modes[2].Accuracy = nil
	if err := r.WriteJSON(io.Discard); err == nil || !strings.Contains(err.Error(), "without an accuracy") {
		t.Errorf("got %v, want a refusal", err)
	}
	r.Modes[2].SpeedOnly = "calibrated on noise"
	var table strings.Builder
	if err := errors.Join(r.WriteJSON(io.Discard), r.WriteTable(&table)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"speed only", "int8: speed only: calibrated on noise",
		"fp16: emulated: values rounded", "not measured"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

func TestSVG(t *testing.T) {
	r := sample()
	r.Run.Environment.CPU = "<b>&\x01"
	var out bytes.Buffer
	if err := r.WriteSVG(&out); err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(bytes.NewReader(out.Bytes())); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, &out)
		}
	}
	if n := strings.Count(out.String(), "<circle"); n != 2 {
		t.Errorf("got %d modes drawn, want the two that have both", n)
	}
	if !strings.Contains(out.String(), "not measured: fp16") || !strings.Contains(out.String(), "<polyline") {
		t.Errorf("no note of the mode left out, or no front:\n%s", &out)
	}
}

func TestParetoFront(t *testing.T) {
	r := sample()
	worse := r.Modes[2]
	worse.Mode = "worse" // slower than int8 and as accurate
	slower := *worse.Latency
	slower.P50 *= 1.5
	worse.Latency = &slower
	r.Modes = append(r.Modes, worse)
	front := map[string]bool{}
	for _, p := range r.points() {
		front[p.name] = p.front
	}
	if diff := cmp.Diff(map[string]bool{"fp32": true, "int8": true, "worse": false}, front); diff != "" {
		t.Error(diff)
	}
}

func TestScenarios(t *testing.T) {
	one := make([]float64, 16)
	for i := range one {
		one[i] = 0.010
	}
	one[15] = 0.110
	l := Latencies{one}
	if r := SingleStream.Score(l, 1); r.Queries != 16 || r.P90 != 10 {
		t.Errorf("%+v", r)
	}
	if r := MultiStream.Score(l, 1); r.Queries != 2 || r.P99 < 179.9 || r.P99 > 180.1 {
		t.Errorf("got %+v, want 2 queries and a p99 of 180 ms", r)
	}
	if r := MultiStream.Score(l, Samples); r.Queries != 16 || r.P99 > 110.1 || r.Batch != Samples {
		t.Errorf("batches: %+v", r)
	}
	if r := Offline.Score(l, Samples); r.PerSecond < 492 || r.PerSecond > 493 {
		t.Errorf("batches: %+v", r)
	}
	if r := Offline.Score(l, 1); r.PerSecond < 61.5 || r.PerSecond > 61.6 {
		t.Errorf("got %+v, want 16 pictures in 0.26 s", r)
	}
	if _, err := ParseScenario("server"); err == nil {
		t.Error("server was taken")
	}
	if s, err := ParseScenario("multistream"); s != MultiStream || err != nil {
		t.Error(s, err)
	}
}

func TestInterleaveRotatesAndStops(t *testing.T) {
	var order strings.Builder
	subject := func(name string) Subject {
		return Subject{Name: name, Prepare: func(int) {}, Run: func() error { order.WriteString(name); return nil }}
	}
	no := func(float64) {}
	all, err := Interleave(t.Context(), []Subject{subject("a"), subject("b")}, Plan{Turns: 3, Runs: 2, Warm: 1},
		ThreadTime, no)
	if err != nil || order.String() != "aaabbb"+"bbbaaa"+"aaabbb" {
		t.Errorf("got order %s, %v", &order, err)
	}
	for i, x := range all {
		if len(x.Wall) != 3 || len(x.Wall[2]) != 2 || len(x.CPU) != 3 {
			t.Errorf("mode %d: %+v, want 3 turns of 2", i, x)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := Subject{Name: "stop", Prepare: func(int) {}, Run: func() error { cancel(); return nil }}
	if _, err := Interleave(ctx, []Subject{stop}, Plan{Turns: 9, Runs: 9}, ThreadTime, no); !errors.Is(err,
		context.Canceled) {
		t.Errorf("got %v after cancellation", err)
	}
	boom := errors.New("boom")
	bad := Subject{Name: "bad", Prepare: func(int) {}, Run: func() error { return boom }}
	if _, err := Interleave(t.Context(), []Subject{bad}, Plan{Turns: 1, Runs: 1}, ThreadTime, no); !errors.Is(err,
		boom) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("got %v, want the error with the mode's name", err)
	}
}

func TestThreadTimeGrowsWithWork(t *testing.T) {
	work := Subject{Name: "work", Prepare: func(int) {}, Run: func() error {
		for start := ThreadTime(); ThreadTime()-start < 2*time.Millisecond; {
		}
		return nil
	}}
	all, err := Interleave(t.Context(), []Subject{work}, Plan{Turns: 1, Runs: 3}, ThreadTime, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all[0].CPU[0] {
		if s < 0.002 || s > all[0].Wall.Sorted()[2]+0.001 {
			t.Errorf("%v s of processor time for 2 ms of work in %v s", s, all[0].Wall)
		}
	}
}

func TestIdleWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, runs := time.Now(), 0
		s := Subject{Name: "m", Prepare: func(int) {}, Run: func() error { runs++; return nil }}
		took, err := Idle(t.Context(), s, 10*time.Second, 3)
		if err != nil || len(took) != 3 || runs != 3 || time.Since(start) != 30*time.Second {
			t.Errorf("%v, %v after %v and %d runs", took, err, time.Since(start), runs)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Idle(ctx, s, time.Hour, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v from a cancelled pause", err)
		}
	})
}
