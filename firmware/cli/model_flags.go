package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"emberwing/firmware/classify"
	"emberwing/firmware/engine"
	"emberwing/infer"
)

// modelFlags are the flags of every command that runs a model.
type modelFlags struct {
	model     string
	precision string
	providers []string
	strict    bool
	threads   int
	library   string
}

func (m *modelFlags) register(c *cobra.Command) {
	m.registerModel(c)
	c.Flags().StringVar(&m.precision, "precision", "int8", "fp32, fp16 or int8")
}

// registerModel adds everything but the precision, for commands that run
// several.
func (m *modelFlags) registerModel(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.model, "model", "fire", "shipped model ("+strings.Join(engine.Shipped(), ", ")+") or path of a manifest.json")
	f.StringSliceVar(&m.providers, "provider", []string{"tensorrt", "cuda", "cpu"}, "execution providers in order of preference")
	f.BoolVar(&m.strict, "strict", false, "make any fallback of provider or precision an error")
	f.IntVar(&m.threads, "threads", 0, "inference threads; 0 is one less than the cores, at least 1")
	f.StringVar(&m.library, "library", "", "path of libonnxruntime; found beside the program by default")
}

func (m *modelFlags) options() infer.Options {
	o := infer.Options{Precision: infer.Precision(m.precision), Strict: m.strict, Threads: m.threads, Slots: 1}
	for _, p := range m.providers {
		o.Providers = append(o.Providers, infer.Provider(p))
	}
	return o
}

// runner is an open model, ready to classify.
type runner struct {
	*classify.Classifier
	engine  *engine.Engine
	model   *infer.Model
	session infer.Session
}

// open loads library and model. Close releases both.
func (m *modelFlags) open() (*runner, error) {
	e, err := engine.New(m.library)
	if err != nil {
		return nil, err
	}
	model, session, err := e.Open(m.model, m.options())
	if err != nil {
		e.Close()
		return nil, err
	}
	c, err := classify.New(&model.Manifest, session)
	if err != nil {
		session.Close()
		e.Close()
		return nil, err
	}
	return &runner{c, e, model, session}, nil
}

func (r *runner) Close() {
	r.session.Close()
	r.engine.Close()
}

// modelInfo is how results name the model that made them.
type modelInfo struct {
	Name               string          `json:"name"`
	Version            string          `json:"version"`
	SHA256             string          `json:"sha256"`
	RequestedPrecision infer.Precision `json:"requested_precision"`
	EffectivePrecision infer.Precision `json:"effective_precision"`
	RequestedProvider  infer.Provider  `json:"requested_provider"`
	EffectiveProvider  infer.Provider  `json:"effective_provider"`
	Fallback           string          `json:"fallback,omitempty"`
	Runtime            string          `json:"runtime"`
	Threads            int             `json:"threads"`
}

func (r *runner) info() modelInfo {
	s := r.session.Report()
	return modelInfo{
		Name: r.model.Name, Version: r.model.Version, SHA256: s.SHA256,
		RequestedPrecision: s.RequestedPrecision, EffectivePrecision: s.Precision,
		RequestedProvider: s.RequestedProvider, EffectiveProvider: s.Provider,
		Fallback: s.Fallback, Runtime: s.Library, Threads: s.Threads,
	}
}

// String is one line for people.
func (i modelInfo) String() string {
	s := fmt.Sprintf("model %s %s, %s on %s, ONNX Runtime %s, %d thread(s)", i.Name, i.Version, i.EffectivePrecision, i.EffectiveProvider, i.Runtime, i.Threads)
	if i.Fallback != "" {
		s += fmt.Sprintf("; asked for %s on %s: %s", i.RequestedPrecision, i.RequestedProvider, i.Fallback)
	}
	return s
}
