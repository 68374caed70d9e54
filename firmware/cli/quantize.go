package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emberwing/boards"
	"emberwing/camera/pixel"
	"emberwing/firmware/benchmark"
	"emberwing/firmware/evaluate"
	"emberwing/infer/ort"
	"emberwing/quant/calib"
	"emberwing/quant/equalize"
	"emberwing/quant/graph"
	"emberwing/quant/half"
	"emberwing/quant/pictures"
	"emberwing/quant/qat"
	"emberwing/quant/qdq"
	"emberwing/quant/recipe"
)

func quantizeCommand(s Streams) *cobra.Command {
	var q quantize
	c := &cobra.Command{
		Use:   "quantize --in FP32.onnx --calib DIR --out OUT.onnx",
		Short: "make an INT8 or FP16 model for a target",
		Long: `quantize measures a float model on pictures and writes it in 8-bit integers for
one kind of runtime. Pictures are prepared as the manifest beside the model
says, or as --model or the flags of preparation do.

Targets:
` + targets() + `
Methods choose the range of each tensor from what was measured: minmax, moving,
percentile[=99.99], entropy, mse; auto tries all on a quarter of the pictures,
at most 32, that are kept aside, and takes the one nearest to the float model.
Weights are then rounded so that their errors cancel over the pictures, which is
kept where it helps; --rounding nearest leaves that out.
With --calibration FILE what was measured is kept: another method or target
takes seconds, and an interrupted measurement goes on where it ended.

A model that carries Q/DQ pairs already, as quantisation-aware training writes
them, is checked against the target and written for it with the scales that
training chose; pictures are needed only for values without a pair.`,
		Example: "  emberwing quantize --in fire-fp32.onnx --calib train/ --target cpu-vnni --out fire-int8.onnx\n" +
			"  emberwing quantize --in fire-fp32.onnx --calib train/ --calibration fire.calib --method mse --target " +
			"tensorrt --out fire-trt.onnx",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return q.run(c.Context(), s) },
	}
	q.register(c)
	return c
}

// targets lists the profiles for --help.
func targets() string {
	var b strings.Builder
	for _, p := range qdq.Profiles() {
		fmt.Fprintf(&b, "  %-22s %s\n", p.Name, p.About)
	}
	return b.String()
}

// quantize holds the flags of the command.
type quantize struct {
	in, calib, out, mode, target, method string
	calibration, memory, library         string
	board, tensorrt, dump, emulated      string
	float, floatOps, svg                 []string
	images, threads                      int
	bias, eval, rounding                 string
	maxDrop                              float64
	equalize, lint, json                 bool
	prepare                              preparation
	labelled                             recipe.Labelled // of --eval
}

