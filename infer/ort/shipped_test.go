//go:build cgo && linux

package ort

import (
	"testing"

	"emberwing/infer"
	"emberwing/infer/infertest"
	"emberwing/infer/models"
)

// TestOpenShippedModels runs every shipped file on the library at hand; as a
// child of TestLibraryVersions that is every library from 1.10 on.
func TestOpenShippedModels(t *testing.T) {
	rt := load(t)
	for _, name := range models.List() {
		m, err := infer.Resolve(models.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range m.Variants {
			if v.Target != infer.AnyTarget && v.Target != infer.TargetCPU {
				continue
			}
			t.Run(name+"/"+v.String(), func(t *testing.T) { runOnce(t, rt, m, v) })
		}
	}
}

func runOnce(t *testing.T, rt *Runtime, m *infer.Model, v infer.Variant) {
	s, err := rt.Open(m, infer.Options{Precision: v.Precision, Method: v.Method, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	infertest.Fill(s.Input(0), 0)
	var res infer.Result
	if err := s.Run(0); err != nil {
		t.Fatal(err)
	}
	if !m.Is(infer.Classifier) {
		return
	}
	if err := m.Rule(v).Decide(s.Output(0), &res); err != nil {
		t.Error(err)
	}
	t.Logf("%s %.4f, logits %.4f", m.Labels[res.Label], res.Score, s.Output(0))
}
