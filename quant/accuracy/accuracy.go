// Package accuracy scores a classifier's results against the truth: accuracy,
// precision, recall and F1 of each class, the confusion matrix, the alarm
// decision, and how well the scores are calibrated.
//
// It counts and divides; it runs nothing and reads no files.
package accuracy

import (
	"fmt"
	"math"
	"slices"
)

// bins is the number of equal score intervals of the calibration error, as in
// Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2.
const bins = 15

// Sample is one judged image.
type Sample struct {
	Truth int       // index of the true label
	Best  int       // index of the label with the best score
	Score []float32 // calibrated probability of each label
	Alarm float32   // alarm score; ignored when the set has no alarm labels
	Raw   float32   // alarm score, or the best score, before calibration; 0 when unknown
}

// Set collects samples of one model.
type Set struct {
	labels    []string
	alarm     []bool // labels that make up the alarm; nil without one
	threshold float32
	confusion [][]int     // [truth][best]
	calib     calibration // of the best score
	alarms    struct{ truePos, falsePos, trueNeg, falseNeg int }
	alarmC    calibration // of the alarm score
	rawC      calibration // of Sample.Raw
	nll       float64
	ignore    []bool // labels that are no signal; nil when signals are not counted
	signals   struct{ due, right, wrong, quiet int }
}

// calibration counts scores and how often they were right, in bins of equal
// width.
type calibration [bins]struct {
	n, hits int
	sum     float64
}

func (c *calibration) add(score float32, hit bool) {
	b := &c[min(max(int(score*bins), 0), bins-1)]
	b.n++
	b.sum += float64(score)
	if hit {
		b.hits++
	}
}

// gap is the expected calibration error: |accuracy - confidence| of each bin,
// weighted by its share of the samples.
func (c *calibration) gap() (sum float64) {
	all := 0
	for _, b := range c {
		sum += math.Abs(float64(b.hits) - b.sum)
		all += b.n
	}
	return sum / math.Max(1, float64(all))
}

// CountSignals makes the set count what a model without alarm would report:
// its best label when that is not among ignored and reaches the threshold.
func (s *Set) CountSignals(ignored []string) {
	s.ignore = make([]bool, len(s.labels))
	for i, l := range s.labels {
		s.ignore[i] = slices.Contains(ignored, l)
	}
}

// NewSet collects for the given labels. alarm names the labels that count as
// an alarm when their score reaches threshold; empty for none.
func NewSet(labels, alarm []string, threshold float32) *Set {
	s := &Set{labels: labels, threshold: threshold, confusion: make([][]int, len(labels))}
	for i := range s.confusion {
		s.confusion[i] = make([]int, len(labels))
	}
	if len(alarm) > 0 {
		s.alarm = make([]bool, len(labels))
		for i, l := range labels {
			s.alarm[i] = slices.Contains(alarm, l)
		}
	}
	return s
}

// Add counts one sample. An index or a number of scores that does not fit the
// labels is an error and counts nothing.
func (s *Set) Add(x Sample) error {
	n := len(s.labels)
	if x.Truth < 0 || x.Truth >= n || x.Best < 0 || x.Best >= n || len(x.Score) != n {
		return fmt.Errorf(
			"score sample: got truth %d, best %d and %d scores, want indices and scores of %d labels",
			x.Truth,
			x.Best,
			len(x.Score),
			n,
		)
	}
	s.confusion[x.Truth][x.Best]++
	hit := x.Truth == x.Best
	s.calib.add(x.Score[x.Best], hit)
	if s.alarm == nil {
		s.rawC.add(x.Raw, hit)
	}
	s.nll -= math.Log(max(float64(x.Score[x.Truth]), 1e-12))
	if s.alarm != nil {
		s.addAlarm(s.alarm[x.Truth], x.Alarm)
		s.rawC.add(x.Raw, s.alarm[x.Truth])
	}
	if s.ignore != nil {
		s.addSignal(x, hit)
	}
	return nil
}

func (s *Set) addSignal(x Sample, hit bool) {
	g := &s.signals
	if !s.ignore[x.Truth] {
		g.due++
	}
	switch reported := !s.ignore[x.Best] && x.Score[x.Best] >= s.threshold; {
	case reported && hit:
		g.right++
	case reported:
		g.wrong++
	case s.ignore[x.Truth]:
		g.quiet++
	}
}

func (s *Set) addAlarm(truth bool, score float32) {
	a := &s.alarms
	switch raised := score >= s.threshold; {
	case truth && raised:
		a.truePos++
	case truth:
		a.falseNeg++
	case raised:
		a.falsePos++
	default:
		a.trueNeg++
	}
	s.alarmC.add(score, truth)
}