func (q *quantize) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&q.in, "in", "", "float model to read (ONNX, opset 11 to 17)")
	f.StringVar(&q.calib, "calib", "", "folder of pictures like those in flight, searched to its full depth")
	f.StringVar(&q.out, "out", "", "file to write")
	f.StringVar(&q.mode, "mode", "int8", "int8 or fp16")
	f.StringVar(&q.target, "target", "cpu-vnni", "what the file is for; see above")
	f.StringVar(&q.method, "method", recipe.Auto, "how ranges are chosen; see above")
	f.StringVar(&q.calibration, "calibration", "", "file that keeps what was measured")
	f.StringVar(&q.memory, "memory", "512MiB", "budget for tensors held at once while measuring")
	f.StringVar(&q.library, "library", "", "path of libonnxruntime; found beside the program by default")
	f.StringSliceVar(&q.float, "float", nil, "names of nodes that stay float")
	f.StringSliceVar(&q.floatOps, "float-ops", nil, "fp16: operators that stay float, besides "+
		""+strings.Join(half.DefaultBlocked()[:6], ", ")+" and the like")
	f.StringVar(&q.emulated, "emulated", "", "fp16: also write a float model that rounds as the fp16 one does, to "+
		"judge its accuracy on a CPU")
	f.StringVar(&q.board, "board", "", "board that the file is for: refuses what its hardware cannot do")
	f.StringVar(&q.tensorrt, "tensorrt-version", "8502", "version in the header of the native table, as in 8502 for 8.5.2")
	f.StringVar(&q.dump, "dump", "", "write ranges and histograms to this file as JSON")
	f.StringArrayVar(&q.svg, "svg", nil, "TENSOR=FILE: draw the histogram of a tensor with its range; may be repeated")
	f.IntVar(&q.images, "images", 0, "use at most this many pictures, spread over the folder; 0 is all")
	f.IntVar(&q.threads, "threads", 1, "threads of the runtime while measuring")
	f.StringVar(&q.bias, "bias-correction", "analytic", "none, analytic (from measured means) or empirical (layer "+
		"by layer, slower)")
	f.StringVar(&q.rounding, "rounding", recipe.Auto, "of weights: nearest, compensated (errors cancel over the "+
		"pictures; "+
		"takes a minute), or auto: compensated with --method auto where it helps, else nearest")
	f.BoolVar(&q.equalize, "equalize", false, "even out the channels between layers first (across Relu)")
	f.Float64Var(&q.maxDrop, "max-drop", -1, "keep the fewest nodes in float with which accuracy falls by at most "+
		"this many points, as in 0.5")
	f.StringVar(&q.eval, "eval", "", "folder of labelled pictures DIR/<class>/* that --max-drop is judged on; "+
		"default: agreement with the float model")
	f.BoolVar(&q.lint, "lint", false, "only say what the target would not take of the Q/DQ pairs in --in")
	f.BoolVar(&q.json, "json", false, "print the report as one JSON object")
	q.prepare.register(f)
	_ = c.MarkFlagRequired("in") // defined above
}

// quantizeReport is the object that quantize --json prints.
type quantizeReport struct {
	In       string          `json:"in"`
	Out      string          `json:"out"`
	Mode     string          `json:"mode"`
	Target   string          `json:"target"`
	Chosen   recipe.Choice   `json:"chosen"`
	Tried    []recipe.Choice `json:"tried,omitempty"`
	Files    []string        `json:"files"`
	Float    []string        `json:"float_nodes"`
	Mixed    *recipe.Mixed   `json:"mixed,omitempty"`
	Notes    []string        `json:"notes"`
	Findings []half.Finding  `json:"findings,omitempty"` // what 16 bits cannot hold
	Pictures int             `json:"pictures"`
	Bytes    map[string]int  `json:"bytes"` // of "in" and "out"
	Seconds  float64         `json:"seconds"`
}

func (q *quantize) run(ctx context.Context, s Streams) error {
	began := time.Now()
	if err := q.check(); err != nil {
		return err
	}
	j, err := q.job(s)
	if err != nil || q.lint {
		return err
	}
	rt, err := ort.Load(q.library)
	if err != nil {
		return err
	}
	defer rt.Close()
	j.Open = benchmark.Opener(rt, q.threads)
	r := &quantizeReport{In: q.in, Out: q.out, Mode: q.mode, Target: q.target,
		Bytes: map[string]int{"in": len(j.Model.Bytes())}}
	if j.Samples != nil {
		r.Pictures = j.Samples.Len()
	}
	made, err := q.make(ctx, j, r)
	if err != nil {
		return q.explain(err)
	}
	for _, f := range made {
		if err := calib.WriteFile(f.path, f.data); err != nil {
			return err
		}
		r.Files = append(r.Files, f.path)
	}
	r.Bytes["out"], r.Seconds = len(made[0].data), time.Since(began).Seconds()
	if q.json {
		return emit(s.Out, r)
	}
	return r.print(s)
}

