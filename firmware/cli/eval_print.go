package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"emberwing/firmware/evaluate"
)

// print writes one line of a report: JSON, or something for people.
func (v *evaluation) print(line any) error {
	if v.json {
		return emit(v.s.Out, line)
	}
	switch l := line.(type) {
	case *evalReport:
		return l.print(v.s)
	case evaluate.SourceLine: // told by the report of the folder already
	case evaluate.ResolutionLine:
		fmt.Fprintf(v.s.Out, "%4d pixels: %s right, keeps %.2f of its skill, WAR %.3f over %d source(s)\n", l.Side, share(l.Right), l.AboveChance, l.WAR, l.Sources)
	case evaluate.CorruptionLine:
		fmt.Fprintf(v.s.Out, "%s %d: %s right, keeps %.2f of its skill\n", l.Corruption, l.Severity, share(l.Right), l.AboveChance)
	case evaluate.FlipLine:
		fmt.Fprintf(v.s.Out, "%s: label changes in %s, score by %.4f\n", l.Motion, share(l.Labels), l.Change)
	case *evaluate.OODLine:
		fmt.Fprintf(v.s.Out, "unlike the training set: %s of right answers, %s of wrong ones, AUROC %.3f\n", share(l.UnknownOfRight), share(l.UnknownOfWrong), l.AUROC)
	case evaluate.SummaryLine:
		fmt.Fprintf(v.s.Out, "clean %s, corrupted %.4f; labels change under one pixel in %s, under small motions in %s\n",
			share(l.Clean), l.Corruptions, share(l.Shifts.Labels), share(l.Motions.Labels))
	case evaluate.FramesLine:
		fmt.Fprintf(v.s.Out, "frames: found %s, named %s, both %s, reported %s\n", share(l.Found), share(l.Named), share(l.Both), share(l.Reported))
	case evaluate.MasksLine:
		fmt.Fprintf(v.s.Out, "masks of %s: IoU %.4f, mean of %d pictures %.4f\n", l.Label, l.IoU, l.With, l.Mean)
	case quietLine:
		fmt.Fprintf(v.s.Out, "nothing reported of %s\n", share(l.Quiet))
	}
	return nil
}

// share prints a share with its interval.
func share(s *evaluate.Share) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("%.4f of %d (95 %%: %.4f..%.4f)", s.Share, s.Of, s.Interval.Low, s.Interval.High)
}

// print writes the report on a folder for people.
func (r *evalReport) print(s Streams) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(s.Out, "%d pictures, accuracy %.4f (95 %%: %.4f..%.4f), calibration error %.4f\n\n", r.Images, r.Accuracy, r.Interval.Low, r.Interval.High, r.CalibrationError)
	fmt.Fprintln(w, "class\tpictures\tprecision\trecall\tF1\t")
	for _, c := range r.Classes {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\t%.4f\t\n", c.Label, c.Support, c.Precision, c.Recall, c.F1)
	}
	fmt.Fprintf(w, "\ntruth \\ best\t%s\t\n", strings.Join(r.Labels, "\t"))
	for i, row := range r.Confusion {
		fmt.Fprintf(w, "%s\t%s\t\n", r.Labels[i], strings.Trim(strings.Join(strings.Fields(fmt.Sprint(row)), "\t"), "[]"))
	}
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

// printDecision writes what comes of the scores: alarms, signals, the gate.
func (r *evalReport) printDecision(s Streams) {
	if a := r.Alarm; a != nil {
		fmt.Fprintf(s.Out, "\nalarm at %.3f: accuracy %.4f (95 %%: %.4f..%.4f), recall %.4f (%.4f..%.4f), false alarms %.4f (%.4f..%.4f), %.0f per hour-equivalent\n",
			a.Threshold, a.Accuracy, a.AccuracyInterval.Low, a.AccuracyInterval.High, a.Recall, a.RecallInterval.Low, a.RecallInterval.High,
			a.FalseAlarmRate, a.FalseAlarmInterval.Low, a.FalseAlarmInterval.High, a.FalseAlarmsHour)
		fmt.Fprintf(s.Out, "calibration error of the alarm: %.4f, %.4f before the temperature\n", a.CalibrationError, r.CalibrationBefore)
	}
	if g := r.Signal; g != nil {
		fmt.Fprintf(s.Out, "\nsignals at %.3f: recall %.4f (95 %%: %.4f..%.4f), precision %.4f, quiet without one %.4f; calibration error %.4f before the temperature\n",
			g.Threshold, g.Recall, g.RecallInterval.Low, g.RecallInterval.High, g.Precision, g.Quiet, r.CalibrationBefore)
	}
	if g := r.Gate; g != nil {
		fmt.Fprintf(s.Out, "gate at %.3f: misses %s of alarms, holds back %s of the rest\n", g.Threshold, share(g.Missed), share(g.Held))
	}
}

// short prints a share alone.
func short(s *evaluate.Share) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", s.Share)
}
