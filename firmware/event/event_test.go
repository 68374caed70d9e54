package event

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// rule is 3 of 5 with hysteresis, at the 100 ms frame interval of the tests.
var rule = Rule{Window: 5, Agree: 3, Threshold: 0.6, Release: 0.4, Update: time.Second, MaxGap: time.Second}

// play feeds one observation a letter, 100 ms apart, and returns the phases
// that come out as "frame:phase".
//
//	F strong fire, f between release and threshold, S strong smoke, . nothing
//	_ one missing frame interval (a gap grows by 100 ms)
func play(t *testing.T, r Rule, script string) []string {
	t.Helper()
	tr, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, c := range script {
		if c == '_' {
			continue
		}
		o := Observation{At: epoch.Add(time.Duration(i) * 100 * time.Millisecond), Frame: uint64(i), Class: 0}
		switch c {
		case 'F':
			o.Label, o.Score = 2, 0.9
		case 'S':
			o.Label, o.Score = 1, 0.8
		case 'f':
			o.Label, o.Score = 2, 0.5
		}
		if e, ok := tr.Observe(o); ok {
			out = append(out, fmt.Sprintf("%d:%v", i, e.Phase))
		}
	}
	return out
}

func TestTemporalDecision(t *testing.T) {
	dwell := rule
	dwell.Dwell = 500 * time.Millisecond
	cases := []struct {
		name   string
		rule   Rule
		script string
		want   []string
	}{
		{"single frames never begin", rule, "F..F..F..F", nil},
		{"three of five begin", rule, "F.F.F", []string{"4:begin"}},
		{"weak frames never begin", rule, "ffffffff", nil},
		{"weak frames keep it alive", rule, "FFFffffffff", []string{"2:begin"}},
		{"it ends once", rule, "FFF........", []string{"2:begin", "5:end"}},
		{"one bad frame does not end it", rule, "FFF.FF.FF", []string{"2:begin"}},
		{"updates come at their interval", rule, "FFFFFFFFFFFFFFFFFFFFFFF", []string{"2:begin", "12:update", "22:update"}},
		{"a change of label is told at once", rule, "SSSSFFFF", []string{"2:begin", "6:update"}},
		{"it can begin again", rule, "FFF...FFF...", []string{"2:begin", "5:end", "8:begin", "11:end"}},
		{"frames before an end do not begin the next", rule, "FFFFF...F.F", []string{"2:begin", "7:end"}},
		{"dwell delays the beginning", dwell, "FFFFFFF", []string{"5:begin"}},
		{"dwell starts over after a break", dwell, "FFFF....FFFFFF", []string{"13:begin"}},
		{"a gap ends it", rule, "FFF___________F", []string{"2:begin", "14:end"}},
		{"a gap empties the window", rule, "FF___________F", nil},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			if diff := cmp.Diff(c.want, play(t, c.rule, c.script)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.script, diff)
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	scores := []float32{0.7, 0, 0.95, 0.65}
	var got Event
	for i, s := range scores {
		o := Observation{At: epoch.Add(time.Duration(i) * 100 * time.Millisecond), Frame: uint64(10 + i), Label: 2, Score: s, Raw: s / 2}
		if e, ok := tr.Observe(o); ok {
			got = e
		}
	}
	want := Event{
		Phase: Begin, Label: 2, Started: epoch, At: epoch.Add(300 * time.Millisecond), Frame: 13,
		Agree: 3, Window: 5, Frames: 3, Score: 0.65, Raw: 0.325, Peak: 0.95,
		Threshold: 0.6, Release: 0.4, Dwell: 300 * time.Millisecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGesturesDoNotAddUp(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		o := Observation{At: epoch.Add(time.Duration(i) * 100 * time.Millisecond), Class: i % 2, Label: i % 2, Score: 0.9}
		if o.Class == 1 {
			o.Class = None
		}
		if i%4 == 0 {
			o.Class = 3
		}
		if e, ok := tr.Observe(o); ok {
			t.Fatalf("frame %d: got %v of class %d from frames that disagree", i, e.Phase, e.Class)
		}
	}
}

// TestEndShowsTheFrameThatReleased: the evidence of an end is the frame that
// ended it, not the last one that looked like fire.
func TestEndShowsTheFrameThatReleased(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	for i, s := range []float32{0.9, 0.9, 0.9, 0.1, 0.1, 0.15} {
		got, _ = tr.Observe(Observation{At: epoch.Add(time.Duration(i) * time.Millisecond), Frame: uint64(i), Score: s, Raw: s})
	}
	if got.Phase != End || got.Score != 0.15 || got.Raw != 0.15 || got.Frame != 5 || got.Peak != 0.9 || got.Agree != 2 {
		t.Errorf("got %+v, want an end with the score of frame 5", got)
	}
}

func TestCloseEndsOnce(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		tr.Observe(Observation{At: epoch.Add(time.Duration(i) * time.Millisecond), Score: 0.9})
	}
	e, ok := tr.Close("shutdown")
	if !ok || e.Phase != End || e.Reason != "shutdown" {
		t.Errorf("got %+v, %v, want the end", e, ok)
	}
	if e, ok := tr.Close("shutdown"); ok {
		t.Errorf("a second close gives %+v", e)
	}
}

func TestRuleValidate(t *testing.T) {
	bad := map[string]func(*Rule){
		"no window":        func(r *Rule) { r.Window = 0 },
		"window too large": func(r *Rule) { r.Window = MaxWindow + 1 },
		"agree too large":  func(r *Rule) { r.Agree = r.Window + 1 },
		"agree of zero":    func(r *Rule) { r.Agree = 0 },
		"threshold of one": func(r *Rule) { r.Threshold = 1 },
		"release above":    func(r *Rule) { r.Release = r.Threshold + 0.01 },
		"release of zero":  func(r *Rule) { r.Release = 0 },
		"no update":        func(r *Rule) { r.Update = 0 },
		"negative dwell":   func(r *Rule) { r.Dwell = -1 },
	}
	for name, spoil := range bad {
		r := rule
		spoil(&r)
		if _, err := New(r); err == nil {
			t.Errorf("%s: got no error for %+v", name, r)
		}
	}
}

// TestLifeOfEvents: whatever the frames say, phases follow begin, update*,
// end; revisions count up by one; a beginning has the support it claims.
func TestLifeOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Window: rapid.IntRange(1, 12).Draw(t, "window"), Threshold: 0.6, Release: 0.3,
			Update: 200 * time.Millisecond, MaxGap: time.Second, Dwell: time.Duration(rapid.IntRange(0, 4).Draw(t, "dwell")) * 100 * time.Millisecond}
		r.Agree = rapid.IntRange(1, r.Window).Draw(t, "agree")
		tr, err := New(r)
		if err != nil {
			t.Fatal(err)
		}
		at, open, revision := epoch, false, 0
		for i := range rapid.IntRange(0, 80).Draw(t, "frames") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{33, 100, 100, 1500}).Draw(t, "dt")) * time.Millisecond)
			o := Observation{At: at, Frame: uint64(i), Class: rapid.IntRange(-1, 2).Draw(t, "class"), Score: rapid.Float32Range(0, 1).Draw(t, "score")}
			e, ok := tr.Observe(o)
			if !ok {
				continue
			}
			switch {
			case (e.Phase == Begin) == open:
				t.Fatalf("frame %d: got %v while open=%v", i, e.Phase, open)
			case e.Phase == Begin && (e.Agree < r.Agree || e.Dwell < r.Dwell || e.Revision != 0 || e.Score < r.Threshold):
				t.Fatalf("frame %d: began without support: %+v", i, e)
			case e.Phase != Begin && e.Revision != revision+1:
				t.Fatalf("frame %d: got revision %d after %d", i, e.Revision, revision)
			}
			open, revision = e.Phase != End, e.Revision
		}
		if open != tr.Active() {
			t.Fatalf("got active=%v, want %v", tr.Active(), open)
		}
	})
}

