package infertest

import (
	"errors"
	"math"
	"os"
	"sync"
	"testing"

	"emberwing/infer"
)

// Open opens the tiny model for the contract suite.
type Open func(o infer.Options) (infer.Session, error)

// TestSession checks that the sessions that open returns for the tiny model
// keep the contract of infer.Session.
func TestSession(t *testing.T, open Open) {
	t.Run("answers", func(t *testing.T) { testAnswers(t, open) })
	t.Run("slots are independent", func(t *testing.T) { testSlots(t, open) })
	t.Run("memory stays in place", func(t *testing.T) { testMemory(t, open) })
	t.Run("slot out of range", func(t *testing.T) { testRange(t, open) })
	t.Run("run allocates nothing", func(t *testing.T) { testAllocs(t, open) })
	t.Run("report", func(t *testing.T) { testReport(t, open) })
	t.Run("one slot twice at a time", func(t *testing.T) { testBusy(t, open) })
	t.Run("close", func(t *testing.T) { testClose(t, open) })
	t.Run("close while running", func(t *testing.T) { testCloseRun(t, open) })
	t.Run("refuses bad options", func(t *testing.T) { testOptions(t, open) })
}

// start opens a session that the test closes.
func start(t *testing.T, open Open, o infer.Options) infer.Session {
	t.Helper()
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Fill writes a pattern that differs for each seed.
func Fill(input []float32, seed int) {
	for i := range input {
		input[i] = float32(math.Sin(float64(i*(seed+1)))) + float32(seed)/4
	}
}

func testAnswers(t *testing.T, open Open) {
	for _, p := range []struct {
		precision infer.Precision
		tolerance float32
	}{{infer.FP32, 1e-5}, {infer.INT8, 0.1}} {
		s := start(t, open, infer.Options{Precision: p.precision})
		for seed := range 4 {
			Fill(s.Input(0), seed)
			if err := s.Run(0); err != nil {
				t.Fatal(err)
			}
			near(t, s.Output(0), Logits(s.Input(0)), p.tolerance)
		}
	}
}

func near(t *testing.T, got, want []float32, tolerance float32) {
	t.Helper()
	if d := MaxDiff(got, want); !(d <= tolerance) {
		t.Errorf("logits differ by %v: got %v, want %v", d, got, want)
	}
}

// MaxDiff returns the largest absolute difference of two vectors: NaN if one
// holds NaN, infinity if their lengths differ.
func MaxDiff(a, b []float32) float32 {
	if len(a) != len(b) {
		return float32(math.Inf(1))
	}
	var d float32
	for i := range a {
		d = max(d, float32(math.Abs(float64(a[i])-float64(b[i]))))
	}
	return d
}

// NoDiff runs the same inputs through two sessions and fails where their
// logits differ by more than tolerance or, outside it, choose another label.
// Both must have inputs and outputs of the same size.
func NoDiff(t testing.TB, a, b infer.Session, inputs [][]float32, tolerance float32) {
	t.Helper()
	for i, x := range inputs {
		copy(a.Input(0), x)
		copy(b.Input(0), x)
		if err := errors.Join(a.Run(0), b.Run(0)); err != nil {
			t.Fatal(err)
		}
		if d := MaxDiff(a.Output(0), b.Output(0)); !(d <= tolerance) {
			t.Errorf("input %d: logits differ by %v, tolerance %v:\n%v\n%v", i, d, tolerance, a.Output(0), b.Output(0))
		}
	}
}

func testSlots(t *testing.T, open Open) {
	const slots = 3
	s := start(t, open, infer.Options{Slots: slots})
	for i := range slots {
		Fill(s.Input(i), i)
	}
	var wg sync.WaitGroup
	for i := range slots {
		wg.Go(func() {
			for range 50 {
				if err := s.Run(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range slots {
		near(t, s.Output(i), Logits(s.Input(i)), 1e-5)
	}
}

func testMemory(t *testing.T, open Open) {
	s := start(t, open, infer.Options{Slots: 2})
	in, out := &s.Input(1)[0], &s.Output(1)[0]
	if err := s.Run(1); err != nil {
		t.Fatal(err)
	}
	if in != &s.Input(1)[0] || out != &s.Output(1)[0] {
		t.Error("the memory of a slot has moved")
	}
	if &s.Input(0)[0] == in {
		t.Error("two slots share their input")
	}
}

func testRange(t *testing.T, open Open) {
	s := start(t, open, infer.Options{Slots: 2})
	for _, i := range []int{-1, 2} {
		if err := s.Run(i); !errors.Is(err, infer.ErrSlot) {
			t.Errorf("Run(%d): got %v, want %v", i, err, infer.ErrSlot)
		}
		if s.Input(i) != nil || s.Output(i) != nil {
			t.Errorf("slot %d has memory", i)
		}
	}
}

func testAllocs(t *testing.T, open Open) {
	for _, p := range []infer.Precision{infer.FP32, infer.INT8} {
		s := start(t, open, infer.Options{Precision: p})
		allocs := testing.AllocsPerRun(100, func() {
			if err := s.Run(0); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: Run makes %v allocations, want 0", p, allocs)
		}
	}
}

func testReport(t *testing.T, open Open) {
	r := start(t, open, infer.Options{Precision: infer.INT8, Slots: 2, Threads: 1}).Report()
	if r.Model != "tiny" || len(r.SHA256) != 64 || r.Library == "" || r.Slots != 2 || r.Threads != 1 {
		t.Errorf("report %+v", r)
	}
	if r.RequestedPrecision != infer.INT8 || r.Precision != infer.INT8 || r.RequestedProvider != infer.CPU ||
		r.Provider != infer.CPU || r.Fallback != "" {
		t.Errorf("report %+v, want int8 on cpu without fallback", r)
	}
	r = start(t, open, infer.Options{Precision: infer.FP16}).Report()
	if r.RequestedPrecision != infer.FP16 || r.Precision != infer.FP32 || r.Fallback == "" {
		t.Errorf("report %+v, want a fallback from fp16 to fp32 with its reason", r)
	}
}

func testBusy(t *testing.T, open Open) {
	s := start(t, open, infer.Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if err := s.Run(0); err != nil && !errors.Is(err, infer.ErrBusy) {
					t.Errorf("got %v, want nil or %v", err, infer.ErrBusy)
				}
			}
		})
	}
	wg.Wait()
	near(t, s.Output(0), Logits(s.Input(0)), 1e-5)
}

func testClose(t *testing.T, open Open) {
	s := start(t, open, infer.Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := s.Run(0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Run after Close: got %v, want %v", err, os.ErrClosed)
	}
}

func testCloseRun(t *testing.T, open Open) {
	s := start(t, open, infer.Options{Slots: 2})
	var wg sync.WaitGroup
	started := make(chan bool, 2)
	for i := range 2 {
		wg.Go(func() {
			err := s.Run(i)
			started <- true
			for err == nil {
				err = s.Run(i)
			}
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("Run during Close: got %v, want %v", err, os.ErrClosed)
			}
		})
	}
	<-started
	<-started
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func testOptions(t *testing.T, open Open) {
	for _, o := range []infer.Options{
		{Precision: "int4"},
		{Providers: []infer.Provider{"npu"}},
		{Providers: []infer.Provider{infer.CPU, infer.CPU}},
		{Threads: -1}, {Threads: 257}, {Slots: -1}, {Slots: infer.MaxSlots + 1},
	} {
		if s, err := open(o); !errors.Is(err, infer.ErrOptions) {
			t.Errorf("open %+v: got %v, %v, want %v", o, s, err, infer.ErrOptions)
		}
	}
}
