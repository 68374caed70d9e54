package cli

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"emberwing/boards"
	"emberwing/infer"
	"emberwing/quant/bench"
	"emberwing/quant/onnx"
	"emberwing/quant/roofline"
)

// rooflineLabel says what the figures are, wherever they stand.
const rooflineLabel = "bound, not measured"

// bounds prints what the boards named with --roofline can reach at best.
func (b *benchRun) bounds(m *infer.Model) error {
	if len(b.roofline) == 0 {
		return nil
	}
	count, err := countModel(m)
	if err != nil {
		return err
	}
	var lines []bench.Roofline
	for _, id := range b.roofline {
		board, ok := boards.ByID(id)
		if !ok {
			return fmt.Errorf("bound speed: got board %q, want one of %v", id, boundable())
		}
		found, err := boundsOf(board, m.Name, count)
		if err != nil {
			return err
		}
		lines = append(lines, found...)
	}
	if !b.json {
		return printBounds(b.s.Out, lines)
	}
	for _, l := range lines {
		if err := emit(b.s.Out, l); err != nil {
			return err
		}
	}
	return nil
}

// boundable lists the boards whose bandwidth is known.
func boundable() []string {
	var ids []string
	for _, b := range boards.Table() {
		if b.MemoryBandwidth > 0 {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// countModel counts the layers of the FP32 file.
func countModel(m *infer.Model) (roofline.Count, error) {
	v, err := m.Variant(infer.FP32)
	if err != nil {
		return roofline.Count{}, err
	}
	data, err := m.Bytes(v)
	if err != nil {
		return roofline.Count{}, err
	}
	graph, err := onnx.Parse(data, onnx.Limits{})
	if err != nil {
		return roofline.Count{}, err
	}
	return roofline.Of(graph)
}

// elementBytes of the precisions that are bounded.
var elementBytes = []struct {
	precision boards.Precision
	bytes     int64
}{{boards.FP32, 4}, {boards.FP16, 2}, {boards.INT8, 1}}

// boundsOf bounds the model on one board, for each precision that it is not
// known to lack.
func boundsOf(board boards.Board, model string, count roofline.Count) ([]bench.Roofline, error) {
	var out []bench.Roofline
	for _, e := range elementBytes {
		if board.Fast(e.precision) == boards.No {
			continue
		}
		peak, known := board.Peak(e.precision)
		machine := roofline.Machine{OpsPerSecond: peak.OpsPerSecond, BytesPerSecond: float64(board.MemoryBandwidth),
			ElementBytes: e.bytes}
		total, err := machine.Total(count)
		if err != nil {
			return nil, fmt.Errorf("board %s: %w; want one of %v", board.ID, err, boundable())
		}
		line := bench.Roofline{
			Kind: bench.KindRoofline, Label: rooflineLabel, Board: board.ID, Precision: string(e.precision), Model: model,
			MACs: count.MACs(), Bytes: total.Bytes, BoundMS: 1e3 * total.Seconds, PerSecond: 1 / total.Seconds,
			LimitedBy: total.LimitedBy, Unknown: count.Unknown, Sources: sourcesOf(board, peak, known),
		}
		for _, l := range count.Layers {
			b := machine.Bound(l)
			line.Layers = append(line.Layers, bench.RooflineLayer{Name: l.Name, Op: l.Op, MACs: l.MACs, Bytes: b.Bytes,
				BoundUS: 1e6 * b.Seconds, LimitedBy: b.LimitedBy})
		}
		out = append(out, line)
	}
	return out, nil
}

// sourcesOf says where the board's figures come from.
func sourcesOf(board boards.Board, peak boards.Peak, known bool) []string {
	var out []string
	if s, ok := board.SourceOf(boards.OfBandwidth); ok {
		out = append(out, fmt.Sprintf("bandwidth %v: %s (%s)", board.MemoryBandwidth, s.Ref, s.Grade))
	}
	if !known {
		return append(out, "arithmetic peak unknown: bounded by bandwidth alone")
	}
	text := fmt.Sprintf("peak %.0f Gop/s, %s", peak.OpsPerSecond/1e9, peak.Note)
	figure := boards.OfPeaks
	if !slices.Contains(board.Peaks, peak) {
		figure = boards.OfCores
	}
	if s, ok := board.SourceOf(figure); ok {
		text += fmt.Sprintf(": %s (%s)", s.Ref, s.Grade)
	}
	return append(out, text)
}

func printBounds(out io.Writer, lines []bench.Roofline) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tprecision\tMMAC\tMB moved\tms\tpictures/s\tlimited by\t\n", rooflineLabel)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t>= %.2f\t<= %.0f\t%s\t\n", l.Board, l.Precision, float64(l.MACs)/1e6,
			float64(l.Bytes)/1e6, l.BoundMS, l.PerSecond, l.LimitedBy)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	said := map[string]bool{}
	for _, l := range lines {
		for _, s := range l.Sources {
			if note := l.Board + " " + l.Precision + ": " + s; !said[note] {
				said[note] = true
				fmt.Fprintln(out, note)
			}
		}
		for _, u := range l.Unknown {
			if !said[u] {
				said[u] = true
				fmt.Fprintf(out, "not counted, its shape is unknown: %s\n", u)
			}
		}
	}
	return nil
}
