package benchmark

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"emberwing/firmware/engine"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/infer/ort"
	"emberwing/quant"
	"emberwing/quant/calib"
	"emberwing/quant/dynamic"
	"emberwing/quant/graph"
	"emberwing/quant/half"
	"emberwing/quant/onnx"
	"emberwing/quant/pictures"
	"emberwing/quant/qdq"
	"emberwing/quant/recipe"
)

// Maker makes the candidates of named modes. One calibration serves all modes
// that need one.
type Maker struct {
	Engine   *engine.Engine
	Model    *infer.Model
	Provider infer.Provider // that is asked for first
	// Calibration lists pictures like those in flight; none: noise, and the
	// result is speed only.
	Calibration []string
	Profile     qdq.Profile // what INT8 files are written for
	Progress    quant.Progress

	prepared *recipe.Prepared
}

// static is the beginning of the names of modes that are calibrated here.
const static = "int8-"

// Modes lists the names that Make knows.
func Modes() []string {
	modes := []string{"fp32", "fp16", "int8", "int8-dynamic", static + recipe.Auto}
	for _, m := range calib.Methods() {
		modes = append(modes, static+m.String())
	}
	return modes
}

// Make returns the candidate of a mode.
func (m *Maker) Make(ctx context.Context, mode string) (Candidate, error) {
	make := m.maker(mode)
	if make == nil {
		return Candidate{}, fmt.Errorf("make mode: got %q, want one of %s", mode, strings.Join(Modes(), ", "))
	}
	c, err := make(ctx)
	if err != nil {
		return c, fmt.Errorf("make mode %s: %w", mode, err)
	}
	c.Mode = mode
	return c, ctx.Err()
}

// maker returns what makes a mode, nil for an unknown one.
func (m *Maker) maker(mode string) func(context.Context) (Candidate, error) {
	switch mode {
	case "fp32", "int8":
		return func(context.Context) (Candidate, error) {
			return Shipped(m.Model, infer.Precision(mode), m.Provider)
		}
	case "fp16":
		return m.half
	case "int8-dynamic":
		return m.dynamic
	}
	method, ok := strings.CutPrefix(mode, static)
	if _, err := calib.ParseMethod(method); !ok || err != nil && method != recipe.Auto {
		return nil
	}
	return func(ctx context.Context) (Candidate, error) { return m.static(ctx, method) }
}

// float reads the FP32 file of the model.
func (m *Maker) float() (*onnx.Model, error) {
	c, err := Shipped(m.Model, infer.FP32, m.Provider)
	if err != nil {
		return nil, err
	}
	return onnx.Parse(c.Data, onnx.Limits{})
}

// dynamic quantises without calibration.
func (m *Maker) dynamic(context.Context) (Candidate, error) {
	float, err := m.float()
	if err != nil {
		return Candidate{}, err
	}
	written, _, err := dynamic.Write(float)
	if err != nil {
		return Candidate{}, err
	}
	return Candidate{Label: "made here: weights int8, activations measured at each run", Precision: infer.INT8,
		Data: written.Bytes()}, nil
}

// half takes FP16 from a provider that has it, and imitates it elsewhere.
func (m *Maker) half(context.Context) (Candidate, error) {
	if m.Provider != infer.CPU && m.Engine.Runtime().Available(m.Provider) == nil {
		p := infer.FP16
		if !slices.Contains(m.Model.Precisions(), p) {
			p = infer.FP32 // TensorRT builds FP16 from it
		}
		c, err := Shipped(m.Model, p, m.Provider)
		c.Precision = infer.FP16
		return c, err
	}
	return m.emulated()
}

// emulated rounds to FP16 after every operator; the sums inside are FP32's. Its
// size is that of the real FP16 file.
func (m *Maker) emulated() (Candidate, error) {
	imitation, findings, err := m.rewrite(half.Emulate)
	if err != nil {
		return Candidate{}, err
	}
	real, _, err := m.rewrite(half.Convert)
	if err != nil {
		return Candidate{}, err
	}
	c := Candidate{Label: "made here: FP32 with FP16 rounding", Precision: infer.FP32, Data: imitation,
		Size: int64(len(real))}
	c.Emulated = "constants and results of operators are rounded to FP16, sums inside them are FP32; the provider has " +
		"no FP16"
	if len(findings) > 0 {
		c.Emulated += fmt.Sprintf("; %d findings, the first: %v", len(findings), findings[0])
	}
	return c, nil
}

