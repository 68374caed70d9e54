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
		Use:     "model ls|show|verify|audit",
		Short:   "list, show, verify and audit models",
		Example: "  emberwing model ls\n  emberwing model verify path/to/manifest.json",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(modelList(s), modelShow(s), modelVerify(s), modelAudit(s))
	return c
}

// modelLine is one line of model ls --json.
type modelLine struct {
	Name       string            `json:"name"`
	Task       string            `json:"task"`
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
				line := modelLine{m.Name, m.Task, m.Version, m.Input.Shape, m.Labels, m.Precisions()}
				if !asJSON {
					fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%v\n", line.Name, line.Version, line.Task, line.Precisions, line.Labels)
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
		Use: "show NAME|MANIFEST", Short: "show what a model declares", Args: cobra.ExactArgs(1), Example: "  emberwing model show fire",
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

func printModel(s Streams, m *infer.Model) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("name", m.Name)
	row("version", m.Version)
	row("task", m.Task)
	row("description", m.Description)
	row("licence", m.Licence)
	row("labels", m.Labels)
	if m.Alarm != nil {
		row("alarm", m.Alarm.Labels)
	}
	in := m.Input
	row("input", fmt.Sprintf("%s %v %s %s %s, %s, mean %v, std %v", in.Name, in.Shape, in.DType, in.Layout, in.Order, in.Fit, in.Mean, in.Std))
	for _, v := range m.Variants {
		row(string(v.Precision), fmt.Sprintf("%s, %d bytes, sha256 %.12s…, temperature %.3f, threshold %.3f", v.File, v.Bytes, v.SHA256, v.Temperature, v.Threshold))
	}
	d := m.Decision
	row("decision", fmt.Sprintf("%d of %d frames, release %.3f, dwell %v", d.Agree, d.Window, d.Release, d.Dwell.Duration()))
	return w.Flush()
}

func modelVerify(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME|MANIFEST...", Short: "check manifests, checksums and tensors", Args: cobra.MinimumNArgs(1),
		Example: "  emberwing model verify fire gesture\n  emberwing model verify path/to/manifest.json",
		RunE: func(_ *cobra.Command, args []string) error {
			failed := false
			for _, name := range args {
				m, err := engine.Find(name)
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