// check refuses what the flags alone show to be impossible.
func (q *quantize) check() error {
	switch {
	case q.out == "" && !q.lint:
		return errors.New("write model: got no --out, want the file to write")
	case q.out != "" && !isFolder(filepath.Dir(q.out)):
		return fmt.Errorf("write model: got --out %s, but there is no folder %s: create it first", q.out, filepath.Dir(q.out))
	case !slices.Contains([]string{"none", "analytic", "empirical"}, q.bias):
		return fmt.Errorf("choose bias correction: got %q, want none, analytic or empirical", q.bias)
	}
	if !slices.Contains([]string{recipe.Auto, "nearest", recipe.Compensated}, q.rounding) {
		return fmt.Errorf("choose rounding: got %q, want nearest, compensated or auto", q.rounding)
	}
	if q.mode != "int8" && q.mode != "fp16" {
		return fmt.Errorf("choose mode: got %q, want int8 or fp16", q.mode)
	}
	if q.method != recipe.Auto {
		if _, err := calib.ParseMethod(q.method); err != nil {
			return fmt.Errorf("%w, or auto", err)
		}
	}
	if q.board == "" {
		return nil
	}
	b, ok := boards.ByID(q.board)
	if !ok {
		return fmt.Errorf("choose board: got %q, want an id that emberwing board --list shows", q.board)
	}
	if q.mode == "int8" && strings.HasPrefix(q.target, "tensorrt") && b.Fast(boards.INT8) == boards.No {
		return fmt.Errorf("quantise for %s: its GPU (%s) has no fast 8-bit arithmetic: TensorRT would run INT8 slower "+
			"than FP16 or switch it off; "+
			"use --mode fp16, which halves the size and is fast there", b.Name, b.ComputeCapability.SM())
	}
	return nil
}

// isFolder says whether path is a folder.
func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// made is a file to write.
type made struct {
	path string
	data []byte
}

// make quantises and returns the files, the model first.
func (q *quantize) make(ctx context.Context, j *recipe.Job, r *quantizeReport) ([]made, error) {
	if q.mode == "fp16" {
		return q.half(ctx, j, r)
	}
	p, err := j.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes, p.Notes...)
	if j.Profile.Placement == qdq.Nowhere {
		return q.tables(ctx, p, r)
	}
	w, err := q.write(ctx, p, r)
	if err != nil {
		return nil, err
	}
	r.Chosen, r.Tried, r.Float = w.Choice, w.Tried, w.Float
	looks, err := q.looks(p, w.Choice.Method, w.Ranges, w.Result.Values)
	return append([]made{{q.out, w.Model.Bytes()}}, looks...), err
}

// write quantises, mixes precisions where --max-drop asks for it, and corrects
// biases.
func (q *quantize) write(ctx context.Context, p *recipe.Prepared, r *quantizeReport) (w *recipe.Written, err error) {
	if q.maxDrop < 0 {
		w, err = p.Write(ctx)
	} else {
		var m *recipe.Mixed
		if m, err = p.Mix(ctx, q.labelled, q.maxDrop/100); err == nil {
			w, r.Mixed = m.Written, m
		}
	}
	if err == nil && q.compensates(p) {
		w, err = p.Round(ctx, w)
	}
	if err != nil || q.bias != "empirical" {
		return w, err
	}
	return p.CorrectBias(ctx, w)
}

// compensates says whether weights are rounded so that errors cancel.
func (q *quantize) compensates(p *recipe.Prepared) bool {
	auto := q.rounding == recipe.Auto && q.method == recipe.Auto && q.bias != "none"
	return p.Calibration.Count > 0 && p.Job.Known == nil && (q.rounding == recipe.Compensated || auto)
}

// half converts to 16-bit floating point.
func (q *quantize) half(ctx context.Context, j *recipe.Job, r *quantizeReport) ([]made, error) {
	var ops []string
	if len(q.floatOps) > 0 {
		ops = append(half.DefaultBlocked(), q.floatOps...)
	}
	h, err := j.Half(ctx, ops)
	if err != nil {
		return nil, err
	}
	r.Target, r.Chosen, r.Float, r.Notes = "", recipe.Choice{SQNR: h.SQNR}, j.Float, h.Notes
	lost := 0
	r.Findings = h.Findings
	for _, f := range h.Findings {
		lost += f.Lost
		if f.Kept {
			r.Notes = append(r.Notes, f.String())
		}
	}
	if lost > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d numbers of constants are below %.2g and become 0 in 16-bit floats",
			lost, half.Smallest/2))
	}
	files := []made{{q.out, h.Model.Bytes()}}
	if q.emulated != "" {
		files = append(files, made{q.emulated, h.Emulated.Bytes()})
	}
	return files, nil
}

