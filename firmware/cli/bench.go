package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"emberwing/firmware/benchmark"
	"emberwing/firmware/engine"
	"emberwing/firmware/evaluate"
	"emberwing/infer"
	"emberwing/infer/ort"
	"emberwing/quant/bench"
)

func benchCommand(s Streams) *cobra.Command {
	b := benchRun{s: s}
	c := &cobra.Command{
		Use:   "bench [DIR]",
		Short: "compare modes of a model by accuracy and speed",
		Long: `bench runs the modes of one model over DIR/<class>/* and reports for each its
accuracy, the drop against the first mode with a paired 95 % interval, recall of
each class, latency percentiles, the speed ratio to the first mode, size, peak
memory, warm-up and the first picture after a pause.

The modes take turns within one run, so that ratios hold on a machine that does
other things too. A speed is never shown without its accuracy: without DIR, or
with random calibration, results are marked "speed only".

Modes: fp32 and int8 are the files of the model; fp16 is emulated where the
provider has no FP16, for its accuracy alone; int8-minmax, int8-moving,
int8-percentile[=99.99], int8-entropy, int8-mse and int8-auto are calibrated
here on --calib, all from one calibration; int8-dynamic needs none. --files adds
any other, e.g. qat=my-qat.onnx.`,
		Example: `  emberwing bench --model fire val/
  emberwing bench --model fire --modes fp32,int8,int8-dynamic --svg fire.svg --json val/ > new.json
  emberwing bench --model fire --modes fp32,int8-minmax,int8-mse --calib train/ val/
  emberwing bench --model fire --files ours=a.onnx,theirs=b.onnx val/
  emberwing bench --model fire --json --compare old.json val/
  emberwing bench --model fire --roofline jetson-nano-4gb --turns 0`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return b.run(c.Context(), args) },
	}
	b.register(c)
	return c
}

// benchRun is one run of the command.
type benchRun struct {
	s         Streams
	flags     modelFlags
	modes     []string
	files     []string
	calib     string
	images    int
	target    string
	json      bool
	svg       string
	compare   string
	scenarios []string
	roofline  []string
	plan      bench.Plan
	idle      []time.Duration
	limit     int
	noMemory  bool
}

func (b *benchRun) register(c *cobra.Command) {
	b.flags.registerModel(c)
	f := c.Flags()
	f.StringSliceVar(&b.modes, "modes", nil, "modes to compare, the first is the reference (default fp32,fp16,int8; "+
		"fp32 with --files)")
	f.StringSliceVar(&b.modes, "precision", nil, "the same as --modes")
	f.StringSliceVar(&b.files, "files", nil, "further files, NAME=FILE.onnx or FILE.onnx, under the model's labels and "+
		"preprocessing")
	f.StringVar(&b.calib, "calib", "", "folder of pictures for the modes that are calibrated here, not those of DIR")
	f.IntVar(&b.images, "images", 300, "calibrate on at most this many pictures of --calib; 0 is all")
	f.StringVar(&b.target, "target", "cpu-vnni", "what the modes that are calibrated here are written for; see "+
		"quantize --help")
	f.BoolVar(&b.json, "json", false, "print one JSON object a line (schema: quant/bench/schema.json)")
	f.StringVar(&b.svg, "svg", "", "draw accuracy over latency with its Pareto front into this file")
	f.StringVar(&b.compare, "compare", "", "compare with an earlier --json output; exit code 1 when accuracy, speed, "+
		"size or memory are worse beyond noise")
	f.StringSliceVar(&b.scenarios, "scenario", []string{string(bench.SingleStream)},
		"SingleStream, MultiStream (8 pictures a query), Offline")
	f.StringSliceVar(&b.roofline, "roofline", nil, "boards of the table to bound the speed for")
	f.IntVar(&b.plan.Turns, "turns", 15, "turns that the modes take; 0 measures no speed")
	f.IntVar(&b.plan.Runs, "runs", 16, "measured pictures a turn")
	f.IntVar(&b.plan.Warm, "warm", 2, "pictures a turn that are not measured")
	f.DurationSliceVar(&b.idle, "idle", []time.Duration{time.Second, 10 * time.Second},
		"pauses before a first picture is measured; --idle 0 for none")
	f.IntVar(&b.limit, "limit", 0, "judge at most this many pictures, spread over the classes; 0 is all")
	f.BoolVar(&b.noMemory, "no-memory", false, "do not start processes to measure peak memory")
}

func (b *benchRun) run(ctx context.Context, args []string) error {
	old, err := b.old()
	if err != nil {
		return err
	}
	report, model, err := b.measure(ctx, args)
	if err != nil {
		return err
	}
	if err := b.print(report, model); err != nil {
		return err
	}
	if b.svg != "" {
		if err := writeWhole(b.svg, report.WriteSVG); err != nil {
			return fmt.Errorf("draw picture: %w", err)
		}
	}
	if old == nil {
		return nil
	}
	return b.judge(bench.Compare(old, report))
}

// old reads the report to compare with, before anything takes time.
func (b *benchRun) old() (*bench.Report, error) {
	if b.compare == "" {
		return nil, nil
	}
	f, err := os.Open(b.compare)
	if err != nil {
		return nil, fmt.Errorf("read old report: %w", err)
	}
	defer f.Close()
	r, err := bench.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.compare, err)
	}
	return r, nil
}

