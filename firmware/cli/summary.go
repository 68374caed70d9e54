package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// summary collects what came back during a demo.
type summary struct {
	alerts  alertCounts
	visible sight

	boot    string
	started time.Time    // the instant that MonoNS of the drone counts from
	models  []wire.Model // of the last statistics

	stages   map[string]*latency.Histogram
	received latency.Histogram // capture to received, alerts
	frames   wire.Frames
	phases   map[string]map[string]bool // task, then phases seen
	events   map[string]int             // events by task
	labels   map[string]bool
	landed   chan struct{} // closed by the offline status of this boot
}

func newSummary(boot string, started time.Time) *summary {
	return &summary{
		boot: boot, started: started, stages: make(map[string]*latency.Histogram), landed: make(chan struct{}),
		phases: map[string]map[string]bool{"fire": {}, "gesture": {}}, events: make(map[string]int), labels: make(map[string]bool),
		visible: newSight(),
	}
}

// Handle implements ground.Handler.
func (s *summary) Handle(r ground.Received) {
	if r.Message == nil || r.Message.Head().Boot != s.boot {
		return
	}
	switch m := r.Message.(type) {
	case *wire.Alert:
		if r.Entry != nil { // else it is not on disk and comes again
			s.alert(m, r.At)
		}
	case *wire.Stats:
		s.stats(m)
	case *wire.Status:
		if m.State == wire.Offline {
			close(s.landed)
		}
	}
}

// alert counts an alert. Drone and receiver share this process, so the time
// from capture is measured on one monotonic clock.
func (s *summary) alert(a *wire.Alert, at time.Time) {
	s.alerts.Received++
	s.received.Record(at.Sub(s.started) - time.Duration(a.MonoNS))
	s.visible.expect(a, s.started.Add(time.Duration(a.MonoNS)))
	s.phases[string(a.Task)][string(a.Phase)] = true
	s.labels[string(a.Task)+" "+a.Label] = true
	if a.Phase == wire.PhaseBegin {
		s.events[string(a.Task)]++
	}
}

func (s *summary) stats(m *wire.Stats) {
	s.frames.Captured += m.Frames.Captured
	s.frames.Replaced += m.Frames.Replaced
	s.frames.Inferred += m.Frames.Inferred
	s.frames.Dropped += m.Frames.Dropped
	s.frames.Errors += m.Frames.Errors
	if len(m.Models) > 0 {
		s.models = m.Models
	}
	for _, stage := range m.Stages {
		h := s.stages[stage.Name]
		if h == nil {
			h = new(latency.Histogram)
			s.stages[stage.Name] = h
		}
		_ = h.AddWire(stage.Histogram) // decoded messages hold valid histograms
	}
}

// waitLanded waits until the drone's farewell is back, at most for limit.
func (s *summary) waitLanded(limit time.Duration) {
	select {
	case <-s.landed:
	case <-time.After(limit):
	}
}

// close counts what the drone raised and what the store of the station holds.
func (s *summary) close(ctx context.Context, raised uint64, db *store.Store) error {
	events, err := db.Events(ctx, store.Query{Limit: maxStored})
	if err != nil {
		return err
	}
	s.alerts.Raised, s.alerts.Events, s.alerts.Shown = raised, len(events), s.visible.shown()
	for i := range events {
		s.alerts.Stored += uint64(events[i].Steps)
	}
	return nil
}

const maxStored = 5000 // events of a demo that are counted

// balanced says whether every alert that was raised is stored, was received and is shown.
func (s *summary) balanced() error {
	a := s.alerts
	if a.Raised == a.Stored && a.Stored == a.Received && a.Shown == a.Events || a.Events == maxStored {
		return nil
	}
	return fmt.Errorf("demo: %d alerts raised, %d stored, %d received; %d events stored, %d shown: some were lost", a.Raised, a.Stored, a.Received, a.Events, a.Shown)
}