// tables writes the float model with both calibration tables.
func (q *quantize) tables(ctx context.Context, p *recipe.Prepared, r *quantizeReport) ([]made, error) {
	t, err := p.Table(ctx)
	if err != nil {
		return nil, err
	}
	r.Chosen, r.Tried = t.Choice, t.Tried
	if t.Renamed > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("renamed %d values whose names hold colons, which the native table "+
			"cannot carry", t.Renamed))
	}
	if t.Unknown > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d values have no range, as no pair and no --calib gives one: TensorRT "+
			"computes in higher precision what it cannot fuse around them", t.Unknown))
	}
	if c := t.Table.Colons(); len(c) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the native table cannot give a range to %q, whose names hold colons: "+
			"use the flatbuffers table", c))
	}
	native, err := t.Table.Native(q.tensorrt)
	if err != nil {
		return nil, err
	}
	flat, err := t.Table.Flatbuffers()
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(q.out, filepath.Ext(q.out))
	looks, err := q.looks(p, t.Choice.Method, t.Ranges, nil)
	return append([]made{{q.out, t.Model.Bytes()}, {base + ".flatbuffers", flat}, {base + ".calibration", native}},
		looks...), err
}

// looks makes the files of --dump and --svg.
func (q *quantize) looks(p *recipe.Prepared, method string, ranges map[string]calib.Range,
	values map[string]qdq.Params) ([]made, error) {
	var files []made
	if q.dump != "" {
		b, err := p.Dump(method, ranges, values).Encode()
		if err != nil {
			return nil, err
		}
		files = append(files, made{q.dump, b})
	}
	for _, arg := range q.svg {
		at := strings.LastIndex(arg, "=")
		if at < 0 {
			return nil, fmt.Errorf("read --svg: got %q, want TENSOR=FILE", arg)
		}
		svg, err := p.SVG(arg[:at], method, ranges)
		if err != nil {
			return nil, err
		}
		files = append(files, made{arg[at+1:], []byte(svg)})
	}
	return files, nil
}

// explain adds what to do to an interrupted calibration.
func (q *quantize) explain(err error) error {
	if !errors.Is(err, context.Canceled) || q.calibration == "" {
		return err
	}
	return fmt.Errorf("%w: what was measured is in %s; the same command goes on from there", err, q.calibration)
}

// job reads model and pictures.
func (q *quantize) job(s Streams) (*recipe.Job, error) {
	profile, err := qdq.ProfileOf(q.target)
	if err != nil {
		return nil, err
	}
	memory, err := parseBytes(q.memory)
	if err != nil {
		return nil, fmt.Errorf("read --memory: %w", err)
	}
	m, err := readModel(s, q.in)
	if err != nil {
		return nil, err
	}
	input, spec, err := q.prepare.resolve(m, q.in)
	if err != nil {
		return nil, err
	}
	j := &recipe.Job{
		Model: m, Input: input, Profile: profile, Method: q.method, Float: q.float,
		Memory: memory, Stored: q.calibration, Plain: q.bias == "none", Widen: profile.X86, Progress: progressOn(s.Err),
		Quick: q.method != recipe.Auto && q.maxDrop < 0 && q.bias != "empirical" && q.rounding != recipe.Compensated,
	}
	if err := q.rewrite(s, j); err != nil || q.lint {
		return j, err
	}
	if (q.mode == "fp16" || j.Known != nil) && q.calib == "" {
		return j, nil
	}
	files, err := listPictures(s, q.calib, q.images)
	if err != nil {
		return nil, err
	}
	if j.Samples, err = pictures.New(files, spec); err != nil || q.eval == "" {
		return j, err
	}
	return j, q.label(s, spec)
}

