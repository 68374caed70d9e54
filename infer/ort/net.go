//go:build cgo && linux

package ort

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	onnx "github.com/yalue/onnxruntime_go"

	"emberwing/infer"
)

// Net runs any ONNX graph with float32 inputs on the CPU, for work on the
// bench: calibration, comparison of layers, models without a manifest. It is
// not safe for concurrent use.
type Net struct {
	rt      *Runtime
	core    *onnx.DynamicAdvancedSession
	inputs  []onnx.Value
	outputs []onnx.Value // nil until the first run has shown their shapes
	data    [][]float32  // of the inputs
	results [][]float32  // of the outputs
	names   []string     // of the outputs
	pins    runtime.Pinner
	close   sync.Once
	closed  bool
}

// OpenNet builds a Net from the bytes of an ONNX file, which it does not keep.
// Errors of the library are an *[Error]; a closed runtime is os.ErrClosed.
func (r *Runtime) OpenNet(model []byte, o NetOptions) (*Net, error) {
	if err := r.acquire(); err != nil {
		return nil, err
	}
	n := &Net{rt: r, names: o.Outputs}
	if err := n.open(model, o); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Net) open(model []byte, o NetOptions) error {
	opts, err := o.session()
	if err != nil {
		return err
	}
	defer opts.Destroy()
	names := make([]string, len(o.Inputs))
	for i, in := range o.Inputs {
		names[i] = in.Name
		if err := n.addInput(in); err != nil {
			return err
		}
	}
	takeLog() // what earlier calls have left
	if n.core, err = onnx.NewDynamicAdvancedSessionWithONNXData(model, names, o.Outputs, opts); err != nil {
		return newError("open graph", err, takeLog())
	}
	n.outputs, n.results = make([]onnx.Value, len(o.Outputs)), make([][]float32, len(o.Outputs))
	return nil
}

// addInput allocates and pins the memory of one input.
func (n *Net) addInput(in NetInput) error {
	shape := onnx.NewShape(in.Shape...)
	if shape.Validate() != nil || shape.FlattenedSize() == 0 {
		return &infer.Error{Op: "open graph: input", File: in.Name, Err: infer.ErrOptions, Got: fmt.Sprint(in.Shape),
			Want: "every dimension above 0"}
	}
	data := make([]float32, shape.FlattenedSize())
	n.pins.Pin(&data[0])
	t, err := onnx.NewTensor(shape, data)
	if err != nil {
		return err
	}
	n.inputs, n.data = append(n.inputs, t), append(n.data, data)
	return nil
}

// session builds the session options. The caller destroys them.
func (o NetOptions) session() (*onnx.SessionOptions, error) {
	opts, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	level := onnx.GraphOptimizationLevel(onnx.GraphOptimizationLevelEnableAll)
	if o.Plain {
		level = onnx.GraphOptimizationLevelDisableAll
	}
	err = errors.Join(opts.SetGraphOptimizationLevel(level), opts.SetExecutionMode(onnx.ExecutionModeSequential),
		opts.SetIntraOpNumThreads(max(1, o.Threads)), opts.SetInterOpNumThreads(1),
		opts.AddSessionConfigEntry("session.force_spinning_stop", "1"))
	if err == nil && o.Optimised != "" {
		err = opts.SetOptimizedModelFilePath(o.Optimised)
	}
	for key, value := range o.Config {
		err = errors.Join(err, opts.AddSessionConfigEntry(key, value))
	}
	if err != nil {
		return nil, errors.Join(newError("open graph", err, takeLog()), opts.Destroy())
	}
	return opts, nil
}

// Input returns the memory of input i, valid until Close: fill it, then Run.
func (n *Net) Input(i int) []float32 { return n.data[i] }

// Run computes the outputs from the inputs. The first run allocates the
// outputs; later ones reuse them, so shapes must not change between runs.
func (n *Net) Run() error {
	if n.closed {
		return fmt.Errorf("run graph: %w", os.ErrClosed)
	}
	if err := n.core.Run(n.inputs, n.outputs); err != nil {
		return errors.Join(newError("run graph", err, takeLog()), n.discard())
	}
	for i, v := range n.outputs {
		if n.results[i] != nil {
			continue
		}
		t, ok := v.(*onnx.Tensor[float32])
		if !ok {
			return &infer.Error{Op: "run graph: output", File: n.names[i], Err: infer.ErrOptions,
				Got: fmt.Sprintf("%T", v), Want: "a float32 tensor"}
		}
		n.results[i] = t.GetData()
		if len(n.results[i]) > 0 {
			n.pins.Pin(&n.results[i][0])
		}
	}
	return nil
}

// discard frees the outputs that a failed first run has left. The wrapper
// leaves a nil tensor in place of the one that failed.
func (n *Net) discard() error {
	var errs []error
	for i, v := range n.outputs {
		if n.results[i] != nil {
			continue
		}
		if t, ok := v.(*onnx.Tensor[float32]); ok && t != nil {
			errs = append(errs, t.Destroy())
		}
		n.outputs[i] = nil
	}
	return errors.Join(errs...)
}

// Output returns output i of the last Run in row-major order. The memory is
// overwritten by the next Run and freed by Close; nil before the first.
func (n *Net) Output(i int) []float32 { return n.results[i] }

// Shape returns the shape of output i, nil before the first Run.
func (n *Net) Shape(i int) []int64 {
	if n.outputs[i] == nil {
		return nil
	}
	return n.outputs[i].GetShape()
}

// Close frees everything. It is idempotent.
func (n *Net) Close() error {
	var errs []error
	n.close.Do(func() {
		n.closed = true
		for _, v := range append(n.inputs, n.outputs...) {
			if v != nil {
				errs = append(errs, v.Destroy())
			}
		}
		if n.core != nil {
			errs = append(errs, n.core.Destroy())
		}
		n.pins.Unpin()
		n.rt.release()
	})
	return errors.Join(errs...)
}
