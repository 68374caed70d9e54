package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"emberwing/firmware/classify"
	"emberwing/firmware/engine"
	"emberwing/firmware/predict"
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
	method    string
}

func (m *modelFlags) register(c *cobra.Command) {
	m.registerModel(c)
	c.Flags().StringVar(&m.precision, "precision", "int8", "fp32, fp16 or int8")
}

// registerModel adds everything but the precision, for commands that run
// several.
func (m *modelFlags) registerModel(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(
		&m.model,
		"model",
		"fire",
		"shipped model ("+strings.Join(engine.Shipped(), ", ")+") or path of a manifest.json",
	)
	f.StringVar(&m.method, "method", "", "of int8 files: ptq or qat; any by default")
	f.StringSliceVar(
		&m.providers,
		"provider",
		[]string{"tensorrt", "cuda", "cpu"},
		"execution providers in order of preference",
	)
	f.BoolVar(&m.strict, "strict", false, "make any fallback of provider or precision an error")
	f.IntVar(&m.threads, "threads", 0, "inference threads; 0 is one less than the cores, at least 1")
	f.StringVar(&m.library, "library", "", "path of libonnxruntime; found beside the program by default")
}

func (m *modelFlags) options() infer.Options {
	o := infer.Options{
		Precision: infer.Precision(m.precision),
		Method:    infer.Method(m.method),
		Strict:    m.strict,
		Threads:   m.threads,
		Slots:     1,
	}
	for _, p := range m.providers {
		o.Providers = append(o.Providers, infer.Provider(p))
	}
	return o
}

// runner is an open model, ready to classify.
type runner struct {
	*classify.Classifier
	*engine.Loaded
	engine *engine.Engine
	model  *infer.Model
}

// open loads library and model. Close releases both.
func (m *modelFlags) open(use predict.Options) (*runner, error) {
	e, err := engine.New(m.library)
	if err != nil {
		return nil, err
	}
	l, err := e.Load(m.model, m.options(), use)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &runner{classify.New(l.Predictor), l, e, l.Model}, nil
}

func (r *runner) Close() error { return errors.Join(r.Loaded.Close(), r.engine.Close()) }

// modelInfo is how results name the model that made them.
type modelInfo struct {
	Name               string          `json:"name"`
	Version            string          `json:"version,omitempty"`
	SHA256             string          `json:"sha256"`
	Method             infer.Method    `json:"method,omitempty"`
	RequestedPrecision infer.Precision `json:"requested_precision"`
	EffectivePrecision infer.Precision `json:"effective_precision"`
	RequestedProvider  infer.Provider  `json:"requested_provider"`
	EffectiveProvider  infer.Provider  `json:"effective_provider"`
	Fallback           string          `json:"fallback,omitempty"`
	Runtime            string          `json:"runtime"`
	Threads            int             `json:"threads"`
	With               []modelInfo     `json:"with,omitempty"` // gate, localiser, mixed-in model, segmenter
}

// info describes the model of a runner, with its companions.
func (r *runner) info() modelInfo {
	reports := r.Reports()
	i := infoOf(reports[0])
	i.Version = r.model.Version
	for _, c := range reports[1:] {
		i.With = append(i.With, infoOf(c))
	}
	return i
}

func infoOf(s infer.Report) modelInfo {
	return modelInfo{
		Name: s.Model, SHA256: s.SHA256, Method: s.Method,
		RequestedPrecision: s.RequestedPrecision, EffectivePrecision: s.Precision,
		RequestedProvider: s.RequestedProvider, EffectiveProvider: s.Provider,
		Fallback: s.Fallback, Runtime: s.Library, Threads: s.Threads,
	}
}

// String is one line for people.
func (i modelInfo) String() string {
	s := fmt.Sprintf(
		"model %s %s, %s on %s, ONNX Runtime %s, %d thread(s)",
		i.Name,
		i.Version,
		i.EffectivePrecision,
		i.EffectiveProvider,
		i.Runtime,
		i.Threads,
	)
	for _, c := range i.With {
		s += " + " + c.Name
	}
	if i.Fallback != "" {
		s += fmt.Sprintf("; asked for %s on %s: %s", i.RequestedPrecision, i.RequestedProvider, i.Fallback)
	}
	return s
}
