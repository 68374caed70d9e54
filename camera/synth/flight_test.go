package synth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"emberwing/camera"
	"emberwing/camera/cameratest"
)

// small is a flight at a size that renders in about a millisecond.
func small(t testing.TB, change func(*Options)) *Flight {
	t.Helper()
	o := Options{Seed: 1, Width: 160, Height: 120, FPS: 10}
	if change != nil {
		change(&o)
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func render(t testing.TB, f *Flight, seconds float64) []byte {
	t.Helper()
	var fr camera.Frame
	if err := f.Render(uint64(seconds*f.fps), &fr); err != nil {
		t.Fatal(err)
	}
	return fr.Pix
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// TestGolden pins the bytes of four frames. They are the same on every
// processor: products are rounded before they are added, so that no compiler
// fuses the two. If you changed the picture on purpose, look at it and then
// write the new values here.
func TestGolden(t *testing.T) {
	f := small(t, nil)
	want := map[float64]string{
		2: "ce7568eba389adbc", 9: "68a1ef04b60adba9", 16: "adb58b8ca3297401", 26: "4f2ee1f38faacae0",
	}
	for seconds, w := range want {
		if got := digest(render(t, f, seconds)); got != w {
			t.Errorf("frame at %g s: got %s, want %s", seconds, got, w)
		}
	}
}

func TestFramesDependOnSeedAndNumberOnly(t *testing.T) {
	a, b := small(t, nil), small(t, nil)
	late := render(t, a, 16)
	render(t, b, 3)
	if digest(late) != digest(render(t, b, 16)) {
		t.Error("got different bytes after drawing another frame first")
	}
	if digest(late) == digest(render(t, a, 16.1)) {
		t.Error("got the same bytes a tenth of a second later")
	}
	if other := small(t, func(o *Options) { o.Seed = 2 }); digest(late) == digest(render(t, other, 16)) {
		t.Error("got the same bytes for another seed")
	}
}

func TestSourceContract(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"finite": func(o *Options) { o.FPS, o.Duration = 10, time.Second },
		"loop":   func(o *Options) { o.FPS, o.Duration, o.Loop = 10, time.Second, true },
		"paced":  func(o *Options) { o.FPS, o.Duration, o.Paced = 200, time.Second, true },
	} {
		t.Run(name, func(t *testing.T) {
			cameratest.TestSource(t, func(t testing.TB) camera.Source { return small(t, change) })
		})
	}
}

func TestEndAndLoop(t *testing.T) {
	read := func(f *Flight) (n int, err error) {
		var fr camera.Frame
		for n = 0; n < 25; n++ {
			if err := f.ReadFrame(t.Context(), &fr); err != nil {
				return n, err
			}
			if fr.Seq != uint64(n) {
				t.Fatalf("got sequence number %d, want %d", fr.Seq, n)
			}
		}
		return n, nil
	}
	once := small(t, func(o *Options) { o.Duration = 2 * time.Second })
	if n, err := read(once); n != 20 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d frames and %v, want 20 and io.EOF", n, err)
	}
	loop := small(t, func(o *Options) { o.Duration, o.Loop = 2*time.Second, true })
	if n, err := read(loop); err != nil {
		t.Errorf("loop: got %v after %d frames", err, n)
	}
}

func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := small(t, func(o *Options) { o.Paced = true })
		var fr camera.Frame
		start := time.Now()
		for i, want := range []struct {
			pause time.Duration // before reading
			seq   uint64
			at    time.Duration
		}{
			{0, 0, 0}, {0, 1, 100 * time.Millisecond}, {50 * time.Millisecond, 2, 200 * time.Millisecond},
			{560 * time.Millisecond, 7, 760 * time.Millisecond}, // frames 3 to 6 are missed
			{0, 8, 800 * time.Millisecond},
		} {
			<-time.After(want.pause)
			if err := f.ReadFrame(t.Context(), &fr); err != nil {
				t.Fatal(err)
			}
			if at := time.Since(start); fr.Seq != want.seq || at != want.at {
				t.Errorf("read %d: got frame %d after %v, want %d after %v", i, fr.Seq, at, want.seq, want.at)
			}
			if fr.Captured.IsZero() || fr.Captured.After(time.Now()) {
				t.Errorf("read %d: got capture time %v", i, fr.Captured)
			}
		}
	})
}

func TestPacedWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := small(t, func(o *Options) { o.Paced, o.FPS = true, 0.5 })
		var fr camera.Frame
		if err := f.ReadFrame(t.Context(), &fr); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.ReadFrame(ctx, &fr); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline before the frame is due: got %v", err)
		}
		done := make(chan error)
		go func() { done <- f.ReadFrame(t.Context(), &fr) }()
		synctest.Wait()
		f.Close()
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Errorf("close while waiting: got %v, want %v", err, os.ErrClosed)
		}
	})
}

func TestPacedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := small(t, func(o *Options) { o.Paced, o.Duration = true, time.Second })
		var fr camera.Frame
		start := time.Now()
		var err error
		for err == nil {
			err = f.ReadFrame(t.Context(), &fr)
		}
		if at := time.Since(start); !errors.Is(err, io.EOF) || fr.Seq != 9 || at != time.Second {
			t.Errorf("got %v after frame %d and %v, want io.EOF after 9 and 1s", err, fr.Seq, at)
		}
	})
}

func TestOptionErrors(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"tiny":     {Options{Width: 31, Height: 480}, "got 31x480"},
		"no width": {Options{Height: 480}, "got 0x480"},
		"huge":     {Options{Width: 4097, Height: 480}, "got 4097x480"},
		"negative": {Options{Width: -640, Height: 480}, "got -640x480"},
		"fps":      {Options{FPS: -1}, "fps: got -1"},
		"fast":     {Options{FPS: 1001}, "fps: got 1001"},
		"duration": {Options{Duration: -1}, "duration: got -1ns"},
		"too long": {Options{Duration: 25 * time.Hour}, "duration: got 25h"},
		"gesture":  {Options{Gesture: "salute"}, `gesture: got "salute", want one of palm, fist`},
		"seconds":  {Options{Script: Script{Phases: []Phase{{Name: "a", Altitude: 50}}}}, `phase 0 "a": got 0 seconds`},
		"altitude": {Options{Script: Script{Phases: []Phase{{Name: "a", Seconds: 1}}}}, "got altitude 0 m"},
		"hand":     {Options{Script: Script{Phases: []Phase{{Name: "a", Seconds: 1, Altitude: 50, Hand: 2}}}}, "hand 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestAnySizeDraws(t *testing.T) {
	for _, size := range [][2]int{{32, 32}, {33, 47}, {161, 90}, {48, 400}, {640, 33}} {
		f := small(t, func(o *Options) { o.Width, o.Height = size[0], size[1] })
		for _, s := range []float64{2, 16, 26} {
			if n := len(render(t, f, s)); n != size[0]*size[1]*3 {
				t.Errorf("%v: got %d bytes", size, n)
			}
		}
	}
}

func TestReadFrameDoesNotAllocate(t *testing.T) {
	f := small(t, func(o *Options) { o.Loop, o.Duration = true, 3*time.Second })
	var fr camera.Frame
	read := func() {
		if err := f.ReadFrame(t.Context(), &fr); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		read()
	}
	if n := testing.AllocsPerRun(30, read); n != 0 {
		t.Errorf("got %g allocations a frame, want 0", n)
	}
}

func TestInfo(t *testing.T) {
	want := camera.Info{Kind: "synth", Name: "seed 1", Width: 160, Height: 120, FPS: 10}
	if got := small(t, nil).Info(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGesturesAreAllKnown(t *testing.T) {
	for _, p := range poses() {
		if !slices.Contains(Gestures(), p.name) {
			t.Errorf("pose %q is not listed", p.name)
		}
	}
	for _, g := range Gestures() {
		known := slices.ContainsFunc(poses(), func(p pose) bool { return p.name == g })
		if known == (g == "none") {
			t.Errorf("gesture %q: got a pose: %v", g, known)
		}
	}
}