// rewrite brings the FP32 file into canonical form and changes it.
func (m *Maker) rewrite(change func(*graph.Graph, half.Options) ([]half.Finding, error)) ([]byte, []half.Finding,
	error) {
	float, err := m.float()
	if err != nil {
		return nil, nil, err
	}
	g, _, err := graph.Canonical(float)
	if err != nil {
		return nil, nil, err
	}
	findings, err := change(g, half.Options{})
	if err != nil {
		return nil, nil, err
	}
	model, err := g.Model()
	if err != nil {
		return nil, nil, err
	}
	return model.Bytes(), findings, nil
}

// static calibrates once and writes with one method.
func (m *Maker) static(ctx context.Context, method string) (Candidate, error) {
	if err := m.prepare(ctx); err != nil {
		return Candidate{}, err
	}
	m.prepared.Job.Method = method
	w, err := m.prepared.Write(ctx)
	if err != nil {
		return Candidate{}, err
	}
	c := Candidate{Precision: infer.INT8, Data: w.Model.Bytes()}
	c.Label = fmt.Sprintf("made here for %s by %s, %d pictures", m.Profile.Name, w.Choice.Method, len(m.Calibration))
	if len(m.Calibration) == 0 {
		c.SpeedOnly = "calibrated on noise: name a folder of pictures with --calib"
	}
	return c, nil
}

// prepare measures the float graph, once.
func (m *Maker) prepare(ctx context.Context) error {
	if m.prepared != nil {
		return nil
	}
	float, err := m.float()
	if err != nil {
		return err
	}
	samples, err := m.samples()
	if err != nil {
		return err
	}
	job := &recipe.Job{
		Model: float, Input: quant.Input{Name: m.Model.Input.Name, Dims: m.Model.Input.Shape},
		Open:    Opener(m.Engine.Runtime(), 1),
		Samples: samples, Profile: m.Profile, Progress: m.Progress,
	}
	m.prepared, err = job.Prepare(ctx)
	return err
}

// samples are the calibration pictures, or noise.
func (m *Maker) samples() (quant.Samples, error) {
	if len(m.Calibration) == 0 {
		return noiseSamples(16), nil
	}
	spec, err := predict.Spec(m.Model.Input)
	if err != nil {
		return nil, err
	}
	return pictures.New(m.Calibration, spec)
}

// noiseSamples are inputs of uniform noise.
type noiseSamples int

// Len implements quant.Samples.
func (n noiseSamples) Len() int { return int(n) }

// ID implements quant.Samples.
func (n noiseSamples) ID() string { return fmt.Sprintf("noise/%d", int(n)) }

// Load implements quant.Samples.
func (n noiseSamples) Load(i int, dst []float32) error {
	noise(dst, uint64(i))
	return nil
}

// Opener opens graphs on the runtime.
func Opener(rt *ort.Runtime, threads int) quant.Opener {
	return func(model []byte, inputs []quant.Input, outputs []string) (quant.Session, error) {
		o := ort.NetOptions{Outputs: outputs, Threads: threads}
		for _, in := range inputs {
			o.Inputs = append(o.Inputs, ort.NetInput{Name: in.Name, Shape: in.Dims})
		}
		n, err := rt.OpenNet(model, o)
		if err != nil {
			return nil, err // a nil *Net in the interface would not be nil
		}
		return n, nil
	}
}

// quantised are the operators that make a file an INT8 one.
var quantised = []string{"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv",
	"QLinearMatMul"}

// precisionOf finds out what a model computes in.
func precisionOf(model *onnx.Model) infer.Precision {
	for _, n := range model.Graph().Nodes() {
		if slices.Contains(quantised, n.Op()) {
			return infer.INT8
		}
	}
	for _, t := range model.Graph().Initializers() {
		if t.Type() == onnx.Float16 {
			return infer.FP16
		}
	}
	return infer.FP32
}