func TestObserveAllocatesNothing(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		i++
		tr.Observe(Observation{At: epoch.Add(time.Duration(i) * 100 * time.Millisecond), Score: float32(i%7) / 7})
	})
	if got != 0 {
		t.Errorf("got %v allocations a frame, want 0", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	tr, err := New(Rule{Window: 64, Agree: 40, Threshold: 0.6, Release: 0.4, Update: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	at := epoch
	for b.Loop() {
		at = at.Add(33 * time.Millisecond)
		tr.Observe(Observation{At: at, Score: 0.9})
	}
}

func TestThresholdCanBeChanged(t *testing.T) {
	tr, err := New(rule)
	if err != nil {
		t.Fatal(err)
	}
	frame := uint64(0)
	begins := func(score float32) (began bool) { // five frames of fire, then what ends it
		for i := range 10 {
			frame++
			o := Observation{At: epoch.Add(time.Duration(frame) * 100 * time.Millisecond), Frame: frame, Class: 0, Label: 2, Score: score}
			if i >= 5 {
				o.Score = 0
			}
			if e, ok := tr.Observe(o); ok && e.Phase == Begin {
				began = true
			}
		}
		return began
	}
	for _, c := range []struct {
		threshold, score float32
		want             bool
	}{{0, 0.7, true}, {0.8, 0.7, false}, {0.8, 0.85, true}, {0.3, 0.35, true}, {0, 0.35, false}, {0, 0.65, true}} {
		if err := tr.SetThreshold(c.threshold); err != nil {
			t.Fatal(err)
		}
		if got := begins(c.score); got != c.want {
			t.Errorf("threshold %v, score %v: got an event %v, want %v", c.threshold, c.score, got, c.want)
		}
	}
	for _, bad := range []float32{-1, 1, 2} {
		if err := tr.SetThreshold(bad); err == nil {
			t.Errorf("threshold %v was taken", bad)
		}
	}
}
