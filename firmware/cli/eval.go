package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emberwing/firmware/classify"
	"emberwing/firmware/predict"
	"emberwing/quant/accuracy"
	"emberwing/telemetry/latency"
)

func evalCommand(s Streams) *cobra.Command {
	var e eval
	c := &cobra.Command{
		Use:   "eval --model NAME|MANIFEST DIR",
		Short: "score a model on a folder of labelled pictures",
		Long: `eval runs a model over DIR/<class>/* and reports accuracy with its 95 % interval,
precision, recall and F1 of each class, the confusion matrix, the alarm
decision, calibration error and latency percentiles.

False alarms per hour-equivalent are those of single decisions at --fps, before
the temporal decision that flight adds.`,
		Example: "  emberwing eval --model fire --precision int8 val/\n  emberwing eval --model gesture --json val/ > gesture.json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return e.run(c.Context(), s, args[0]) },
	}
	e.flags.register(c)
	c.Flags().BoolVar(&e.json, "json", false, "print the report as one JSON object")
	c.Flags().Float64Var(&e.fps, "fps", 10, "decisions per second that an hour-equivalent counts with")
	return c
}

type eval struct {
	flags modelFlags
	json  bool
	fps   float64
}

// labelled is one picture with its true label.
type labelled struct {
	path  string
	truth int
}

// evalReport is the object that eval --json prints.
type evalReport struct {
	Dir string `json:"dir"`
	accuracy.Report
	Failed  int                    `json:"failed"` // pictures that could not be read
	Latency map[string]percentiles `json:"latency_ms"`
	Model   modelInfo              `json:"model"`
}

// percentiles of one stage in milliseconds.
type percentiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func percentilesOf(h *latency.Histogram) percentiles {
	return percentiles{h.Count(), milliseconds(h.Quantile(0.5)), milliseconds(h.Quantile(0.9)), milliseconds(h.Quantile(0.99)), milliseconds(h.Max())}
}

func (e *eval) run(ctx context.Context, s Streams, dir string) error {
	r, err := e.flags.open(predict.Options{Gate: predict.GateWatches})
	if err != nil {
		return err
	}
	defer r.Close()
	pictures, err := listLabelled(s, dir, r.model.Labels)
	if err != nil {
		return err
	}
	var alarm []string
	if r.model.Alarm != nil {
		alarm = r.model.Alarm.Labels
	}
	judge := evaluation{s: s, r: r, set: accuracy.NewSet(r.model.Labels, alarm, r.Threshold())}
	if err := judge.all(ctx, pictures); err != nil {
		return err
	}
	report := evalReport{
		Dir: dir, Report: judge.set.Report(e.fps * 3600), Failed: judge.failed, Model: r.info(),
		Latency: map[string]percentiles{"decode": percentilesOf(&judge.decode), "preprocess": percentilesOf(&judge.prepare), "infer": percentilesOf(&judge.infer)},
	}
	if e.json {
		err = emit(s.Out, report)
	} else {
		err = report.print(s)
	}
	if err == nil && judge.failed > 0 {
		return errReported
	}
	return err
}

// listLabelled reads DIR/<class>/*. Folders that are no label of the model are
// an error: a misspelt class would otherwise vanish from the result.
func listLabelled(s Streams, dir string, labels []string) ([]labelled, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read classes: %w", err)
	}
	index := make(map[string]int, len(labels))
	for i, l := range labels {
		index[l] = i
	}
	var out []labelled
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		truth, ok := index[entry.Name()]
		if !ok {
			return nil, fmt.Errorf("read classes: %s: got class folder %q, want one of %v", dir, entry.Name(), labels)
		}
		files, skipped, errs := classify.Files([]string{filepath.Join(dir, entry.Name())})
		for _, err := range errs {
			fmt.Fprintf(s.Err, "warning: %s\n", oneLine(err))
		}
		if skipped > 0 {
			fmt.Fprintf(s.Err, "warning: %s: skipped %d file(s) that are neither JPEG nor PNG by name\n", entry.Name(), skipped)
		}
		for _, f := range files {
			out = append(out, labelled{f, truth})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read classes: %s: got no pictures, want DIR/<class>/*.jpg with classes from %v", dir, labels)
	}
	return out, nil
}

// evaluation accumulates the judgement of all pictures.
type evaluation struct {
	s                      Streams
	r                      *runner
	set                    *accuracy.Set
	decode, prepare, infer latency.Histogram
	failed                 int
}

func (v *evaluation) all(ctx context.Context, pictures []labelled) error {
	start, told := time.Now(), time.Now()
	for i, p := range pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.one(p); err != nil {
			fmt.Fprintf(v.s.Err, "error: %s\n", oneLine(err))
			v.failed++
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			left := time.Duration(float64(time.Since(start)) / float64(i+1) * float64(len(pictures)-i-1))
			fmt.Fprintf(v.s.Err, "%d of %d pictures, %v left\n", i+1, len(pictures), left.Round(time.Second))
		}
	}
	return nil
}

func (v *evaluation) one(p labelled) error {
	x, err := v.r.File(p.path)
	if err != nil {
		return err
	}
	v.decode.Record(x.Decode)
	v.prepare.Record(x.Preprocess)
	v.infer.Record(x.Spent[predict.Infer])
	return v.set.Add(accuracy.Sample{Truth: p.truth, Best: x.Label, Score: x.Scores, Alarm: x.Alarm})
}

// print writes the report for people.
func (r *evalReport) print(s Streams) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(s.Out, r.Model)
	fmt.Fprintf(s.Out, "%d pictures, accuracy %.4f (95 %%: %.4f..%.4f), calibration error %.4f\n\n", r.Images, r.Accuracy, r.Interval.Low, r.Interval.High, r.CalibrationError)
	fmt.Fprintln(w, "class\tpictures\tprecision\trecall\tF1\t")
	for _, c := range r.Classes {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\t%.4f\t\n", c.Label, c.Support, c.Precision, c.Recall, c.F1)
	}
	fmt.Fprintf(w, "\ntruth \\ best\t%s\t\n", strings.Join(r.Labels, "\t"))
	for i, row := range r.Confusion {
		fmt.Fprintf(w, "%s\t%s\t\n", r.Labels[i], strings.Trim(strings.Join(strings.Fields(fmt.Sprint(row)), "\t"), "[]"))
	}
	if a := r.Alarm; a != nil {
		fmt.Fprintf(w, "\nalarm at %.3f:\taccuracy %.4f\trecall %.4f\tfalse alarms %.4f\t%.0f per hour-equivalent\tcalibration error %.4f\t\n",
			a.Threshold, a.Accuracy, a.Recall, a.FalseAlarmRate, a.FalseAlarmsHour, a.CalibrationError)
	}
	fmt.Fprintln(w, "\nms\tp50\tp90\tp99\tmax\t")
	for _, stage := range []string{"decode", "preprocess", "infer"} {
		p := r.Latency[stage]
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", stage, p.P50, p.P90, p.P99, p.Max)
	}
	return w.Flush()
}
