package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emberwing/infer/ort"
	"emberwing/quant"
	"emberwing/quant/onnx"
	"emberwing/quant/pictures"
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
With --calibration FILE what was measured is kept: another method or target
takes seconds, and an interrupted measurement goes on where it ended.`,
		Example: "  emberwing quantize --in fire-fp32.onnx --calib train/ --target cpu-vnni --out fire-int8.onnx\n" +
			"  emberwing quantize --in fire-fp32.onnx --calib train/ --calibration fire.calib --method mse --target tensorrt --out fire-trt.onnx",
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
	float                                []string
	images, threads                      int
	plain, json                          bool
	prepare                              preparation
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
	f.IntVar(&q.images, "images", 0, "use at most this many pictures, spread over the folder; 0 is all")
	f.IntVar(&q.threads, "threads", 1, "threads of the runtime while measuring")
	f.BoolVar(&q.plain, "no-bias-correction", false, "leave biases as they are")
	f.BoolVar(&q.json, "json", false, "print the report as one JSON object")
	q.prepare.register(f)
	for _, name := range []string{"in", "out"} {
		_ = c.MarkFlagRequired(name) // both flags are defined above
	}
}

// quantizeReport is the object that quantize --json prints.
type quantizeReport struct {
	In       string          `json:"in"`
	Out      string          `json:"out"`
	Mode     string          `json:"mode"`
	Target   string          `json:"target"`
	Chosen   recipe.Choice   `json:"chosen"`
	Tried    []recipe.Choice `json:"tried,omitempty"`
	Float    []string        `json:"float_nodes"`
	Notes    []string        `json:"notes"`
	Pictures int             `json:"pictures"`
	Bytes    map[string]int  `json:"bytes"` // of "in" and "out"
	Seconds  float64         `json:"seconds"`
}

func (q *quantize) run(ctx context.Context, s Streams) error {
	began := time.Now()
	j, err := q.job(s)
	if err != nil {
		return err
	}
	rt, err := ort.Load(q.library)
	if err != nil {
		return err
	}
	defer rt.Close()
	j.Open = opener(rt, q.threads)
	p, err := j.Prepare(ctx)
	if err != nil {
		return q.explain(err)
	}
	w, err := p.Write(ctx)
	if err != nil {
		return err
	}
	if err := w.Model.WriteFile(q.out); err != nil {
		return err
	}
	report := quantizeReport{
		In: q.in, Out: q.out, Mode: q.mode, Target: q.target, Chosen: w.Choice, Tried: w.Tried, Float: w.Float, Notes: p.Notes,
		Pictures: j.Samples.Len(), Seconds: time.Since(began).Seconds(),
		Bytes: map[string]int{"in": len(j.Model.Bytes()), "out": len(w.Model.Bytes())},
	}
	if q.json {
		return emit(s.Out, report)
	}
	return report.print(s)
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
	m, err := onnx.ReadFile(q.in, onnx.Limits{})
	if err != nil {
		return nil, err
	}
	input, spec, err := q.prepare.resolve(m, q.in)
	if err != nil {
		return nil, err
	}
	files, err := listPictures(s, q.calib, q.images)
	if err != nil {
		return nil, err
	}
	set, err := pictures.New(files, spec)
	if err != nil {
		return nil, err
	}
	return &recipe.Job{
		Model: m, Input: input, Samples: set, Profile: profile, Method: q.method, Float: q.float,
		Memory: memory, Stored: q.calibration, Plain: q.plain, Progress: progressOn(s.Err),
	}, nil
}

// opener opens graphs on the runtime.
func opener(rt *ort.Runtime, threads int) quant.Opener {
	return func(model []byte, inputs []quant.Input, outputs []string) (quant.Session, error) {
		o := ort.NetOptions{Outputs: outputs, Threads: threads}
		for _, in := range inputs {
			o.Inputs = append(o.Inputs, ort.NetInput{Name: in.Name, Shape: in.Dims})
		}
		n, err := rt.OpenNet(model, o)
		if err != nil {
			return nil, err // a nil *Net in the interface would not be nil
		}
		return n, nil
	}
}

// print writes the report for people.
func (r *quantizeReport) print(s Streams) error {
	for _, note := range r.Notes {
		fmt.Fprintf(s.Err, "note: %s\n", note)
	}
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	if len(r.Tried) > 0 {
		fmt.Fprintln(w, "method\tbias correction\tSQNR of the outputs")
		for _, c := range r.Tried {
			fmt.Fprintf(w, "%s\t%v\t%.1f dB\n", c.Method, c.BiasCorrection, c.SQNR)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s: %s for %s by %s, %.1f dB on pictures kept aside, %.2f MB (%s is %.2f MB), %.1f s\n", r.Out, r.Mode, r.Target,
		r.Chosen.Method, r.Chosen.SQNR, float64(r.Bytes["out"])/1e6, filepath.Base(r.In), float64(r.Bytes["in"])/1e6, r.Seconds)
	return w.Flush()
}
