package infertest

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"emberwing/infer"
)

var _ infer.Session = (*Fake)(nil)

// Compute fills logits from input, as a model would.
type Compute func(input, logits []float32) error

// Fake is an infer.Session in plain Go: deterministic, and able to fail on
// demand. It keeps the contract of TestSession.
type Fake struct {
	report  infer.Report
	compute Compute
	slots   []fakeSlot

	mu     sync.RWMutex // held for reading while a slot runs
	closed bool

	runs   atomic.Int64
	failAt atomic.Int64 // number of the run that fails, 0 for none
	fault  atomic.Pointer[error]
	nan    atomic.Bool
}

type fakeSlot struct {
	in, out []float32
	extra   [infer.NumExtras][]float32
	busy    atomic.Bool
}

// NewFake makes a fake for model m. compute may be nil, which answers with
// [Logits] for a model of the tiny model's shape.
func NewFake(m *infer.Manifest, o infer.Options, compute Compute) (*Fake, error) {
	o, err := o.WithDefaults(1)
	if err != nil {
		return nil, fmt.Errorf("open model %s: %w", m.Name, err)
	}
	c, err := infer.Choose(m, o.Precision, o.Method, o.Providers[0], o.Board)
	if err != nil {
		return nil, fmt.Errorf("open model %s: %w", m.Name, err)
	}
	if compute == nil {
		compute = meanColour
	}
	f := &Fake{compute: compute, slots: make([]fakeSlot, o.Slots)}
	for i := range f.slots {
		f.slots[i].in = make([]float32, size(m.Input.Shape))
		f.slots[i].out = make([]float32, size(m.Output.Shape))
		for k := range infer.NumExtras {
			if x := k.Declared(m); x != nil {
				f.slots[i].extra[k] = make([]float32, size(x.Shape))
			}
		}
	}
	f.report = infer.Report{
		Model: m.Name, SHA256: c.Variant.SHA256, Method: c.Variant.Method, Target: c.Variant.Target,
		RequestedPrecision: o.Precision, Precision: c.Effective,
		RequestedProvider: o.Providers[0], Provider: o.Providers[0], Fallback: c.Reason,
		Library: "fake", Threads: o.Threads, Slots: o.Slots,
	}
	return f, nil
}

func size(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}

// meanColour is [Logits] without allocation.
func meanColour(input, logits []float32) error {
	n := len(input) / 3
	var mean [3]float32
	for c := range mean {
		for _, x := range input[c*n : (c+1)*n] {
			mean[c] += x / float32(n)
		}
	}
	logits[0], logits[1], logits[2] = mean[0], mean[1]+0.5, mean[2]
	logits[3] = 1 - mean[0] - mean[1] - mean[2]
	return nil
}

// FailRun makes the n-th run from now (1 is the next) return err.
func (f *Fake) FailRun(n int, err error) {
	f.fault.Store(&err)
	f.failAt.Store(f.runs.Load() + int64(n))
}

// Poison makes every following run answer NaN while on is true.
func (f *Fake) Poison(on bool) { f.nan.Store(on) }

// SetReport replaces the report, e.g. to pretend a fallback.
func (f *Fake) SetReport(r infer.Report) { f.report = r }

// Runs returns the number of runs so far, failed ones included.
func (f *Fake) Runs() int { return int(f.runs.Load()) }

// Input implements infer.Session.
func (f *Fake) Input(i int) []float32 {
	if i < 0 || i >= len(f.slots) {
		return nil
	}
	return f.slots[i].in
}

// Output implements infer.Session.
func (f *Fake) Output(i int) []float32 {
	if i < 0 || i >= len(f.slots) {
		return nil
	}
	return f.slots[i].out
}

// Extra implements infer.Session. Its memory is the test's to fill.
func (f *Fake) Extra(i int, k infer.ExtraKind) []float32 {
	if i < 0 || i >= len(f.slots) || k < 0 || k >= infer.NumExtras {
		return nil
	}
	return f.slots[i].extra[k]
}

// Run implements infer.Session.
func (f *Fake) Run(i int) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return fmt.Errorf("run model %s: %w", f.report.Model, os.ErrClosed)
	}
	if i < 0 || i >= len(f.slots) {
		return &infer.Error{Op: "run model", File: f.report.Model, Err: infer.ErrSlot, Got: fmt.Sprint(i)}
	}
	s := &f.slots[i]
	if !s.busy.CompareAndSwap(false, true) {
		return &infer.Error{Op: "run model", File: f.report.Model, Err: infer.ErrBusy, Got: fmt.Sprintf("slot %d", i)}
	}
	defer s.busy.Store(false)
	if n := f.runs.Add(1); n == f.failAt.Load() {
		return *f.fault.Load()
	}
	err := f.compute(s.in, s.out)
	if f.nan.Load() {
		s.out[0] = float32(math.NaN())
	}
	return err
}

// Report implements infer.Session.
func (f *Fake) Report() infer.Report { return f.report }

// Close implements infer.Session.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
