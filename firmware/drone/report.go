package drone

import (
	"errors"
	"log/slog"
	"time"

	"emberwing/firmware/command"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/pipeline"
	"emberwing/firmware/position"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// box is where messages wait for the link.
type box interface {
	Put(wire.Message) error
}

// reporter turns steps of events into alerts. It implements pipeline.Sink.
type reporter struct {
	id       *identity
	models   []reported
	box      box
	pictures *snapshots
	health   *health.Tracker
	log      *slog.Logger
	indicate func(active bool) // nil without an indicator
	mutes    *command.Mutes
	profile  *profile
	where    position.Source
	fov      float64           // of the camera, degrees; 0 is unknown
	thumb    int               // cap of a thumbnail, bytes; 0 sends none
	enqueue  latency.Histogram // decision to durable
	active   int
}

// reported is what alerts say about one model.
type reported struct {
	task   wire.Task
	labels []string
	alarm  bool
	model  wire.Model
	event  string // id of the active event
}

// newReported describes an open session. Why a fallback happened is told by
// health alone: alerts and statistics cross narrow links, and requested beside
// effective says that it did.
func newReported(m *infer.Manifest, r infer.Report) reported {
	return reported{task: wire.Task(m.Task), labels: m.Labels, alarm: m.Alarm != nil, model: wire.Model{
		Name: m.Name, SHA256: r.SHA256,
		RequestedPrecision: string(r.RequestedPrecision), EffectivePrecision: string(r.Precision),
		RequestedProvider: string(r.RequestedProvider), EffectiveProvider: string(r.Provider),
	}}
}

// Handle implements pipeline.Sink: it returns when the alert is durable, or as
// durable as the disk lets it be.
func (r *reporter) Handle(s pipeline.Step) {
	m := &r.models[s.Model]
	alert := r.alert(m, s)
	if s.Event.Phase == event.Begin {
		m.event = ""
	}
	alert.Event = m.event
	r.attach(alert, s)
	r.look(alert, s)
	err := r.box.Put(alert)
	m.event = alert.Event
	r.pictures.link(alert)
	r.enqueue.Since(s.Decided)
	r.note(alert, err)
	r.light(s.Event.Phase)
}

// alert fills everything but the event id and the picture.
func (r *reporter) alert(m *reported, s pipeline.Step) *wire.Alert {
	e := s.Event
	a := &wire.Alert{
		Header: r.id.head(e.At), Task: m.task, Phase: wire.Phase(e.Phase.String()), Revision: e.Revision, Exercise: r.id.exercise,
		Label: m.labels[e.Label], Started: wire.At(e.Started),
		Evidence: wire.Evidence{
			Agree: e.Agree, Window: e.Window, Score: float64(e.Raw), Calibrated: float64(e.Score), Peak: float64(e.Peak),
			Threshold: float64(e.Threshold), Release: float64(e.Release), DwellMS: e.Dwell.Milliseconds(), Model: m.model,
		},
	}
	if e.Phase == event.End {
		a.Ended = wire.At(e.At)
	}
	for i, label := range m.labels {
		if i < len(s.Scores) {
			a.Evidence.Scores = append(a.Evidence.Scores, wire.Score{Label: label, Score: float64(s.Scores[i])})
		}
	}
	return a
}

// attach keeps the picture behind the step. A picture that cannot be kept
// never holds back the alert.
func (r *reporter) attach(a *wire.Alert, s pipeline.Step) {
	picture, err := r.pictures.save(snapshotName(a), s.Snapshot)
	r.health.Set(health.SnapshotFailing, health.Warning, err)
	a.Evidence.Snapshot = picture
}

// look adds what is known of where the finding lies, in the frame and in the world.
func (r *reporter) look(a *wire.Alert, s pipeline.Step) {
	e := &a.Evidence
	middle := 0.5
	if known := s.Result; known != nil && s.Heat != nil {
		if known.Measured {
			e.OOD = &wire.OOD{Score: float64(known.Distance), Limit: float64(known.Limit)}
		}
		if known.Segmented {
			e.Area = float64(known.Area)
		}
		if part, ok := predict.Focus(known, s.Heat); ok {
			e.Box = boxOf(part)
			middle = e.Box.X + e.Box.W/2
		}
	}
	if r.where != nil {
		fix := r.where.Fix(time.Now())
		e.Position, e.View = fix.Position, position.View(fix, r.fov, middle)
	}
	a.Muted = r.mutes != nil && r.mutes.Cover(a.Task, e.Position, e.View, time.Now())
	r.draw(a, s)
}

// boxOf keeps a part of the frame within the frame.
func boxOf(p predict.Rect) *wire.Box {
	unit := func(v float32) float64 { return min(max(float64(v), 0), 1) }
	b := &wire.Box{X: unit(p.X), Y: unit(p.Y)}
	b.W, b.H = min(unit(p.W), 1-b.X), min(unit(p.H), 1-b.Y)
	return b
}

// draw adds a small picture with the explanation drawn in; it draws into the step's frame,
// which nobody needs any more. An alert goes without one rather than not at all.
func (r *reporter) draw(a *wire.Alert, s pipeline.Step) {
	if r.thumb == 0 || r.profile == nil || !r.profile.thumb(s.Event.Phase) || s.Snapshot == nil || len(s.Snapshot.Pix) == 0 {
		return
	}
	if s.Result != nil && s.Heat != nil {
		predict.Draw(s.Snapshot, s.Result, s.Heat)
	}
	picture, err := fit(s.Snapshot, r.thumb)
	if err != nil {
		r.log.Warn("alert without a thumbnail", "error", err)
		return
	}
	a.Evidence.Thumb = picture.jpeg
}

func (r *reporter) note(a *wire.Alert, err error) {
	switch {
	case errors.Is(err, outbox.ErrNotDurable):
		r.log.Warn("alert kept in memory only", "event", a.Event, "error", err) // a condition, told by the outbox itself
	case err != nil:
		r.health.Raise(health.AlertRefused, health.Alarm, err.Error())
		r.log.Error("alert refused", "task", a.Task, "phase", a.Phase, "error", err)
		return
	}
	r.log.Info("alert", "task", a.Task, "phase", a.Phase, "label", a.Label, "event", a.Event, "revision", a.Revision,
		"calibrated", a.Evidence.Calibrated, "agree", a.Evidence.Agree, "window", a.Evidence.Window)
}

// light keeps the indicator on while any event is active.
func (r *reporter) light(p event.Phase) {
	switch p {
	case event.Begin:
		r.active++
	case event.End:
		r.active--
	}
	if r.indicate != nil && p != event.Update {
		r.indicate(r.active > 0)
	}
}

var _ pipeline.Sink = (*reporter)(nil)
