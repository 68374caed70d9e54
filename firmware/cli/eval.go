package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emberwing/camera"
	"emberwing/firmware/evaluate"
	"emberwing/firmware/predict"
	"emberwing/infer"
)

func evalCommand(s Streams) *cobra.Command {
	var e eval
	c := &cobra.Command{
		Use:   "eval --model NAME|MANIFEST [DIR]",
		Short: "score a model on labelled pictures",
		Long: `eval runs a model, with everything its manifest puts around it, over DIR/<class>/*
and reports accuracy, precision, recall and F1 of each class, the confusion
matrix, the alarm decision, calibration error before and after the temperature,
accuracy by source and latency percentiles. Proportions come with 95 % intervals.

False alarms per hour-equivalent are those of single decisions at --fps, before
the temporal decision that flight adds. A gate is judged, and holds nothing back.

--robustness adds how answers hold up: coarser pictures, eight corruptions in
five severities, views moved by a pixel and by a hover. It runs the model some
sixty times a picture; --limit takes fewer pictures.`,
		Example: `  emberwing eval --model fire --precision int8 val/
  emberwing eval --model fire --robustness --limit 200 --svg robust.svg --json val/
  emberwing eval --model gesture --frames boxes.csv --empty pictures-without-hands/
  emberwing eval --model fire-seg --masks fire_masks/`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return e.run(c.Context(), s, args) },
	}
	e.flags.register(c)
	e.register(c)
	return c
}

type eval struct {
	flags      modelFlags
	json       bool
	fps        float64
	robustness bool
	svg        string
	sides      []int
	parts      []string
	seed       uint64
	limit      int
	sources    string
	frames     string
	masks      string
	only       string
	empty      string
	off        []string
	vote       string
	mix        string
}

func (e *eval) register(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&e.json, "json", false, "print one JSON object a line")
	f.Float64Var(&e.fps, "fps", 10, "decisions per second that an hour-equivalent counts with")
	f.BoolVar(&e.robustness, "robustness", false, "add how answers hold up against coarseness, corruptions and motion")
	f.StringVar(&e.svg, "svg", "", "file to draw the robustness report into")
	f.IntSliceVar(&e.sides, "sides", evaluate.Sides(), "resolutions of the sweep, pixels of the shorter side")
	f.StringSliceVar(&e.parts, "parts", evaluate.Parts(), "parts of the robustness report")
	f.Uint64Var(&e.seed, "seed", 1, "of noise, shake and the choice of pictures")
	f.IntVar(&e.limit, "limit", 0, "use at most this many pictures, evenly of all classes; 0 uses all")
	f.StringVar(
		&e.sources,
		"manifest",
		"",
		"CSV file with columns file and source; else sources are folders or name beginnings",
	)
	f.StringVar(&e.frames, "frames", "", "CSV file of full frames with columns file,class,xmin,ymin,xmax,ymax")
	f.StringVar(&e.masks, "masks", "", "folder with img/ and mask/ to measure a segmenter's overlap on")
	f.StringVar(&e.only, "only", "", "file with the names of the masks to use, one a line")
	f.StringVar(&e.empty, "empty", "", "folder of pictures of which nothing must be reported")
	f.StringSliceVar(&e.off, "off", nil, "blocks of the manifest to leave out: "+strings.Join(predict.Blocks(), ", "))
	f.StringVar(&e.vote, "vote", "", "CROPS:MARGIN in place of the manifest's vote, e.g. 1:0.1")
	f.StringVar(&e.mix, "mix", "", "MODEL:BIAS:SLOPE in place of the manifest's mix, e.g. fire-nano:0:4")
}

// use turns the flags into what the composition leaves out or puts in.
func (e *eval) use() (o predict.Options, err error) {
	o = predict.Options{Gate: predict.GateWatches, Off: e.off}
	if e.vote != "" {
		crops, margin, _ := strings.Cut(e.vote, ":")
		n, err1 := strconv.Atoi(crops)
		m, err2 := strconv.ParseFloat(margin, 32)
		if err := errors.Join(err1, err2); err != nil {
			return o, fmt.Errorf("eval: got --vote %q, want CROPS:MARGIN as in 1:0.1", e.vote)
		}
		o.Vote = &infer.Vote{Crops: n, Margin: float32(m)}
	}
	if e.mix != "" {
		parts := strings.Split(e.mix, ":")
		var v [2]float64
		for i := range v {
			if len(parts) == 3 && err == nil {
				v[i], err = strconv.ParseFloat(parts[i+1], 32)
			}
		}
		if len(parts) != 3 || err != nil {
			return o, fmt.Errorf("eval: got --mix %q, want MODEL:BIAS:SLOPE as in fire-nano:0:4", e.mix)
		}
		o.Mix = &infer.Mix{Model: parts[0], Bias: float32(v[0]), Slope: float32(v[1])}
	}
	return o, nil
}