// rewrite strips the pairs of a model that has some, and equalises channels.
func (q *quantize) rewrite(s Streams, j *recipe.Job) error {
	has := qat.Has(j.Model)
	if !has && q.lint {
		return fmt.Errorf("check pairs: %s has none", q.in)
	}
	if q.mode != "int8" || !has && !q.equalize {
		return nil
	}
	g, notes, err := graph.Canonical(j.Model)
	if err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(s.Err, "note:", n)
	}
	if j.Graph = g; !has {
		pairs, largest, err := equalize.Graph(g)
		fmt.Fprintf(s.Err, "note: evened out the channels of %d pairs of layers, by up to %.3g\n", pairs, largest)
		return err
	}
	for _, issue := range qat.Lint(g, j.Profile) {
		fmt.Fprintln(s.Err, issue)
	}
	if q.lint {
		return nil
	}
	stripped, err := qat.Strip(g)
	if err != nil {
		return err
	}
	j.Values, j.Weights, j.Known = stripped.Values, stripped.Weights, stripped.Ranges()
	return nil
}

// label reads the pictures of --eval.
func (q *quantize) label(s Streams, spec pixel.Spec) error {
	labels, err := q.prepare.labels(q.in)
	if err != nil {
		return err
	}
	list, err := evaluate.List(q.eval, labels, func(w string) { fmt.Fprintln(s.Err, "warning:", w) })
	if err != nil {
		return err
	}
	var files []string
	for _, p := range list {
		files = append(files, p.Path)
		q.labelled.Truth = append(q.labelled.Truth, p.Truth)
	}
	q.labelled.Samples, err = pictures.New(files, spec)
	return err
}

// print writes the report for people.
func (r *quantizeReport) print(s Streams) error {
	for _, note := range r.Notes {
		fmt.Fprintf(s.Err, "note: %s\n", note)
	}
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	if len(r.Tried) > 0 {
		fmt.Fprintln(w, "method\tbias correction\trounding\tSQNR of the outputs")
		for _, c := range r.Tried {
			fmt.Fprintf(w, "%s\t%v\t%s\t%.1f dB\n", c.Method, c.BiasCorrection, cmp.Or(c.Rounding, "nearest"), c.SQNR)
		}
		fmt.Fprintln(w)
	}
	r.printMixed(w)
	fmt.Fprint(w, r.Out, ": ", r.Mode)
	if r.Target != "" {
		fmt.Fprintf(w, " for %s by %s", r.Target, r.Chosen.Method)
	}
	if r.Chosen.SQNR != 0 {
		fmt.Fprintf(w, ", %.1f dB on pictures kept aside", r.Chosen.SQNR)
	}
	fmt.Fprintf(w, ", %.2f MB (%s is %.2f MB), %.1f s\n", float64(r.Bytes["out"])/1e6, filepath.Base(r.In),
		float64(r.Bytes["in"])/1e6, r.Seconds)
	for _, f := range r.Files[1:] {
		fmt.Fprintln(w, "also wrote", f)
	}
	return w.Flush()
}

// printMixed says which nodes stay in float, and what they gained.
func (r *quantizeReport) printMixed(w io.Writer) {
	if r.Mixed == nil {
		return
	}
	fmt.Fprintln(w, "nodes in float\taccuracy\tdrop")
	for _, t := range r.Mixed.Trials {
		fmt.Fprintf(w, "%d\t%.4f\t%+.4f\n", t.Float, t.Accuracy, t.Drop)
	}
	fmt.Fprintln(w)
	for i, s := range r.Mixed.Sensitivity {
		if i == 10 {
			break
		}
		if i == 0 {
			fmt.Fprintln(w, "most sensitive alone\tSQNR\tlabels changed")
		}
		fmt.Fprintf(w, "%s\t%.1f dB\t%.4f\n", s.Node, s.SQNR, s.Changed)
	}
	fmt.Fprintf(w, "\nin float: %s\n\n", strings.Join(r.Float, " "))
}
