package wire

import (
	"fmt"
	"math"
)

// Stats reports one period of work. Counters count within the period, except those
// of Telemetry, which count since the daemon started.
type Stats struct {
	Header
	PeriodMS  int64    `json:"period_ms"` // length of the period, ms
	Frames    Frames   `json:"frames"`    //
	FPS       float64  `json:"fps"`       // frames inferred per second
	Stages    []Stage  `json:"stages"`    // in the order of the pipeline
	Models    []Model  `json:"models"`    //
	Telemetry Delivery `json:"telemetry"` //
}

// Frames counts what became of the frames of a period.
type Frames struct {
	Captured uint64 `json:"captured"` // arrived from the source
	Replaced uint64 `json:"replaced"` // overwritten in the mailbox by a newer one
	Inferred uint64 `json:"inferred"` // went through a model
	Dropped  uint64 `json:"dropped"`  // lost for want of a buffer, or torn
	Errors   uint64 `json:"errors"`   // failed in preprocessing or inference
}

// Stage is the latency of one stage of the pipeline.
type Stage struct {
	Name      string    `json:"name"`
	Histogram Histogram `json:"histogram"`
}

// Histogram travels as bucket counts, so that a viewer can merge drones and periods
// before it computes percentiles. SCHEMA.md gives the bucket bounds; package latency
// computes with them.
type Histogram struct {
	SubBits int      `json:"sub_bits"` // 2^SubBits linear buckets per power of two
	Count   uint64   `json:"count"`    // values recorded = sum of Counts
	SumNS   int64    `json:"sum_ns"`   // sum of values, ns
	MinNS   int64    `json:"min_ns"`   // smallest value, ns; 0 when Count is 0
	MaxNS   int64    `json:"max_ns"`   // largest value, ns
	First   int      `json:"first"`    // index of the bucket that Counts begins with
	Counts  []uint64 `json:"counts"`   // from the first to the last occupied bucket
}

// MaxBuckets bounds First+len(Counts).
const MaxBuckets = 4096

// Delivery counts what telemetry did since the daemon started.
type Delivery struct {
	Queued      uint64 `json:"queued"`      // messages handed to the outbox
	Sent        uint64 `json:"sent"`        // publish attempts
	Acked       uint64 `json:"acked"`       // messages acknowledged and deleted
	Resent      uint64 `json:"resent"`      // attempts beyond the first
	Dropped     uint64 `json:"dropped"`     // bulk messages that gave way to newer ones
	AlertDepth  uint64 `json:"alert_depth"` // alerts waiting now
	BulkDepth   uint64 `json:"bulk_depth"`  // bulk messages waiting now
	BulkBytes   uint64 `json:"bulk_bytes"`  // their payload, bytes
	Connections uint64 `json:"connections"` // times the link came up

	Merged      uint64 `json:"merged,omitempty"`       // statistics joined with others to save room
	Dead        uint64 `json:"dead,omitempty"`         // messages set aside because no broker takes them
	AlertsLost  uint64 `json:"alerts_lost,omitempty"`  // alerts that gave way because disk and memory were full
	AlertMemory uint64 `json:"alert_memory,omitempty"` // alerts waiting now that are not on disk
}

// Topic implements Message.
func (s *Stats) Topic() Topic { return s.topic(KindStats, "") }

func (s *Stats) kind() Kind { return KindStats }

func (s *Stats) fillLists() {
	s.Stages, s.Models = notNil(s.Stages), notNil(s.Models)
	for i := range s.Stages {
		h := &s.Stages[i].Histogram
		h.Counts = notNil(h.Counts)
	}
}

// notNil makes JSON say [] instead of null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Validate implements Message.
func (s *Stats) Validate() error {
	var c checker
	s.Header.check(&c, KindStats)
	c.intRange("period_ms", s.PeriodMS, 0, math.MaxInt32)
	c.in("frames", s.Frames.check)
	c.floatRange("fps", s.FPS, 0, 1e6)
	c.list("stages", len(s.Stages))
	for i := range s.Stages {
		c.in(fmt.Sprintf("stages[%d]", i), s.Stages[i].check)
	}
	c.models(s.Models)
	c.in("telemetry", s.Telemetry.check)
	return c.err
}

func (c *checker) models(models []Model) {
	c.list("models", len(models))
	for i := range models {
		c.in(fmt.Sprintf("models[%d]", i), models[i].check)
	}
}

func (f *Frames) check(c *checker) {
	c.count("captured", f.Captured)
	c.count("replaced", f.Replaced)
	c.count("inferred", f.Inferred)
	c.count("dropped", f.Dropped)
	c.count("errors", f.Errors)
}

func (s *Stage) check(c *checker) {
	c.name("name", s.Name)
	c.in("histogram", s.Histogram.check)
}

func (h *Histogram) check(c *checker) {
	c.intRange("sub_bits", int64(h.SubBits), 1, 8)
	c.count("count", h.Count)
	c.intRange("sum_ns", h.SumNS, 0, MaxSeq)
	c.intRange("max_ns", h.MaxNS, 0, MaxSeq)
	c.intRange("min_ns", h.MinNS, 0, h.MaxNS)
	c.intRange("first", int64(h.First), 0, MaxBuckets-1)
	if len(h.Counts) > MaxBuckets-h.First {
		c.fail("counts", fmt.Sprintf("%d buckets from %d", len(h.Counts), h.First), fmt.Sprintf("at most %d in all",
			MaxBuckets))
		return
	}
	var sum uint64
	for _, n := range h.Counts {
		c.count("counts", n)
		sum = min(sum+n, 2*MaxSeq)
	}
	if c.err == nil && sum != h.Count {
		c.fail("count", fmt.Sprint(h.Count), fmt.Sprintf("%d, the sum of counts", sum))
	}
}

func (d *Delivery) check(c *checker) {
	c.count("queued", d.Queued)
	c.count("sent", d.Sent)
	c.count("acked", d.Acked)
	c.count("resent", d.Resent)
	c.count("dropped", d.Dropped)
	c.count("alert_depth", d.AlertDepth)
	c.count("bulk_depth", d.BulkDepth)
	c.count("bulk_bytes", d.BulkBytes)
	c.count("connections", d.Connections)
	c.count("merged", d.Merged)
	c.count("dead", d.Dead)
	c.count("alerts_lost", d.AlertsLost)
	c.count("alert_memory", d.AlertMemory)
}
