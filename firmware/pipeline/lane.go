package pipeline

import (
	"fmt"
	"slices"

	"emberwing/camera"
	"emberwing/camera/pixel"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/infer"
)

// lane is one model's way through the loop. fill belongs to the prepare
// goroutine, everything after it to the infer goroutine.
type lane struct {
	session infer.Session
	every   int

	spec     pixel.Spec // prepare
	plan     *pixel.Plan
	geometry [2]int
	format   camera.Format
	unfit    bool

	rule    *infer.Rule // infer
	tracker *event.Tracker
	result  infer.Result
	class   []int // class of each label: event.None, or what it supports
	alarm   []bool
	health  *health.Tracker
	code    health.Code
	broken  bool
}

func newLane(m Model, h *health.Tracker) (*lane, error) {
	tracker, err := event.New(m.Temporal)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Manifest.Name, err)
	}
	if m.Session.Input(Slots-1) == nil {
		return nil, fmt.Errorf("model %s: got fewer than %d input slots", m.Manifest.Name, Slots)
	}
	spec, err := Spec(m.Manifest.Input)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Manifest.Name, err)
	}
	return &lane{
		session: m.Session, every: max(m.Every, 1), spec: spec, rule: m.Rule, tracker: tracker,
		class: classes(m.Manifest), alarm: alarms(m.Manifest), health: h,
		code: health.InferFailing.For(m.Manifest.Name),
	}, nil
}

// Spec translates a manifest's declaration into the plan's.
func Spec(in infer.Input) (pixel.Spec, error) {
	fit, ok := map[string]pixel.Fit{"stretch": pixel.Stretch, "letterbox": pixel.Letterbox, "centercrop": pixel.CenterCrop}[in.Fit]
	if !ok {
		return pixel.Spec{}, fmt.Errorf("preprocessing: got fit %q, want stretch, letterbox or centercrop", in.Fit)
	}
	order, layout := pixel.RGB, pixel.NCHW
	if in.Order == "bgr" {
		order = pixel.BGR
	}
	if in.Layout == "nhwc" {
		layout = pixel.NHWC
	}
	return pixel.Spec{Width: in.Width(), Height: in.Height(), Fit: fit, Order: order, Layout: layout, Mean: in.Mean, Std: in.Std}, nil
}

// classes says which event each label supports. All alarm labels support one
// event; without an alarm each label has its own, except the ignored ones.
func classes(m *infer.Manifest) []int {
	out := make([]int, len(m.Labels))
	for i, label := range m.Labels {
		out[i] = i
		if slices.Contains(m.Decision.Ignore, label) {
			out[i] = event.None
		}
		if m.Alarm != nil {
			out[i] = 0
		}
	}
	return out
}

// alarms marks the labels that make up the alarm score.
func alarms(m *infer.Manifest) []bool {
	out := make([]bool, len(m.Labels))
	for i, label := range m.Labels {
		out[i] = m.Alarm == nil || slices.Contains(m.Alarm.Labels, label)
	}
	return out
}

// fill writes f into the input of slot, making a new plan only when the
// geometry of the source changes. It reports whether the input is filled; a
// frame that does not fit the model is a condition until one does.
func (ln *lane) fill(slot int, f *camera.Frame) bool {
	err := ln.fit(f)
	if err == nil {
		err = ln.plan.Into(ln.session.Input(slot), f)
	}
	switch {
	case err != nil:
		ln.unfit = true
		ln.health.Raise(ln.code, health.Alarm, fmt.Sprintf("frame does not fit the model: %v", err))
	case ln.unfit:
		ln.unfit = false
		ln.health.Clear(ln.code)
	}
	return err == nil
}

// fit makes the plan for f's geometry, unless it is the present one's.
func (ln *lane) fit(f *camera.Frame) (err error) {
	geometry := [2]int{f.Width, f.Height}
	if ln.plan != nil && geometry == ln.geometry && f.Format == ln.format {
		return nil
	}
	ln.geometry, ln.format = geometry, f.Format
	ln.plan, err = pixel.NewPlan(ln.spec, f.Width, f.Height, f.Format)
	return err
}

// failed keeps the health condition of the lane: raised at the first failure,
// cleared by the first success after it.
func (ln *lane) failed(err error) bool {
	if err != nil {
		ln.broken = true
		ln.health.Raise(ln.code, health.Alarm, err.Error())
		return true
	}
	if ln.broken {
		ln.broken = false
		ln.health.Clear(ln.code)
	}
	return false
}

// observation puts the result for f in the terms of the temporal decision.
func (ln *lane) observation(f *camera.Frame) event.Observation {
	label := ln.best()
	return event.Observation{
		At: f.Captured, Frame: f.Seq, Class: ln.class[label], Label: label,
		Score: ln.result.Trigger, Raw: ln.result.Raw,
	}
}

// best is the best label that can name an event: for a model with an alarm
// score the best of the alarm labels, whatever else the frame shows.
func (ln *lane) best() int {
	best := ln.result.Label
	if ln.alarm[best] {
		return best
	}
	top := float32(-1)
	for i, s := range ln.result.Scores {
		if ln.alarm[i] && s > top {
			best, top = i, s
		}
	}
	return best
}
