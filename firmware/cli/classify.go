package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emberwing/firmware/classify"
	"emberwing/firmware/predict"
)

func classifyCommand(s Streams) *cobra.Command {
	var k classifier
	c := &cobra.Command{
		Use:   "classify --model NAME|MANIFEST PATH...",
		Short: "classify pictures or folders of pictures",
		Long: `classify runs a model over JPEG and PNG files, or every such file in a folder.

A file that cannot be read is one error line on stderr; the rest goes on and
the exit code is 1.`,
		Example: "  emberwing classify --model fire photo.jpg\n  emberwing classify --model gesture --precision fp32 --json frames/",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return k.run(c.Context(), s, args) },
	}
	k.flags.register(c)
	c.Flags().BoolVar(&k.json, "json", false, "print one JSON object a picture")
	c.Flags().
		StringSliceVar(&k.off, "off", nil, "blocks of the manifest to leave out: "+strings.Join(predict.Blocks(), ", "))
	c.Flags().
		StringVar(&k.explain, "explain", "", "folder to write each picture to, with what speaks for its label drawn in")
	return c
}

type classifier struct {
	flags   modelFlags
	json    bool
	off     []string
	explain string // folder, "" for none
}

// classified is one line of classify --json. What a model does not have is
// left out.
type classified struct {
	Path   string             `json:"path"`
	Label  string             `json:"label"` // "none" when a localiser found nothing
	Score  float32            `json:"score"`
	Scores map[string]float32 `json:"scores"`
	OOD    *oodLine           `json:"ood,omitempty"`
	Box    *boxLine           `json:"box,omitempty"`
	Mask   *maskLine          `json:"mask,omitempty"`
	Gate   *gateLine          `json:"gate,omitempty"`
	Crops  int                `json:"crops,omitempty"` // runs of the model, when more than one
	Mixed  float32            `json:"mixed,omitempty"` // share of the mixed-in model
	MS     stageMS            `json:"ms"`
	Model  modelInfo          `json:"model"`
}

// oodLine is how far the picture is from the training set.
type oodLine struct {
	Distance float32 `json:"distance"` // squared Mahalanobis distance
	Limit    float32 `json:"limit"`
	Unknown  bool    `json:"is_ood"`
}

// boxLine is what a localiser found, in pixels of the upright picture.
type boxLine struct {
	X      int     `json:"x"`
	Y      int     `json:"y"`
	Width  int     `json:"width"`
	Height int     `json:"height"`
	Score  float32 `json:"score"`
}

// maskLine is what a segmenter found.
type maskLine struct {
	Area     float32            `json:"area"` // share of the picture
	Areas    map[string]float32 `json:"areas"`
	Centroid *[2]int            `json:"centroid,omitempty"` // pixels
}

// gateLine is what a gate said.
type gateLine struct {
	Score float32 `json:"score"`
	Held  bool    `json:"held"` // the model did not run
}

// stageMS is the time of each stage in milliseconds.
type stageMS struct {
	Decode     float64 `json:"decode"`
	Preprocess float64 `json:"preprocess"`
	Gate       float64 `json:"gate,omitempty"`
	Localise   float64 `json:"localise,omitempty"`
	Infer      float64 `json:"infer"`
	Segment    float64 `json:"segment,omitempty"`
}

func stagesOf(x classify.Result) stageMS {
	in := func(s predict.Stage) float64 { return milliseconds(x.Spent[s]) }
	return stageMS{
		milliseconds(x.Decode),
		milliseconds(x.Preprocess),
		in(predict.Gate),
		in(predict.Localise),
		in(predict.Infer),
		in(predict.Segment),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (k *classifier) run(ctx context.Context, s Streams, paths []string) error {
	r, err := k.flags.open(predict.Options{Gate: predict.GateStills, Off: k.off})
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
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := r.File(path)
		if err == nil && k.explain != "" {
			err = explain(r, path, x, k.explain)
		}
		if err != nil {
			fmt.Fprintf(s.Err, "error: %s\n", oneLine(err))
			failed = true
			continue
		}
		if err := printClassified(s, r, path, x, k.json); err != nil {
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
	line := classifiedOf(r, path, x)
	if asJSON {
		return emit(s.Out, line)
	}
	_, err := fmt.Fprintf(
		s.Out,
		"%-10s %.3f  %6.1f ms  %s%s\n",
		line.Label,
		line.Score,
		line.MS.Infer,
		path,
		line.remarks(),
	)
	return err
}

// classifiedOf puts a result into the words of the output.
func classifiedOf(r *runner, path string, x classify.Result) classified {
	c := classified{Path: path, Label: labelOf(r.model.Labels, x.Label), Score: x.Score, Scores: scoresByLabel(r, x),
		Mixed: x.Other, MS: stagesOf(x), Model: r.info()}
	if x.Crops > 1 {
		c.Crops = x.Crops
	}
	if x.Measured {
		c.OOD = &oodLine{x.Distance, x.Limit, x.Unknown}
	}
	px := func(share float32, n int) int { return int(math.Round(float64(share) * float64(n))) }
	if x.Boxed {
		c.Box = &boxLine{
			px(x.Box.X, x.Width),
			px(x.Box.Y, x.Height),
			px(x.Box.W, x.Width),
			px(x.Box.H, x.Height),
			x.BoxP,
		}
	}
	if x.Segmented {
		c.Mask = &maskLine{Area: x.Area, Areas: map[string]float32{}}
		for i, label := range r.MaskLabels() {
			c.Mask.Areas[label] = x.Areas[i]
		}
		if x.Area > 0 {
			c.Mask.Centroid = &[2]int{px(x.Centre[0], x.Width), px(x.Centre[1], x.Height)}
		}
	}
	if x.Watched {
		c.Gate = &gateLine{x.GateScore, x.Gated}
	}
	return c
}

// labelOf names a label; -1 is that nothing was found.
func labelOf(labels []string, i int) string {
	if i < 0 {
		return "none"
	}
	return labels[i]
}

// remarks is what people should know beside label and score.
func (c *classified) remarks() (s string) {
	if c.OOD != nil && c.OOD.Unknown {
		s += fmt.Sprintf("  unlike the training set (distance %.0f of %.0f)", c.OOD.Distance, c.OOD.Limit)
	}
	if c.Box != nil {
		s += fmt.Sprintf("  at %d,%d %dx%d", c.Box.X, c.Box.Y, c.Box.Width, c.Box.Height)
	}
	if c.Mask != nil {
		s += fmt.Sprintf("  %.1f %% of the picture", 100*c.Mask.Area)
	}
	if c.Gate != nil && c.Gate.Held {
		s += "  held back by the gate"
	}
	return s
}

// scoresByLabel names the scores; a model with an alarm score has it under
// "alarm".
func scoresByLabel(r *runner, x classify.Result) map[string]float32 {
	m := make(map[string]float32, len(x.Scores)+1)
	for i, score := range x.Scores {
		m[r.model.Labels[i]] = score
	}
	if r.model.Alarm != nil {
		m["alarm"] = x.Alarm
	}
	return m
}
