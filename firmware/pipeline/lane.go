package pipeline

import (
	"fmt"
	"slices"
	"sync/atomic"

	"emberwing/camera"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/predict"
	"emberwing/infer"
)

// lane is one model's way through the loop. fill belongs to the prepare
// goroutine, everything after it to the infer goroutine.
type lane struct {
	predictor *predict.Predictor
	every     int
	unfit     bool // prepare

	tracker *event.Tracker // infer
	result  predict.Result
	class   []int // class of each label: event.None, or what it supports
	alarm   []bool
	health  *health.Tracker
	code    health.Code
	broken  bool

	wanted atomic.Uint32 // bits of the threshold that was asked for
	inUse  uint32        // bits of the one in force
}

func newLane(m Model, h *health.Tracker) (*lane, error) {
	manifest := m.Predictor.Manifest()
	tracker, err := event.New(m.Temporal)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", manifest.Name, err)
	}
	if got := m.Predictor.Slots(); got < Slots {
		return nil, fmt.Errorf("model %s: got %d input slots, want %d", manifest.Name, got, Slots)
	}
	return &lane{
		predictor: m.Predictor, every: max(m.Every, 1), tracker: tracker,
		class: classes(manifest), alarm: alarms(manifest), health: h, code: health.InferFailing.For(manifest.Name),
	}, nil
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

// fill writes f into the first input of slot. It reports whether that is done;
// a frame that does not fit the model is a condition until one does.
func (ln *lane) fill(slot int, f *camera.Frame) bool {
	err := ln.predictor.Prepare(slot, f)
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

// observation puts the result for f in the terms of the temporal decision. A
// frame in which a localiser found nothing supports no event.
func (ln *lane) observation(f *camera.Frame) event.Observation {
	o := event.Observation{At: f.Captured, Frame: f.Seq, Class: event.None, Score: ln.result.Trigger, Raw: ln.result.Raw}
	if ln.result.Label >= 0 {
		o.Label = ln.best()
		o.Class = ln.class[o.Label]
	}
	return o
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