func (e *eval) run(ctx context.Context, s Streams, args []string) error {
	if len(args) == 0 && e.frames == "" && e.masks == "" && e.empty == "" {
		return fmt.Errorf(
			"eval: got nothing to judge, want DIR, --frames, --masks or --empty (see emberwing eval --help)",
		)
	}
	if e.svg != "" && (!e.robustness || len(args) == 0) {
		return fmt.Errorf("eval: got --svg without --robustness DIR, which it draws")
	}
	use, err := e.use()
	if err != nil {
		return err
	}
	r, err := e.flags.open(use)
	if err != nil {
		return err
	}
	defer r.Close()
	v := &evaluation{eval: e, s: s, r: r}
	if !e.json {
		fmt.Fprintln(s.Out, r.info())
	}
	if err := v.all(ctx, args); err != nil {
		return err
	}
	if v.failed > 0 {
		return errReported
	}
	return nil
}

// evaluation is one run of the command.
type evaluation struct {
	*eval
	s      Streams
	r      *runner
	failed int
}

// all runs everything that the command asks for.
func (v *evaluation) all(ctx context.Context, args []string) error {
	var steps []func(context.Context) error
	if len(args) > 0 {
		steps = append(steps, func(ctx context.Context) error { return v.folder(ctx, args[0]) })
	}
	if v.frames != "" {
		steps = append(steps, v.boxed)
	}
	if v.masks != "" {
		steps = append(steps, v.masked)
	}
	if v.empty != "" {
		steps = append(steps, v.quiet)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// each calls do for n things, tells progress, and counts what failed.
func (v *evaluation) each(ctx context.Context, what string, n int, do func(i int) error) error {
	start, told := time.Now(), time.Now()
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(i); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(v.s.Err, "error: %s\n", oneLine(err))
			v.failed++
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			left := time.Duration(float64(time.Since(start)) / float64(i+1) * float64(n-i-1))
			fmt.Fprintf(v.s.Err, "%d of %d %s, %v left\n", i+1, n, what, left.Round(time.Second))
		}
	}
	return nil
}

func (v *evaluation) warn(text string) { fmt.Fprintf(v.s.Err, "warning: %s\n", text) }

// folder judges DIR/<class>/*.
func (v *evaluation) folder(ctx context.Context, dir string) error {
	if !v.r.model.Is(infer.Classifier) {
		return fmt.Errorf(
			"eval %s: got a %s, want a classifier; use --masks or --frames",
			v.r.model.Name,
			v.r.model.Kind,
		)
	}
	labels := evalLabels(v.r.model)
	pictures, err := evaluate.List(dir, labels, v.warn)
	if err != nil {
		return err
	}
	if v.sources != "" {
		if _, err := evaluate.Sources(v.sources, pictures); err != nil {
			return err
		}
	}
	pictures = evaluate.Limit(pictures, v.limit, v.seed)
	scored := newScores(v, labels)
	if err := v.each(ctx, "pictures", len(pictures), func(i int) error { return scored.add(pictures[i]) }); err != nil {
		return err
	}
	if err := v.print(scored.report(dir)); err != nil {
		return err
	}
	if !v.robustness {
		return nil
	}
	return v.robust(ctx, pictures)
}

// evalLabels adds "none" to the labels of a model whose localiser can find
// nothing.
func evalLabels(m *infer.Model) []string {
	if m.Localiser != nil && m.Label("none") < 0 {
		return append(append([]string(nil), m.Labels...), "none")
	}
	return m.Labels
}

// robust runs the robustness report.
func (v *evaluation) robust(ctx context.Context, pictures []evaluate.Picture) error {
	judge := evaluate.NewJudge(&v.r.model.Manifest, v.r.Threshold())
	answer := func(f *camera.Frame) (*predict.Result, error) {
		x, err := v.r.Frame(f)
		return x.Result, err
	}
	all, err := evaluate.NewRobustness(answer, judge, v.sides, v.seed, v.parts)
	if err != nil {
		return err
	}
	fmt.Fprintf(v.s.Err, "robustness: %d pictures, %d runs each\n", len(pictures), all.Runs())
	if err := v.each(ctx, "pictures", len(pictures), func(i int) error { return all.Add(ctx, pictures[i]) }); err != nil {
		return err
	}
	report := all.Report()
	if v.svg != "" {
		if err := v.draw(report); err != nil {
			return err
		}
	}
	for _, line := range report.Lines() {
		if err := v.print(line); err != nil {
			return err
		}
	}
	return nil
}

// draw writes the report into the SVG file.
func (v *evaluation) draw(report *evaluate.Report) error {
	f, err := os.Create(v.svg)
	if err != nil {
		return fmt.Errorf("draw report: %w", err)
	}
	err = report.SVG(f, v.r.info().String())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("draw report: %w", err)
	}
	return nil
}
