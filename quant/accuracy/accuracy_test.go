package accuracy

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var labels = []string{"nofire", "smoke", "fire"}

// TestReport is worked by hand: six images, one missed fire, one false alarm.
func TestReport(t *testing.T) {
	s := NewSet(labels, []string{"smoke", "fire"}, 0.5)
	for _, x := range []Sample{
		{0, 0, []float32{0.9, 0.05, 0.05}, 0.1, 0.2},
		{0, 0, []float32{0.9, 0.05, 0.05}, 0.1, 0.2},
		{0, 2, []float32{0.2, 0.2, 0.6}, 0.8, 0.7},
		{1, 1, []float32{0.1, 0.8, 0.1}, 0.9, 0.8},
		{2, 2, []float32{0, 0, 1}, 1, 0.9},
		{2, 0, []float32{0.7, 0.1, 0.2}, 0.3, 0.4},
	} {
		if err := s.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Report(3600)
	want := Report{
		Images: 6, Accuracy: 4.0 / 6, Labels: labels, Interval: Interval{0.2999932, 0.9032289},
		Classes: []Class{
			{"nofire", 3, 2.0 / 3, 2.0 / 3, 2.0 / 3, Interval{0.2076596, 0.9385080}},
			{"smoke", 1, 1, 1, 1, Interval{0.2065493, 1}},
			{"fire", 2, 0.5, 0.5, 0.5, Interval{0.0945312, 0.9054688}},
		},
		Confusion: [][]int{{2, 0, 1}, {0, 1, 0}, {1, 0, 1}},
		// bins: two at 0.9 (both right), 0.6 wrong, 0.8 right, 1 right, 0.7 wrong
		CalibrationError: (0.2 + 0.6 + 0.2 + 0 + 0.7) / 6,
		// alarm before the temperature: two at 0.2 (none due), 0.7 (not due), 0.8 and 0.9 due, 0.4 due
		CalibrationBefore: (0.4 + 0.7 + 0.2 + 0.1 + 0.6) / 6,
		LogLoss:           -(2*math.Log(0.9) + math.Log(0.2) + math.Log(0.8) + math.Log(1) + math.Log(0.2)) / 6,
		Alarm: &Alarm{Threshold: 0.5, Accuracy: 4.0 / 6, Recall: 2.0 / 3, Precision: 2.0 / 3,
			FalseAlarmRate: 1.0 / 3, FalseAlarmsHour: 1200, CalibrationError: (0.2 + 0.8 + 0.1 + 0 + 0.7) / 6,
			AccuracyInterval: Interval{0.2999932, 0.9032289}, RecallInterval: Interval{0.2076596, 0.9385080},
			FalseAlarmInterval: Interval{0.0614920, 0.7923404}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAddRefusesWhatDoesNotFit(t *testing.T) {
	s := NewSet(labels, nil, 0)
	for _, x := range []Sample{
		{Truth: 3, Score: make([]float32, 3)}, {Best: -1, Score: make([]float32, 3)}, {Score: make([]float32, 2)},
	} {
		if s.Add(x) == nil {
			t.Errorf("got no error for %+v", x)
		}
	}
	if r := s.Report(1); r.Images != 0 || r.Alarm != nil || math.IsNaN(r.LogLoss+r.Accuracy) {
		t.Errorf("got %+v of an empty set", r)
	}
}

// TestSignals is worked by hand: four signals are due, two come right, one
// wrong, one too weak; of three images without one, one raises a signal.
func TestSignals(t *testing.T) {
	s := NewSet([]string{"fist", "palm", "other", "none"}, nil, 0.6)
	s.CountSignals([]string{"other", "none"})
	for _, x := range []Sample{
		{Truth: 0, Best: 0, Score: []float32{0.9, 0.1, 0, 0}},
		{Truth: 1, Best: 1, Score: []float32{0.4, 0.6, 0, 0}},
		{Truth: 1, Best: 0, Score: []float32{0.7, 0.3, 0, 0}},
		{Truth: 1, Best: 1, Score: []float32{0.4, 0.5, 0.1, 0}},
		{Truth: 2, Best: 0, Score: []float32{0.8, 0.1, 0.1, 0}},
		{Truth: 3, Best: 2, Score: []float32{0, 0, 0.9, 0.1}},
		{Truth: 3, Best: 0, Score: []float32{0.5, 0, 0.1, 0.4}},
	} {
		if err := s.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	want := &Signal{
		Threshold:      0.6,
		Recall:         0.5,
		RecallInterval: Wilson(2, 4),
		Precision:      0.5,
		Quiet:          2.0 / 3,
		QuietInterval:  Wilson(2, 3),
	}
	if diff := cmp.Diff(want, s.Report(1).Signal, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPerfect: a model that is always right and always sure scores 1 and has
// no calibration error, whatever the classes.
func TestPerfect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSet(labels, []string{"fire"}, 0.5)
		n := rapid.IntRange(1, 50).Draw(t, "n")
		for range n {
			truth := rapid.IntRange(0, 2).Draw(t, "truth")
			score := make([]float32, 3)
			score[truth] = 1
			if err := s.Add(Sample{truth, truth, score, score[2], score[2]}); err != nil {
				t.Fatal(err)
			}
		}
		r := s.Report(1)
		if r.Accuracy != 1 || r.CalibrationError != 0 || r.CalibrationBefore != 0 || r.LogLoss != 0 ||
			r.Alarm.Accuracy != 1 ||
			r.Interval.High < 1-1e-9 {
			t.Fatalf("got %+v", r)
		}
	})
}

func TestWilsonHoldsTheProportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "n")
		hits := rapid.IntRange(0, n).Draw(t, "hits")
		i, p := Wilson(hits, n), float64(hits)/float64(n)
		if i.Low > p+1e-12 || i.High < p-1e-12 || i.Low < 0 || i.High > 1 {
			t.Fatalf("%d of %d: got %+v around %v", hits, n, i, p)
		}
	})
}
