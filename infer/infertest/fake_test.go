package infertest_test

import (
	"errors"
	"math"
	"testing"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

func open(t *testing.T, o infer.Options) (*infertest.Fake, error) {
	return infertest.NewFake(&infertest.Tiny(t).Manifest, o, nil)
}

func TestFakeKeepsTheContract(t *testing.T) {
	infertest.TestSession(t, func(o infer.Options) (infer.Session, error) {
		f, err := open(t, o)
		if err != nil {
			return nil, err
		}
		return f, nil
	})
}

func TestFakeFailsOnDemand(t *testing.T) {
	f, err := open(t, infer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("device lost")
	f.FailRun(2, lost)
	for i, want := range []error{nil, lost, nil} {
		if err := f.Run(0); !errors.Is(err, want) {
			t.Errorf("run %d: got %v, want %v", i, err, want)
		}
	}
	f.Poison(true)
	if err := f.Run(0); err != nil || !math.IsNaN(float64(f.Output(0)[0])) {
		t.Errorf("poisoned run: %v %v", err, f.Output(0))
	}
	if f.Runs() != 4 {
		t.Errorf("got %d runs, want 4", f.Runs())
	}
}

func TestFakeRefusesARunningSlot(t *testing.T) {
	var (
		f   *infertest.Fake
		err error
	)
	again := func(_, _ []float32) error { return f.Run(0) }
	f, err = infertest.NewFake(&infertest.Tiny(t).Manifest, infer.Options{}, again)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Run(0); !errors.Is(err, infer.ErrBusy) {
			t.Errorf("got %v, want %v", err, infer.ErrBusy)
		}
	}
}

func TestMaxDiffSeesNaN(t *testing.T) {
	nan := float32(math.NaN())
	if d := infertest.MaxDiff([]float32{0, nan}, []float32{0, 0}); !math.IsNaN(float64(d)) {
		t.Errorf("got %v, want NaN", d)
	}
	if d := infertest.MaxDiff([]float32{0}, nil); !math.IsInf(float64(d), 1) {
		t.Errorf("got %v, want infinity", d)
	}
}
