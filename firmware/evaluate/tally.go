package evaluate

import (
	"maps"
	"slices"

	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/quant/accuracy"
)

// Judge says which answers are right. An answer of a model with an alarm is
// right when the alarm is; of any other when the label is.
type Judge struct {
	labels    int
	alarm     []bool // nil without an alarm
	none      int    // label for nothing found: one more than the labels without one
	threshold float32
}

// NewJudge judges answers of m at the given threshold.
func NewJudge(m *infer.Manifest, threshold float32) *Judge {
	j := &Judge{labels: len(m.Labels), threshold: threshold, none: m.Label("none")}
	if j.none < 0 {
		j.none = len(m.Labels)
	}
	if m.Alarm != nil {
		j.alarm = make([]bool, j.labels)
		for _, l := range m.Alarm.Labels {
			j.alarm[m.Label(l)] = true
		}
	}
	return j
}

// Chance is the share that guessing gets right.
func (j *Judge) Chance() float64 {
	if j.alarm != nil {
		return 0.5
	}
	return 1 / float64(j.labels)
}

// Raised reports whether an answer raises the alarm; false without one.
func (j *Judge) Raised(r *predict.Result) bool { return j.alarm != nil && r.Trigger >= j.threshold }

// Due reports whether a picture of label truth is one with an alarm.
func (j *Judge) Due(truth int) bool { return j.alarm != nil && truth < len(j.alarm) && j.alarm[truth] }

// label is the label of an answer, "none" for nothing found.
func (j *Judge) label(r *predict.Result) int {
	if r.Label < 0 {
		return j.none
	}
	return r.Label
}

// Right reports whether an answer is right for a picture of label truth.
func (j *Judge) Right(truth int, r *predict.Result) bool {
	if j.alarm != nil {
		return j.Due(truth) == j.Raised(r)
	}
	return truth == j.label(r)
}

// tally counts answers.
type tally struct {
	n, right       int
	due, raised    int // pictures with an alarm, alarms raised of them
	calm, falsely  int // pictures without, alarms raised of them
	measured, odd  int // answers with a distance, and those beyond the limit
	wrong, oddFail int // wrong answers with a distance, and those beyond the limit
}

func (t *tally) add(j *Judge, truth int, r *predict.Result) {
	right := j.Right(truth, r)
	t.n++
	t.right += count(right)
	if j.Due(truth) {
		t.due++
		t.raised += count(j.Raised(r))
	} else if j.alarm != nil {
		t.calm++
		t.falsely += count(j.Raised(r))
	}
	if r.Measured {
		t.measured++
		t.odd += count(r.Unknown)
		t.wrong += count(!right)
		t.oddFail += count(!right && r.Unknown)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Share is a share of pictures with its interval.
type Share struct {
	Share    float64           `json:"share"`
	Of       int               `json:"of"`
	Interval accuracy.Interval `json:"interval_95"`
}

// shareOf returns nil when there is nothing to count.
func ShareOf(hits, n int) *Share {
	if n == 0 {
		return nil
	}
	return &Share{float64(hits) / float64(n), n, accuracy.Wilson(hits, n)}
}

// Score is what the lines of a report have in common. Shares of nothing are
// left out.
type Score struct {
	Images      int    `json:"images"`
	Right       *Share `json:"right,omitempty"`        // alarm right, or label right without an alarm
	Recall      *Share `json:"alarm_recall,omitempty"` // alarms raised of those due
	FalseAlarms *Share `json:"false_alarms,omitempty"` // alarms raised of pictures without
	Unknown     *Share `json:"unknown,omitempty"`      // answers beyond the limit of the distance
}

func (t *tally) score() Score {
	return Score{
		t.n,
		ShareOf(t.right, t.n),
		ShareOf(t.raised, t.due),
		ShareOf(t.falsely, t.calm),
		ShareOf(t.odd, t.measured),
	}
}

// accuracy is the share of right answers, 0 of none.
func (t *tally) accuracy() float64 { return float64(t.right) / float64(max(t.n, 1)) }

// BySource counts answers by the source of their pictures.
type BySource struct {
	judge   *Judge
	tallies map[string]*tally
}

// NewBySource counts with the given judge.
func NewBySource(j *Judge) *BySource { return &BySource{j, map[string]*tally{}} }

// Add counts one answer.
func (b *BySource) Add(p Picture, r *predict.Result) {
	of(b.tallies, p.Source).add(b.judge, p.Truth, r)
}

// Lines lists the sources by name.
func (b *BySource) Lines() []SourceLine {
	out := []SourceLine{}
	for _, name := range slices.Sorted(maps.Keys(b.tallies)) {
		out = append(out, SourceLine{"source", name, b.tallies[name].score()})
	}
	return out
}