// Class is the score of one class. A ratio with nothing below the line is 0
// and Support tells it apart.
type Class struct {
	Label     string  `json:"label"`
	Support   int     `json:"support"` // images of the class
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`

	RecallInterval Interval `json:"recall_interval_95"`
}

// Alarm is the score of the alarm decision at its threshold.
type Alarm struct {
	Threshold        float32 `json:"threshold"`
	Accuracy         float64 `json:"accuracy"`
	Recall           float64 `json:"recall"`           // alarms raised of those due
	Precision        float64 `json:"precision"`        // alarms due of those raised
	FalseAlarmRate   float64 `json:"false_alarm_rate"` // alarms raised of images without one
	FalseAlarmsHour  float64 `json:"false_alarms_per_hour_equivalent"`
	CalibrationError float64 `json:"calibration_error"` // expected calibration error of the alarm score

	AccuracyInterval   Interval `json:"accuracy_interval_95"`
	RecallInterval     Interval `json:"recall_interval_95"`
	FalseAlarmInterval Interval `json:"false_alarm_interval_95"`
}

// Signal is what a model without alarm would report of single images.
type Signal struct {
	Threshold      float32  `json:"threshold"`
	Recall         float64  `json:"recall"` // right reports of images with a signal
	RecallInterval Interval `json:"recall_interval_95"`
	Precision      float64  `json:"precision"` // right reports of all reports
	// Quiet is the share of images without a signal of which nothing was
	// reported.
	Quiet         float64  `json:"quiet"`
	QuietInterval Interval `json:"quiet_interval_95"`
}

// Report is the whole judgement.
type Report struct {
	Images           int      `json:"images"`
	Accuracy         float64  `json:"accuracy"`
	Interval         Interval `json:"accuracy_interval_95"`
	Classes          []Class  `json:"classes"`
	Labels           []string `json:"labels"`
	Confusion        [][]int  `json:"confusion"` // row: truth, column: best label
	CalibrationError float64  `json:"calibration_error"`
	LogLoss          float64  `json:"log_loss"`
	// CalibrationBefore is the error of the alarm score, or of the best score of
	// a model without alarm, before the temperature.
	CalibrationBefore float64 `json:"calibration_error_before"`
	Alarm             *Alarm  `json:"alarm,omitempty"`
	Signal            *Signal `json:"signal,omitempty"`
}

// Interval is a confidence interval of a proportion.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Report computes everything from what was counted. decisionsPerHour turns the
// false alarm rate of single images into an hour's worth of single decisions,
// before any temporal decision.
func (s *Set) Report(decisionsPerHour float64) Report {
	hits, images := 0, 0
	for truth, row := range s.confusion {
		hits += row[truth]
		for _, n := range row {
			images += n
		}
	}
	r := Report{
		Images: images, Accuracy: ratio(hits, images), Interval: Wilson(hits, images), Labels: s.labels,
		Confusion: s.confusion, LogLoss: s.nll / math.Max(1, float64(images)),
	}
	for i := range s.labels {
		r.Classes = append(r.Classes, s.class(i))
	}
	r.CalibrationError, r.CalibrationBefore = s.calib.gap(), s.rawC.gap()
	if s.alarm != nil {
		r.Alarm = s.alarmReport(images, decisionsPerHour)
	}
	if s.ignore != nil {
		r.Signal = s.signalReport(images)
	}
	return r
}

func (s *Set) signalReport(images int) *Signal {
	g := s.signals
	none := images - g.due
	return &Signal{
		Threshold: s.threshold, Recall: ratio(g.right, g.due), RecallInterval: Wilson(g.right, g.due),
		Precision: ratio(g.right, g.right+g.wrong), Quiet: ratio(g.quiet, none), QuietInterval: Wilson(g.quiet, none),
	}
}

func (s *Set) class(i int) Class {
	support, said := 0, 0
	for j := range s.labels {
		support += s.confusion[i][j]
		said += s.confusion[j][i]
	}
	hits := s.confusion[i][i]
	c := Class{
		Label:          s.labels[i],
		Support:        support,
		Precision:      ratio(hits, said),
		Recall:         ratio(hits, support),
		RecallInterval: Wilson(hits, support),
	}
	if sum := c.Precision + c.Recall; sum > 0 {
		c.F1 = 2 * c.Precision * c.Recall / sum
	}
	return c
}

func (s *Set) alarmReport(images int, decisionsPerHour float64) *Alarm {
	a := s.alarms
	r := &Alarm{
		Threshold: s.threshold, Accuracy: ratio(a.truePos+a.trueNeg, images),
		Recall: ratio(a.truePos, a.truePos+a.falseNeg), Precision: ratio(a.truePos, a.truePos+a.falsePos),
		FalseAlarmRate: ratio(a.falsePos, a.falsePos+a.trueNeg),
	}
	r.FalseAlarmsHour = r.FalseAlarmRate * decisionsPerHour
	r.CalibrationError = s.alarmC.gap()
	r.AccuracyInterval = Wilson(a.truePos+a.trueNeg, images)
	r.RecallInterval = Wilson(a.truePos, a.truePos+a.falseNeg)
	r.FalseAlarmInterval = Wilson(a.falsePos, a.falsePos+a.trueNeg)
	return r
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Wilson returns the 95 % score interval of hits out of n (Wilson, 1927); it
// stays inside 0..1 and is useful for small n too.
func Wilson(hits, n int) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	const z = 1.959963984540054
	p, m := float64(hits)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Interval{math.Max(0, centre-half), math.Min(1, centre+half)}
}
