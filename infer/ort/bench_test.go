//go:build cgo && linux

package ort

import (
	"fmt"
	"testing"

	"emberwing/infer"
	"emberwing/infer/infertest"
	"emberwing/infer/models"
)

// BenchmarkRun measures one run of each shipped model, and of the tiny model,
// which shows what a session costs besides the arithmetic.
func BenchmarkRun(b *testing.B) {
	rt := load(b)
	for _, m := range benchModels(b) {
		for _, p := range m.Precisions() {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%s/threads=%d", m.Name, p, threads), func(b *testing.B) {
					benchRun(b, rt, m, infer.Options{Precision: p, Threads: threads})
				})
			}
		}
	}
}

func benchModels(b *testing.B) []*infer.Model {
	b.Helper()
	ms := []*infer.Model{infertest.Tiny(b)}
	for _, name := range models.List() {
		m, err := infer.Resolve(models.FS, name)
		if err != nil {
			b.Fatal(err)
		}
		ms = append(ms, m)
	}
	return ms
}

func benchRun(b *testing.B, rt *Runtime, m *infer.Model, o infer.Options) {
	s, err := rt.Open(m, o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	infertest.Fill(s.Input(0), 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Report().LoadTime.Milliseconds()), "load_ms")
}
