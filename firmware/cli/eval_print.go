package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"emberwing/firmware/evaluate"
	"emberwing/quant/accuracy"
)

// print writes one line of a report: JSON, or something for people.
func (v *evaluation) print(line any) error {
	if v.json {
		return emit(v.s.Out, line)
	}
	var text string
	switch l := line.(type) {
	case *evalReport:
		return l.print(v.s)
	case evaluate.SourceLine: // told by the report of the folder already
		return nil
	case evaluate.ResolutionLine:
		text = fmt.Sprintf("%4d pixels: %s right, keeps %.2f of its skill, WAR %.3f over %d source(s)",
			l.Side, share(l.Right), l.AboveChance, l.WAR, l.Sources)
	case evaluate.CorruptionLine:
		text = fmt.Sprintf("%s %d: %s right, keeps %.2f of its skill", l.Corruption, l.Severity, share(l.Right), l.AboveChance)
	case evaluate.FlipLine:
		text = fmt.Sprintf("%s: label changes in %s, score by %.4f", l.Motion, share(l.Labels), l.Change)
	case *evaluate.OODLine:
		text = fmt.Sprintf("unlike the training set: %s of right answers, %s of wrong ones, AUROC %.3f",
			share(l.UnknownOfRight), share(l.UnknownOfWrong), l.AUROC)
	case evaluate.SummaryLine:
		text = fmt.Sprintf("clean %s, corrupted %.4f; labels change under one pixel in %s, under small motions in %s",
			share(l.Clean), l.Corruptions, share(l.Shifts.Labels), share(l.Motions.Labels))
	case evaluate.FramesLine:
		text = fmt.Sprintf("frames: found %s, named %s, both %s, reported %s",
			share(l.Found), share(l.Named), share(l.Both), share(l.Reported))
	case evaluate.MasksLine:
		text = fmt.Sprintf("masks of %s: IoU %.4f, mean of %d pictures %.4f", l.Label, l.IoU, l.With, l.Mean)
	case quietLine:
		text = fmt.Sprintf("nothing reported of %s", share(l.Quiet))
	}
	_, err := fmt.Fprintln(v.s.Out, text)
	return err
}

// share prints a share with its interval.
func share(s *evaluate.Share) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("%.4f of %d %s", s.Share, s.Of, within(s.Interval))
}

// print writes the report on a folder for people.
func (r *evalReport) print(s Streams) error {
	fmt.Fprintf(s.Out, "%d pictures, accuracy %.4f %s, calibration error %.4f\n\n",
		r.Images, r.Accuracy, within(r.Interval), r.CalibrationError)
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
	r.printClasses(w)
	fmt.Fprintln(w, "\nsource\tpictures\tright\talarm recall\tfalse alarms\t")
	for _, l := range r.Sources {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t\n", l.Source, l.Images, short(l.Right), short(l.Recall), short(l.FalseAlarms))
	}
	fmt.Fprintln(w, "\nms\tp50\tp90\tp99\tmax\t")
	for _, stage := range []string{"decode", "preprocess", "gate", "localise", "infer", "segment"} {
		if p := r.Latency[stage]; p.Count > 0 {
			fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", stage, p.P50, p.P90, p.P99, p.Max)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	r.printDecision(s)
	return nil
}

// within prints an interval.
func within(i accuracy.Interval) string { return fmt.Sprintf("(95 %%: %.4f..%.4f)", i.Low, i.High) }

// printClasses writes the scores of the classes and the confusion matrix.
func (r *evalReport) printClasses(w io.Writer) {
	fmt.Fprintln(w, "class\tpictures\tprecision\trecall\tF1\t")
	for _, c := range r.Classes {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\t%.4f\t\n", c.Label, c.Support, c.Precision, c.Recall, c.F1)
	}
	fmt.Fprintf(w, "\ntruth \\ best\t%s\t\n", strings.Join(r.Labels, "\t"))
	for i, row := range r.Confusion {
		counts := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(row)), "\t"), "[]")
		fmt.Fprintf(w, "%s\t%s\t\n", r.Labels[i], counts)
	}
}

// printDecision writes what comes of the scores: alarms, signals, the gate.
func (r *evalReport) printDecision(s Streams) {
	if a := r.Alarm; a != nil {
		fmt.Fprintf(s.Out, "\nalarm at %.3f: accuracy %.4f %s, recall %.4f %s, false alarms %.4f %s, %.0f per hour-equivalent\n",
			a.Threshold, a.Accuracy, within(a.AccuracyInterval), a.Recall, within(a.RecallInterval),
			a.FalseAlarmRate, within(a.FalseAlarmInterval), a.FalseAlarmsHour)
		fmt.Fprintf(s.Out, "calibration error of the alarm: %.4f, %.4f before the temperature\n",
			a.CalibrationError, r.CalibrationBefore)
	}
	if g := r.Signal; g != nil {
		fmt.Fprintf(s.Out, "\nsignals at %.3f: recall %.4f %s, precision %.4f, quiet without one %.4f %s\n",
			g.Threshold, g.Recall, within(g.RecallInterval), g.Precision, g.Quiet, within(g.QuietInterval))
		fmt.Fprintf(s.Out, "calibration error before the temperature: %.4f\n", r.CalibrationBefore)
	}
	if g := r.Gate; g != nil {
		fmt.Fprintf(s.Out, "gate at %.3f: misses %s of alarms, holds back %s of the rest\n",
			g.Threshold, share(g.Missed), share(g.Held))
	}
}

// short prints a share alone.
func short(s *evaluate.Share) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", s.Share)
}
