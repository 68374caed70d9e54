package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/wire"
)

// TestSummarySaysHowModelsRan flies no drone: two messages of statistics and one of another boot are what came back.
func TestSummarySaysHowModelsRan(t *testing.T) {
	s := newSummary("b", time.Now())
	stats := func(boot string, captured uint64, models ...wire.Model) {
		m := &wire.Stats{Header: wire.Header{Boot: boot}, Frames: wire.Frames{Captured: captured}, Models: models}
		s.Handle(ground.Received{Message: m})
	}
	stats("b", 3, wire.Model{
		Name: "fire", RequestedPrecision: "int8", RequestedProvider: "tensorrt", EffectivePrecision: "fp32", EffectiveProvider: "cpu",
	})
	stats("b", 4)
	stats("earlier", 5, wire.Model{Name: "gesture"})
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		if err := s.print(&out, json, time.Second); err != nil {
			t.Fatal(err)
		}
		want := "model fire: asked for int8 on tensorrt, ran fp32 on cpu\n"
		if json {
			want = `"models":[{"name":"fire",`
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "gesture:") || s.frames.Captured != 7 {
			t.Errorf("json %t: got %s, want %q of seven frames", json, &out, want)
		}
	}
}
