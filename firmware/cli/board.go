package cli

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emberwing/boards"
)

func boardCommand(s Streams) *cobra.Command {
	var asJSON bool
	var root string
	c := &cobra.Command{
		Use: "board", Short: "say what this machine is", Args: cobra.NoArgs,
		Long: `board identifies this machine from its device tree, L4T release and DMI, and
prints the row of the board table that fits. --root reads another file system,
for example a captured one.`,
		Example: "  emberwing board\n  emberwing board --json --root captured/",
		RunE: func(*cobra.Command, []string) error {
			d, err := boards.Detect(os.DirFS(root))
			if err != nil {
				fmt.Fprintf(s.Err, "warning: %s\n", oneLine(err))
			}
			if asJSON {
				return emit(s.Out, d)
			}
			return printBoard(s, d)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringVar(&root, "root", "/", "root of the file system to read")
	return c
}

func printBoard(s Streams, d boards.Detection) error {
	b := d.Board
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("board", fmt.Sprintf("%s (%s)", b.Name, b.ID))
	row("known", d.Known)
	row("model", orUnknown(d.Model))
	row("SoC", orUnknown(b.SoC))
	row("processor", orUnknown(d.CPUModel))
	memory := "unknown"
	if d.MemoryTotal > 0 {
		memory = d.MemoryTotal.String()
	}
	row("memory", memory)
	row("JetPack", orUnknown(d.JetPack))
	row("compute capability", orUnknown(b.ComputeCapability.SM()))
	fast := "unknown: no GPU of the table"
	if len(b.FastPrecisions) > 0 {
		fast = fmt.Sprint(b.FastPrecisions)
	}
	row("fast precisions", fast)
	if line, ok := b.StatusLine(); ok {
		row("status output", fmt.Sprintf("pin %d, %v", b.StatusPin, line))
	}
	for _, warning := range d.Warnings {
		row("warning", warning)
	}
	return w.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