// measure opens library and model and runs everything.
func (b *benchRun) measure(ctx context.Context, args []string) (*bench.Report, *infer.Model, error) {
	o, err := b.options()
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(b.flags.library)
	if err != nil {
		return nil, nil, err
	}
	defer e.Close()
	if o.Model, err = engine.Find(b.flags.model); err != nil {
		return nil, nil, err
	}
	if o.Candidates, err = b.candidates(ctx, e, o.Model); err != nil {
		return nil, nil, err
	}
	if len(args) > 0 {
		if o.Pictures, err = b.pictures(args[0], o.Model.Labels); err != nil {
			return nil, nil, err
		}
	}
	o.Memory = b.memory(e, o.Model)
	report, err := benchmark.Run(ctx, e, o)
	return report, o.Model, err
}

// options checks the flags.
func (b *benchRun) options() (benchmark.Options, error) {
	o := benchmark.Options{Session: b.flags.options(), Plan: b.plan, Idle: b.idle}
	if o.Session.Threads == 0 {
		o.Session.Threads = 1
	}
	if p := b.plan; p.Turns < 0 || p.Turns > 10_000 || p.Runs < 1 || p.Runs > 100_000 || p.Warm < 0 || p.Warm > 1000 {
		return o, fmt.Errorf("plan turns: got --turns %d --runs %d --warm %d, want 0..10000, 1..100000 and 0..1000",
			p.Turns, p.Runs, p.Warm)
	}
	for _, name := range b.scenarios {
		kind, err := bench.ParseScenario(name)
		if err != nil {
			return o, err
		}
		if kind == bench.MultiStream && b.plan.Runs < bench.Samples {
			return o, fmt.Errorf("plan scenario %s: got --runs %d, want at least %d", kind, b.plan.Runs, bench.Samples)
		}
		o.Scenarios = append(o.Scenarios, kind)
	}
	tell := &teller{out: b.s.Err}
	o.Progress = tell.progress
	o.Warn = func(err error) { fmt.Fprintf(b.s.Err, "warning: %s\n", oneLine(err)) }
	return o, nil
}

// pictures lists the labelled pictures, thinned out to the limit.
func (b *benchRun) pictures(dir string, labels []string) ([]benchmark.Picture, error) {
	list, err := evaluate.List(dir, labels, func(text string) { fmt.Fprintf(b.s.Err, "warning: %s\n", text) })
	if err != nil {
		return nil, err
	}
	n := len(list)
	if b.limit > 0 {
		n = min(n, b.limit)
	}
	out := make([]benchmark.Picture, n)
	for i := range out {
		p := list[i*len(list)/n]
		out[i] = benchmark.Picture{Path: p.Path, Truth: p.Truth}
	}
	return out, nil
}

// memory returns how peak memory is measured, nil for not at all.
func (b *benchRun) memory(e *engine.Engine, m *infer.Model) func(context.Context, benchmark.Candidate) (*bench.Memory,
	error) {
	program, err := exec.LookPath(os.Args[0])
	if b.noMemory || err != nil {
		return nil
	}
	child := benchmark.Child{Program: program, Library: e.Runtime().Path(), Model: m, Threads: max(1, b.flags.threads)}
	return child.Measure
}

// print writes the report to stdout.
func (b *benchRun) print(report *bench.Report, m *infer.Model) error {
	if !b.json {
		if err := report.WriteTable(b.s.Out); err != nil {
			return err
		}
		return b.bounds(m)
	}
	if err := report.WriteJSON(b.s.Out); err != nil {
		return err
	}
	return b.bounds(m)
}

// judge prints the comparison; a regression ends the command with 1.
func (b *benchRun) judge(verdicts []bench.Verdict) error {
	for _, v := range verdicts {
		if b.json {
			if err := emit(b.s.Out, v); err != nil {
				return err
			}
			continue
		}
		mark := "ok"
		if v.Regressed {
			mark = "REGRESSED"
		}
		fmt.Fprintf(b.s.Out, "%s: %s: accuracy %s; speed %s", v.Mode, mark, v.Accuracy, v.Speed)
		for _, more := range [][2]string{{"size", v.Size}, {"memory", v.Memory}} {
			if more[1] != "" {
				fmt.Fprintf(b.s.Out, "; %s %s", more[0], more[1])
			}
		}
		fmt.Fprintln(b.s.Out)
	}
	if bench.Regressed(verdicts) {
		fmt.Fprintf(b.s.Err, "error: regression beyond noise against %s\n", b.compare)
		return errReported
	}
	return nil
}

// writeWhole writes a file so that path holds the old content or all of the new.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".emberwing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return err
	}
	return errors.Join(os.Rename(f.Name(), path), f.Close())
}

// teller prints progress at most every two seconds.
type teller struct {
	out  io.Writer
	told time.Time
}

func (t *teller) progress(what string, done float64) {
	now := time.Now()
	if t.told.IsZero() {
		t.told = now
	}
	if now.Sub(t.told) > 2*time.Second {
		t.told = now
		fmt.Fprintf(t.out, "%s: %.0f %%\n", what, 100*done)
	}
}

// benchMemoryCommand is what bench starts to measure one model's memory.
func benchMemoryCommand(s Streams) *cobra.Command {
	var library, input string
	var outputs []string
	var shape []int64
	var threads int
	c := &cobra.Command{
		Use: "bench-memory FILE", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "print the peak memory of one model as JSON",
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := benchmark.MeasureMemory(library, args[0], ort.NetOptions{
				Inputs: []ort.NetInput{{Name: input, Shape: shape}}, Outputs: outputs, Threads: threads,
			})
			if err != nil {
				return err
			}
			return emit(s.Out, m)
		},
	}
	c.Flags().StringVar(&library, "library", "", "path of libonnxruntime")
	c.Flags().StringVar(&input, "input", "input", "name of the input")
	c.Flags().StringSliceVar(&outputs, "output", []string{"logits"}, "names of the outputs")
	c.Flags().Int64SliceVar(&shape, "shape", nil, "shape of the input")
	c.Flags().IntVar(&threads, "threads", 1, "inference threads")
	return c
}
