package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"emberwing/firmware/benchmark"
	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/quant/audit"
)

// auditLine is what model audit --json prints for a file.
type auditLine struct {
	File    string `json:"file"`
	Runtime string `json:"runtime"`
	*audit.Report
}

func modelAudit(s Streams) *cobra.Command {
	var asJSON, strict bool
	var library string
	c := &cobra.Command{
		Use: "audit FILE.onnx|NAME...", Short: "show which quantised operators run in float, and why",
		Args: cobra.MinimumNArgs(1),
		Long: `audit loads a quantised model in ONNX Runtime on this CPU, reads back the graph
that will run, and compares it with the plan in the file: operators between a
DequantizeLinear and a QuantizeLinear should have become integer ones. Each that
did not is named with the reason and the pairs that cost time for nothing.
A NAME is a shipped model; its int8 file is audited.`,
		Example: "  emberwing model audit fire\n  emberwing model audit --strict --json my-int8.onnx",
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := engine.New(library)
			if err != nil {
				return err
			}
			defer e.Close()
			clean, err := auditAll(e, args, s.Out, asJSON)
			if err != nil {
				return err
			}
			if strict && !clean {
				fmt.Fprintln(s.Err, "error: quantised operators run in float")
				return errReported
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a file")
	c.Flags().BoolVar(&strict, "strict", false, "exit with 1 when a quantised operator runs in float")
	c.Flags().StringVar(&library, "library", "", "path of libonnxruntime; found beside the program by default")
	return c
}

// auditAll audits files or models in order, and says whether all of their
// operators run on integers.
func auditAll(e *engine.Engine, args []string, out io.Writer, asJSON bool) (clean bool, err error) {
	clean = true
	for _, arg := range args {
		line, err := auditOne(e, arg)
		if err != nil {
			return false, fmt.Errorf("audit %s: %w", arg, err)
		}
		clean = clean && len(line.Floats) == 0
		if err := line.emit(out, asJSON); err != nil {
			return false, err
		}
	}
	return clean, nil
}

func auditOne(e *engine.Engine, arg string) (*auditLine, error) {
	data, name, err := auditFile(arg)
	if err != nil {
		return nil, err
	}
	report, err := benchmark.Audit(e.Runtime(), data)
	if err != nil {
		return nil, err
	}
	return &auditLine{name, e.Runtime().Version(), report}, nil
}

// auditFile reads an ONNX file or the int8 file of a model.
func auditFile(arg string) (data []byte, name string, err error) {
	if filepath.Ext(arg) == ".onnx" {
		data, err = os.ReadFile(arg)
		return data, arg, err
	}
	m, err := engine.Find(arg)
	if err != nil {
		return nil, "", err
	}
	v, err := m.Select(infer.INT8, infer.CPU, "")
	if err != nil {
		return nil, "", err
	}
	data, err = m.Bytes(v)
	return data, v.File, err
}

func (l *auditLine) emit(out io.Writer, asJSON bool) error {
	if asJSON {
		return emit(out, l)
	}
	var kinds []string
	for _, op := range slices.Sorted(maps.Keys(l.Fused)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", l.Fused[op], op))
	}
	fmt.Fprintf(out, "%s in ONNX Runtime %s: of %d quantised operators %d run on integers (%s), %d pass them on, %d "+
		"vanished into others, %d run in float\n",
		l.File, l.Runtime, l.Planned, l.NumFused(), strings.Join(kinds, ", "), l.Passed, l.Absorbed, len(l.Floats))
	fmt.Fprintf(out, "%d operators run, %d of them quantise or dequantise\n", l.Run, l.Surviving)
	for _, op := range slices.Sorted(maps.Keys(l.Unplanned)) {
		fmt.Fprintf(out, "left in float by the file: %d %s\n", l.Unplanned[op], op)
	}
	for _, f := range l.Floats {
		fmt.Fprintf(out, "%s %q: %s\n    pairs: %s\n", f.Op, f.Node, f.Reason, strings.Join(f.Pairs, ", "))
	}
	return nil
}