// complete says what a whole flight should have shown and did not.
func (s *summary) complete() error {
	if err := s.balanced(); err != nil {
		return err
	}
	var missing []string
	for _, phase := range []string{"begin", "update", "end"} {
		if !s.phases["fire"][phase] {
			missing = append(missing, "fire "+phase)
		}
	}
	if !s.phases["gesture"]["begin"] {
		missing = append(missing, "gesture begin")
	}
	if len(missing) > 0 {
		return fmt.Errorf("demo: a whole flight came back without %s; try a faster machine, --fps 5 or --precision fp32", strings.Join(missing, ", "))
	}
	return nil
}

// summaryStages are printed in the order of a frame's way.
var summaryStages = []string{"capture", "wait", "preprocess", "gate", "localise", "crop", "infer", "segment", "decide", "capture-decision", "enqueue", "publish", "capture-received", "capture-page"}

// alertCounts follow the alerts of a demo from the drone to the page.
type alertCounts struct {
	Raised   uint64 `json:"raised"`   // put into the outbox of the drone
	Stored   uint64 `json:"stored"`   // on the disk of the station
	Received uint64 `json:"received"` // handed on by the station, each once
	Events   int    `json:"events"`   // stored; an event has one alert or more
	Shown    int    `json:"shown"`    // events that a reader of the page was sent
}

// summaryLine is the last object of demo --json.
type summaryLine struct {
	Type      string                 `json:"type"` // "summary"
	Seconds   float64                `json:"seconds"`
	Frames    wire.Frames            `json:"frames"`
	FPS       float64                `json:"fps"`
	Events    map[string]int         `json:"events"`
	Alerts    alertCounts            `json:"alerts"`
	Seen      []string               `json:"seen"`
	LatencyMS map[string]percentiles `json:"latency_ms"`
	Models    []wire.Model           `json:"models"`
}

func (s *summary) line(flown time.Duration) summaryLine {
	l := summaryLine{
		Type: "summary", Seconds: flown.Seconds(), Frames: s.frames, FPS: float64(s.frames.Inferred) / flown.Seconds(),
		Events: s.events, Alerts: s.alerts, Models: s.models,
		LatencyMS: map[string]percentiles{"capture-received": percentilesOf(&s.received), "capture-page": percentilesOf(s.visible.latency())},
	}
	for name, h := range s.stages {
		l.LatencyMS[name] = percentilesOf(h)
	}
	for label := range s.labels {
		l.Seen = append(l.Seen, label)
	}
	slices.Sort(l.Seen)
	return l
}

func (s *summary) print(out io.Writer, json bool, flown time.Duration) error {
	l := s.line(flown)
	if json {
		return emit(out, l)
	}
	fmt.Fprintf(out, "\n%.1f s, %d frames captured, %d replaced by newer ones, %d inferred (%.1f a second), %d errors\n",
		l.Seconds, l.Frames.Captured, l.Frames.Replaced, l.Frames.Inferred, l.FPS, l.Frames.Errors)
	fmt.Fprintf(out, "%d fire event(s), %d gesture event(s); seen: %s\n", l.Events["fire"], l.Events["gesture"], strings.Join(l.Seen, ", "))
	fmt.Fprintf(out, "%d alert(s) raised, %d stored, %d received; %d of %d event(s) shown on the page\n",
		l.Alerts.Raised, l.Alerts.Stored, l.Alerts.Received, l.Alerts.Shown, l.Alerts.Events)
	for _, m := range l.Models {
		fmt.Fprintf(out, "model %s: asked for %s on %s, ran %s on %s\n", m.Name, m.RequestedPrecision, m.RequestedProvider, m.EffectivePrecision, m.EffectiveProvider)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nms\tp50\tp90\tp99\tmax\tcount\t")
	for _, name := range summaryStages {
		p, ok := l.LatencyMS[name]
		if ok {
			fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t\n", name, p.P50, p.P90, p.P99, p.Max, p.Count)
		}
	}
	return w.Flush()
}
