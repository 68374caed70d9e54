package page

import (
	"slices"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// quantiles of a histogram, ns.
type quantiles struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

func quantilesOf(h *latency.Histogram) quantiles {
	return quantiles{h.Count(), h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Max()}
}

// stageView is the latency of one stage.
type stageView struct {
	Name   string    `json:"name"`
	Flight quantiles `json:"flight"` // since the drone started, as far as it was received
	Period quantiles `json:"period"` // of the latest period
}

// statsView is the performance of a drone.
type statsView struct {
	Fleet     string        `json:"fleet"`
	Drone     string        `json:"drone"`
	Received  wire.Time     `json:"received"`
	Periods   uint64        `json:"periods"` // merged into flight
	PeriodMS  int64         `json:"period_ms"`
	FPS       float64       `json:"fps"`
	Frames    wire.Frames   `json:"frames"`   // of the latest period
	Total     wire.Frames   `json:"total"`    // since the drone started, as far as it was received
	Stages    []stageView   `json:"stages"`   // in the order of the pipeline
	Unmerged  uint64        `json:"unmerged"` // histograms that could not be merged: of another shape, or too many stages
	Models    []wire.Model  `json:"models"`
	Telemetry wire.Delivery `json:"telemetry"`
}

// flightStats merges the statistics of one run of a daemon.
type flightStats struct {
	boot   string
	view   statsView
	stages []*stage
}

type stage struct {
	name   string
	flight latency.Histogram
	period quantiles
}

// received is the stage that the ground measures itself.
const received = "capture-received"

func (f *fleet) stats(d *drone, m *wire.Stats, r ground.Received) {
	if d.stats != nil && d.stats.boot != m.Boot {
		d.stats = nil
		d.delays.Reset()
	}
	if d.stats == nil {
		d.stats = &flightStats{boot: m.Boot}
	}
	d.link.PeriodMS = m.PeriodMS
	s := d.stats
	v := &s.view
	v.Fleet, v.Drone, v.Received, v.Periods = m.Fleet, m.Drone, wire.At(r.At), v.Periods+1
	v.PeriodMS, v.FPS, v.Frames, v.Models, v.Telemetry = m.PeriodMS, m.FPS, m.Frames, listOf(m.Models), m.Telemetry
	v.Total = addFrames(v.Total, m.Frames)
	for _, st := range m.Stages {
		s.merge(st, &f.scratch)
	}
	v.Stages = s.table(&d.delays)
	d.queues(m.Telemetry)
	d.series.add(sampleOf(v, d.hottest), maxSeries)
	f.board.put(key{kindStats, d.id}, v)
}

// merge adds one stage of one period; scratch is overwritten.
func (s *flightStats) merge(st wire.Stage, scratch *latency.Histogram) {
	scratch.Reset()
	if scratch.AddWire(st.Histogram) != nil {
		s.view.Unmerged++
		return
	}
	i := slices.IndexFunc(s.stages, func(k *stage) bool { return k.name == st.Name })
	if i < 0 && len(s.stages) == wire.MaxList {
		s.view.Unmerged++
		return
	}
	if i < 0 {
		i = len(s.stages)
		s.stages = append(s.stages, &stage{name: st.Name})
	}
	s.stages[i].flight.Merge(scratch)
	s.stages[i].period = quantilesOf(scratch)
}

func (s *flightStats) table(delays *latency.Histogram) []stageView {
	out := make([]stageView, 0, len(s.stages)+1)
	for _, st := range s.stages {
		out = append(out, stageView{Name: st.name, Flight: quantilesOf(&st.flight), Period: st.period})
	}
	if delays.Count() > 0 {
		out = append(out, stageView{Name: received, Flight: quantilesOf(delays)})
	}
	return out
}

func addFrames(a, b wire.Frames) wire.Frames {
	return wire.Frames{
		Captured: addCount(a.Captured, b.Captured), Replaced: addCount(a.Replaced, b.Replaced),
		Inferred: addCount(a.Inferred, b.Inferred), Dropped: addCount(a.Dropped, b.Dropped), Errors: addCount(a.Errors,
			b.Errors),
	}
}

// addCount stays within what JavaScript counts exactly.
func addCount(a, b uint64) uint64 { return min(a+b, wire.MaxSeq) }
