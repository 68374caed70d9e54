//go:build cgo && linux

package ort

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	onnx "github.com/yalue/onnxruntime_go"

	"emberwing/infer"
)

var _ infer.Session = (*session)(nil)

// session implements infer.Session. All slots share one model in memory.
type session struct {
	rt     *Runtime
	core   *onnx.DynamicAdvancedSession
	slots  []*slot
	report infer.Report

	open   sync.RWMutex // held for reading while a slot runs
	closed bool
}

// slot is one input/output pair. Its memory belongs to Go and is pinned,
// because the library keeps its address.
type slot struct {
	in, out   []float32
	extra     [infer.NumExtras][]float32 // nil where the manifest declares none
	pins      runtime.Pinner
	inName    string
	inValue   *value
	values    []*value // all, for free
	binding   *onnx.IoBinding
	isRunning atomic.Bool
}

// value is a tensor that hands out its handle without allocating.
type value struct {
	*onnx.Tensor[float32]
	handle *onnx.ValueInternalData
}

// GetInternals returns the handle made once.
func (v *value) GetInternals() *onnx.ValueInternalData { return v.handle }

// newSlot allocates, pins and binds the memory of one slot.
func newSlot(core *onnx.DynamicAdvancedSession, m *infer.Manifest) (*slot, error) {
	sl := &slot{inName: m.Input.Name}
	err := sl.build(core, m)
	if err != nil {
		return nil, errors.Join(err, sl.free())
	}
	return sl, nil
}

func (sl *slot) build(core *onnx.DynamicAdvancedSession, m *infer.Manifest) (err error) {
	if sl.binding, err = core.CreateIoBinding(); err != nil {
		return err
	}
	if sl.in, sl.inValue, err = sl.tensor(m.Input.Shape); err != nil {
		return err
	}
	if err := sl.binding.BindInput(sl.inName, sl.inValue); err != nil {
		return err
	}
	if sl.out, err = sl.output(m.Output.Name, m.Output.Shape); err != nil {
		return err
	}
	for k := range infer.NumExtras {
		if x := k.Declared(m); x != nil {
			if sl.extra[k], err = sl.output(x.Name, x.Shape); err != nil {
				return err
			}
		}
	}
	return nil
}

// output makes the tensor of one graph output and binds it.
func (sl *slot) output(name string, shape []int64) ([]float32, error) {
	data, v, err := sl.tensor(shape)
	if err != nil {
		return nil, err
	}
	return data, sl.binding.BindOutput(name, v)
}

// tensor makes a tensor over pinned Go memory, which free releases.
func (sl *slot) tensor(shape []int64) ([]float32, *value, error) {
	s := onnx.NewShape(shape...)
	data := make([]float32, s.FlattenedSize())
	sl.pins.Pin(&data[0])
	t, err := onnx.NewTensor(s, data)
	if err != nil {
		return nil, nil, err
	}
	v := &value{t, t.GetInternals()}
	sl.values = append(sl.values, v)
	return data, v, nil
}

// run computes the output. The input is bound again because that is what
// copies it to the memory of a GPU; on the CPU it only stores the pointer.
func (sl *slot) run(core *onnx.DynamicAdvancedSession) error {
	if err := sl.binding.BindInput(sl.inName, sl.inValue); err != nil {
		return err
	}
	return core.RunWithBinding(sl.binding)
}

// free releases the slot, also one that is only half built.
func (sl *slot) free() error {
	var errs []error
	if sl.binding != nil {
		errs = append(errs, sl.binding.Destroy())
	}
	for _, v := range sl.values {
		errs = append(errs, v.Destroy())
	}
	sl.pins.Unpin()
	return errors.Join(errs...)
}

// Input implements infer.Session.
func (s *session) Input(i int) []float32 {
	if i < 0 || i >= len(s.slots) {
		return nil
	}
	return s.slots[i].in
}

// Output implements infer.Session.
func (s *session) Output(i int) []float32 {
	if i < 0 || i >= len(s.slots) {
		return nil
	}
	return s.slots[i].out
}

// Extra implements infer.Session.
func (s *session) Extra(i int, k infer.ExtraKind) []float32 {
	if i < 0 || i >= len(s.slots) || k < 0 || k >= infer.NumExtras {
		return nil
	}
	return s.slots[i].extra[k]
}

// Run implements infer.Session.
func (s *session) Run(i int) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.closed {
		return fmt.Errorf("run model %s: %w", s.report.Model, os.ErrClosed)
	}
	if i < 0 || i >= len(s.slots) {
		return &infer.Error{Op: "run model", File: s.report.Model, Err: infer.ErrSlot,
			Got: fmt.Sprint(i), Want: fmt.Sprintf("0..%d", len(s.slots)-1)}
	}
	sl := s.slots[i]
	if !sl.isRunning.CompareAndSwap(false, true) {
		return &infer.Error{Op: "run model", File: s.report.Model, Err: infer.ErrBusy, Got: fmt.Sprintf("slot %d", i)}
	}
	defer sl.isRunning.Store(false)
	if err := sl.run(s.core); err != nil {
		return newError("run model "+s.report.Model, err, takeLog())
	}
	return nil
}

// Report implements infer.Session.
func (s *session) Report() infer.Report { return s.report }

// Close implements infer.Session.
func (s *session) Close() error {
	s.open.Lock()
	defer s.open.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.rt.release()
	return s.free()
}

// free releases slots before the session they are bound to.
func (s *session) free() error {
	var errs []error
	for _, sl := range s.slots {
		errs = append(errs, sl.free())
	}
	return errors.Join(append(errs, s.core.Destroy())...)
}
