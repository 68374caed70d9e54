package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emberwing/firmware/engine"
	"emberwing/infer"
)

func modelCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "model ls|show|verify|audit|fit",
		Short:   "list, show, verify and audit models",
		Example: "  emberwing model ls\n  emberwing model verify path/to/manifest.json",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(modelList(s), modelShow(s), modelVerify(s), modelAudit(s), modelFit(s))
	return c
}

// modelLine is one line of model ls --json.
type modelLine struct {
	Name       string            `json:"name"`
	Task       string            `json:"task"`
	Kind       infer.Kind        `json:"kind"`
	Version    string            `json:"version"`
	Input      []int64           `json:"input"`
	Labels     []string          `json:"labels"`
	Precisions []infer.Precision `json:"precisions"`
}

func modelList(s Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "ls", Short: "list the shipped models", Args: cobra.NoArgs, Example: "  emberwing model ls --json",
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
			defer w.Flush()
			for _, name := range engine.Shipped() {
				m, err := engine.Find(name)
				if err != nil {
					return err
				}
				line := modelLine{m.Name, m.Task, kindOf(m), m.Version, m.Input.Shape, m.Labels, m.Precisions()}
				if !asJSON {
					fmt.Fprintf(
						w,
						"%s\t%s\t%s %s\t%v\t%v\n",
						line.Name,
						line.Version,
						line.Task,
						line.Kind,
						line.Precisions,
						line.Labels,
					)
				} else if err := emit(s.Out, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a model")
	return c
}

func modelShow(s Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show NAME|MANIFEST", Short: "show what a model declares", Args: cobra.ExactArgs(1),
		Example: "  emberwing model show fire",
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := engine.Find(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return emit(s.Out, m.Manifest)
			}
			return printModel(s, m)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the manifest as one JSON object")
	return c
}

func kindOf(m *infer.Model) infer.Kind {
	if m.Kind == "" {
		return infer.Classifier
	}
	return m.Kind
}

func printModel(s Streams, m *infer.Model) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("name", m.Name)
	row("version", m.Version)
	row("task", m.Task)
	row("kind", kindOf(m))
	row("description", m.Description)
	row("licence", m.Licence)
	row("labels", m.Labels)
	if m.Alarm != nil {
		row("alarm", m.Alarm.Labels)
	}
	printTensors(m, row)
	printBlocks(m, row)
	return w.Flush()
}

// printTensors tells what goes in and out, the files and the decision.
func printTensors(m *infer.Model, row func(name string, value any)) {
	in := m.Input
	row("input", fmt.Sprintf("%s %v %s %s %s, %s, mean %v, std %v", in.Name, in.Shape, in.DType, in.Layout, in.Order,
		in.Fit, in.Mean, in.Std))
	row("output", fmt.Sprintf("%s %v %s", m.Output.Name, m.Output.Shape, m.Output.Kind))
	for _, v := range m.Variants {
		ood := ""
		if v.OOD != nil {
			ood = fmt.Sprintf(", unknown beyond %.1f", v.OOD.Threshold)
		}
		row(v.String(), fmt.Sprintf("%s, %d bytes, sha256 %.12s…, temperature %.3f, threshold %.3f%s", v.File, v.Bytes,
			v.SHA256, v.Temperature, v.Threshold, ood))
	}
	if d := m.Decision; d.Window > 0 {
		row("decision", fmt.Sprintf("%d of %d frames, release %.3f, dwell %v", d.Agree, d.Window, d.Release,
			d.Dwell.Duration()))
	}
}

// printBlocks tells what the manifest puts around the model.
func printBlocks(m *infer.Model, row func(name string, value any)) {
	if m.Features != nil {
		row("features", m.Features.Shape)
	}
	if m.CAM != nil {
		row("activation map", m.CAM.Shape)
	}
	if n := m.NMS; n != nil {
		row("boxes", fmt.Sprintf("at most %d, suppressed from an overlap of %.2f", n.Max, n.IoU))
	}
	if g := m.Gate; g != nil {
		row("gate", fmt.Sprintf("%s from %.3f, forced every %d frames", g.Model, g.Threshold, g.Every))
	}
	if l := m.Localiser; l != nil {
		row(
			"localiser",
			fmt.Sprintf("%s, crops of %.2f times the box, pictures up to %d pixels whole", l.Model, l.Pad, l.WholeSide),
		)
	}
	if v := m.Vote; v != nil {
		row("vote", fmt.Sprintf("%d crop(s), margin %.2f", v.Crops, v.Margin))
	}
	if x := m.Mix; x != nil {
		row("mix", fmt.Sprintf("%s, bias %.2f, slope %.2f", x.Model, x.Bias, x.Slope))
	}
	if g := m.Segmenter; g != nil {
		row("segmenter", g.Model)
	}
}

func modelVerify(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME|MANIFEST...", Short: "check manifests, checksums and tensors", Args: cobra.MinimumNArgs(1),
		Example: "  emberwing model verify fire gesture\n  emberwing model verify path/to/manifest.json",
		RunE: func(_ *cobra.Command, args []string) error {
			failed := false
			for _, name := range args {
				m, err := engine.Find(name)
				if err == nil {
					err = engine.CheckCompanions(m)
				}
				if err != nil {
					fmt.Fprintf(s.Err, "error: %s: %s\n", name, oneLine(err))
					failed = true
					continue
				}
				fmt.Fprintf(s.Out, "%s: ok, %d file(s)\n", name, len(m.Variants))
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
}
