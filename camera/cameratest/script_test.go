package cameratest_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"emberwing/camera"
	"emberwing/camera/cameratest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	cameratest.TestSource(t, func(testing.TB) camera.Source {
		return cameratest.NewScript(cameratest.Frames(5, 8, 4)...)
	})
}

// TestSteps plays one step of each kind.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cable pulled")
		lost := cameratest.Frames(1, 4, 4)[0]
		lost.Lost, lost.Delay = 3, 2*time.Second
		s := cameratest.NewScript(cameratest.Frames(1, 4, 4)[0], cameratest.Stall(), lost,
			cameratest.Short(4, 4), cameratest.Fail(broken))
		var f camera.Frame
		if err := s.ReadFrame(t.Context(), &f); err != nil || f.Seq != 0 {
			t.Errorf("frame: got %d, %v", f.Seq, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := s.ReadFrame(ctx, &f); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("stall: got %v after %v", err, time.Since(begin))
		}
		begin = time.Now()
		if err := s.ReadFrame(t.Context(), &f); err != nil || f.Seq != 4 || time.Since(begin) != 2*time.Second {
			t.Errorf("late frame: got %d after %v, %v", f.Seq, time.Since(begin), err)
		}
		if err := s.ReadFrame(t.Context(), &f); err != nil || f.Check() == nil {
			t.Errorf("short frame: got %v, check %v", err, f.Check())
		}
		if err := s.ReadFrame(t.Context(), &f); err != broken {
			t.Errorf("error: got %v", err)
		}
		if err := s.ReadFrame(t.Context(), &f); err != io.EOF {
			t.Errorf("end: got %v", err)
		}
	})
}
