package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"emberwing/firmware/classify"
)

func classifyCommand(s Streams) *cobra.Command {
	var flags modelFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "classify --model NAME|MANIFEST PATH...",
		Short: "classify pictures or folders of pictures",
		Long: `classify runs a model over JPEG and PNG files, or every such file in a folder.

A file that cannot be read is one error line on stderr; the rest goes on and
the exit code is 1.`,
		Example: "  emberwing classify --model fire photo.jpg\n  emberwing classify --model gesture --precision fp32 --json frames/",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runClassify(c, s, &flags, asJSON, args)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a picture")
	return c
}

// classified is one line of classify --json.
type classified struct {
	Path   string             `json:"path"`
	Label  string             `json:"label"`
	Score  float32            `json:"score"`
	Scores map[string]float32 `json:"scores"`
	MS     stageMS            `json:"ms"`
	Model  modelInfo          `json:"model"`
}

// stageMS is the time of each stage in milliseconds.
type stageMS struct {
	Decode     float64 `json:"decode"`
	Preprocess float64 `json:"preprocess"`
	Infer      float64 `json:"infer"`
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func runClassify(c *cobra.Command, s Streams, flags *modelFlags, asJSON bool, paths []string) error {
	r, err := flags.open()
	if err != nil {
		return err
	}
	defer r.Close()
	files, skipped, errs := classify.Files(paths)
	for _, err := range errs {
		fmt.Fprintf(s.Err, "error: %s\n", oneLine(err))
	}
	fmt.Fprintln(s.Err, r.info())
	failed := len(errs) > 0
	for _, path := range files {
		if err := c.Context().Err(); err != nil {
			return err
		}
		result, err := r.File(path)
		if err != nil {
			fmt.Fprintf(s.Err, "error: %s\n", oneLine(err))
			failed = true
			continue
		}
		if err := printClassified(s, r, path, result, asJSON); err != nil {
			return err
		}
	}
	if skipped > 0 {
		fmt.Fprintf(s.Err, "skipped %d file(s) that are neither JPEG nor PNG by name\n", skipped)
	}
	if failed {
		return errReported
	}
	return nil
}

func printClassified(s Streams, r *runner, path string, x classify.Result, asJSON bool) error {
	line := classified{
		Path: path, Label: r.model.Labels[x.Label], Score: x.Score, Scores: scoresByLabel(r, x), Model: r.info(),
		MS: stageMS{milliseconds(x.Decode), milliseconds(x.Preprocess), milliseconds(x.Infer)},
	}
	if asJSON {
		return emit(s.Out, line)
	}
	_, err := fmt.Fprintf(s.Out, "%-10s %.3f  %6.1f ms  %s\n", line.Label, line.Score, line.MS.Infer, path)
	return err
}

// scoresByLabel names the scores; a model with an alarm score has it under
// "alarm".
func scoresByLabel(r *runner, x classify.Result) map[string]float32 {
	m := make(map[string]float32, len(x.Scores)+1)
	for i, label := range r.model.Labels {
		m[label] = x.Scores[i]
	}
	if r.model.Alarm != nil {
		m["alarm"] = x.Alarm
	}
	return m
}
