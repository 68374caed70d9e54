package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// blank stands where nothing was measured.
const blank = "not measured"

// WriteTable prints the report for people.
func (r *Report) WriteTable(out io.Writer) error {
	fmt.Fprintf(out, "model %s %s, %d pictures", r.Run.Model, r.Run.ModelVersion, r.Run.Images)
	if r.Run.SpeedOnly != "" {
		fmt.Fprintf(out, "; SPEED ONLY: %s", r.Run.SpeedOnly)
	}
	fmt.Fprintf(out, "\n%s\n\n", r.Run.Environment)
	if err := r.table(out, r.summary); err != nil {
		return err
	}
	for _, part := range []func(io.Writer){r.recalls, r.scenarios, r.idles} {
		if err := r.table(out, part); err != nil {
			return err
		}
	}
	r.notes(out)
	return nil
}

// table aligns what a part writes and puts an empty line behind it.
func (r *Report) table(out io.Writer, part func(io.Writer)) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', tabwriter.AlignRight)
	part(w)
	if err := w.Flush(); err != nil || text.Len() == 0 {
		return err
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

func (r *Report) summary(w io.Writer) {
	fmt.Fprintf(w, "mode\taccuracy\tdrop in points (95 %%)\tp50 ms\tp90\tp95\tp99\tCPU ms\tpictures/s\tx %s (95 %%)\tx "+
		"in CPU time\tMB\tpeak MB\t\n", r.Run.Reference)
	for _, m := range r.Modes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%s\t\n", m.Mode, m.accuracyCell(), m.dropCell(), m.speedCells(),
			float64(m.Bytes)/1e6, m.memoryCell())
	}
}

func (m *Mode) accuracyCell() string {
	switch {
	case m.SpeedOnly != "":
		return "speed only"
	case m.Accuracy == nil:
		return blank
	}
	return fmt.Sprintf("%.2f %%", 100*m.Accuracy.Accuracy)
}

func (m *Mode) dropCell() string {
	if m.SpeedOnly != "" || m.Accuracy == nil || m.Accuracy.Drop == nil {
		return "-"
	}
	d := m.Accuracy.Drop
	return fmt.Sprintf("%+.2f (%+.2f..%+.2f)", 100*d.Drop, 100*d.Interval.Low, 100*d.Interval.High)
}

func (m *Mode) speedCells() string {
	if m.Latency == nil {
		return blank + strings.Repeat("\t-", 7)
	}
	l := m.Latency
	return fmt.Sprintf("%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%s\t%s", l.P50, l.P90, l.P95, l.P99, l.CPU, l.PerSecond,
		m.Ratio.cell(), m.CPURatio.cell())
}

func (r *Ratio) cell() string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f)", r.Median, r.Interval.Low, r.Interval.High)
}

func (m *Mode) memoryCell() string {
	if m.Memory == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(m.Memory.PeakBytes)/1e6)
}

func (r *Report) recalls(w io.Writer) {
	if r.Run.SpeedOnly != "" {
		return
	}
	fmt.Fprintf(w, "recall\t%s\t\n", strings.Join(r.Run.Labels, "\t"))
	for _, m := range r.Modes {
		if m.Accuracy == nil {
			continue
		}
		fmt.Fprintf(w, "%s\t", m.Mode)
		for _, c := range m.Accuracy.Classes {
			if c.Support == 0 {
				fmt.Fprint(w, "-\t")
			} else {
				fmt.Fprintf(w, "%.1f %%\t", 100*c.Recall)
			}
		}
		fmt.Fprintln(w)
	}
}

func (r *Report) scenarios(w io.Writer) {
	head := false
	for _, m := range r.Modes {
		for _, s := range m.Scenarios {
			if !head {
				fmt.Fprintln(w, "mode\tscenario\tqueries\tbatch\tmetric\t")
				head = true
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t\n", m.Mode, s.Scenario, s.Queries, s.Batch, s.metric())
		}
	}
}

func (s ScenarioResult) metric() string {
	switch s.Scenario {
	case SingleStream:
		return fmt.Sprintf("p90 %.2f ms", s.P90)
	case MultiStream:
		return fmt.Sprintf("p99 %.2f ms for %d pictures", s.P99, Samples)
	}
	return fmt.Sprintf("%.1f pictures/s", s.PerSecond)
}

func (r *Report) idles(w io.Writer) {
	head := false
	for _, m := range r.Modes {
		if m.WarmUp == nil {
			continue
		}
		if !head {
			fmt.Fprintln(w, "mode\tload ms\tfirst pictures ms\tafter a pause\t")
			head = true
		}
		var gaps []string
		for _, g := range m.Idle {
			gaps = append(gaps, fmt.Sprintf("%g s: %.2f (max %.2f of %d)", g.PauseSeconds, g.MedianMS, g.MaxMS, g.Count))
		}
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t\n", m.Mode, m.WarmUp.LoadMS, joined(m.WarmUp.FirstMS), strings.Join(gaps, ", "))
	}
}

func joined(values []float64) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprintf("%.1f", v)
	}
	return strings.Join(parts, " ")
}

// notes prints what the cells have no room for.
func (r *Report) notes(out io.Writer) {
	for _, m := range r.Modes {
		for _, note := range []struct{ label, text string }{
			{"speed only", m.SpeedOnly}, {"emulated", m.Emulated}, {"fallback", m.Fallback},
		} {
			if note.text != "" && note.text != r.Run.SpeedOnly {
				fmt.Fprintf(out, "%s: %s: %s\n", m.Mode, note.label, note.text)
			}
		}
	}
	fmt.Fprintf(out, "drop: same pictures, interval of Agresti and Min; x %s: ratio of the medians of the same turn, "+
		"median of %d turns, bootstrapped;\nCPU time leaves out what other programs took\n",
		r.Run.Reference, r.Run.Turns)
}
