package benchmark

import (
	"fmt"
	"path/filepath"

	"emberwing/firmware/classify"
	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/quant/bench"
	"emberwing/quant/onnx"
)

// Candidate is one mode before it is opened.
type Candidate struct {
	Mode      string // name in the report: "fp32", "int8-percentile"
	Label     string // of the file, for people
	Precision infer.Precision
	Data      []byte // the ONNX file
	Size      int64  // of the file that Data imitates; 0: of Data
	// Emulated says how the mode imitates a precision that the provider
	// lacks; its speed is not measured then.
	Emulated string
	// SpeedOnly says why its accuracy means nothing: random calibration.
	SpeedOnly string
}

// Shipped returns the candidate of a file that the manifest names.
func Shipped(m *infer.Model, p infer.Precision, on infer.Provider) (Candidate, error) {
	v, err := m.Select(p, on, "")
	if err != nil {
		return Candidate{}, err
	}
	data, err := m.Bytes(v)
	return Candidate{Mode: string(p), Label: v.File, Precision: p, Data: data}, err
}

// FromFile returns the candidate of any ONNX file, with the tensors that lie in
// files beside it; what it computes in is read from its graph.
func FromFile(mode, path string) (Candidate, error) {
	model, err := onnx.ReadFile(path, onnx.Limits{})
	if err == nil {
		model, err = model.Embed(filepath.Dir(path), onnx.Limits{})
	}
	if err != nil {
		return Candidate{}, fmt.Errorf("read model of mode %s: %w", mode, err)
	}
	return Candidate{Mode: mode, Label: filepath.Base(path), Precision: precisionOf(model), Data: model.Bytes()}, nil
}

// subject is one opened mode with what was measured of it.
type subject struct {
	Candidate
	model   *infer.Model
	session infer.Session
	judge   *classify.Classifier
	line    bench.Mode
	right   []bool
}

// open opens a candidate under the labels and preprocessing of m.
func open(e *engine.Engine, m *infer.Model, c Candidate, o infer.Options) (*subject, error) {
	v := infer.Variant{Precision: c.Precision, File: c.Label, Temperature: 1, Threshold: 0.5}
	if like, err := m.Variant(c.Precision); err == nil {
		v.Temperature, v.Threshold = like.Temperature, like.Threshold
	} else if like, err := m.Variant(infer.FP32); err == nil {
		v.Temperature, v.Threshold = like.Temperature, like.Threshold
	}
	alone, err := m.WithFile(v, c.Data)
	if err != nil {
		return nil, err
	}
	o.Precision = c.Precision
	session, err := e.OpenModel(alone, o)
	if err != nil {
		return nil, err
	}
	judge, err := classify.Alone(&alone.Manifest, session)
	if err != nil {
		session.Close()
		return nil, err
	}
	s := &subject{Candidate: c, model: alone, session: session, judge: judge}
	s.line = s.head()
	return s, nil
}

// head fills in what is known before any picture.
func (s *subject) head() bench.Mode {
	r := s.session.Report()
	if s.Size == 0 {
		s.Size = int64(len(s.Data))
	}
	return bench.Mode{
		Kind: bench.KindMode, Mode: s.Mode, File: s.Label, SHA256: r.SHA256, Bytes: s.Size,
		Provider: string(r.Provider), Computes: string(r.Precision), Fallback: r.Fallback,
		Emulated: s.Emulated, SpeedOnly: s.SpeedOnly,
		WarmUp: &bench.WarmUp{LoadMS: float64(r.LoadTime.Microseconds()) / 1e3},
	}
}
