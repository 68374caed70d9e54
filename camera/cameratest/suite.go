package cameratest

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"emberwing/camera"
)

// patience bounds every wait of the suite. Nothing in it takes that long
// unless the source is broken.
const patience = 20 * time.Second

// Open makes a fresh source for one test of the suite. It must deliver at
// least three frames; it may be finite, endless, paced or not.
type Open func(t testing.TB) camera.Source

// TestSource runs the contract of [camera.Source] against sources made by
// open.
func TestSource(t *testing.T, open Open) {
	t.Run("frames", func(t *testing.T) { testFrames(t, open) })
	t.Run("memory", func(t *testing.T) { testMemory(t, open) })
	t.Run("context", func(t *testing.T) { testContext(t, open) })
	t.Run("close", func(t *testing.T) { testClose(t, open) })
	t.Run("unblock", func(t *testing.T) { testUnblock(t, open) })
	t.Run("end", func(t *testing.T) { testEnd(t, open) })
}

// start opens a source that is closed at the end of the test.
func start(t *testing.T, open Open) (camera.Source, context.Context) {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { s.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return s, ctx
}

// read wants a good frame.
func read(t *testing.T, ctx context.Context, s camera.Source, f *camera.Frame) {
	t.Helper()
	if err := s.ReadFrame(ctx, f); err != nil {
		t.Fatalf("read frame: %v", err)
	}
	if err := f.Check(); err != nil {
		t.Fatalf("read frame: %v", err)
	}
}

// testFrames checks geometry, numbers and times of three frames in a row.
func testFrames(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f, last camera.Frame
	before := time.Now()
	for i := range 3 {
		read(t, ctx, s, &f)
		if i > 0 && f.Seq <= last.Seq {
			t.Errorf("frame %d: got sequence number %d after %d", i, f.Seq, last.Seq)
		}
		if f.Captured.Before(before) || f.Captured.After(time.Now()) {
			t.Errorf("frame %d: got capture time %v, want one after %v and not in the future", i, f.Captured, before)
		}
		before, last = f.Captured, f
	}
	if i := s.Info(); i.Kind == "" || i.Width < 0 || i.Height < 0 || i.FPS < 0 {
		t.Errorf("got info %+v", i)
	} else if i.Width*i.Height != 0 && (i.Width != f.Width || i.Height != f.Height) {
		t.Errorf("got a frame of %dx%d, want %dx%d as in the info", f.Width, f.Height, i.Width, i.Height)
	}
}

// testMemory checks that the caller's memory is used again and not kept.
func testMemory(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f camera.Frame
	read(t, ctx, s, &f)
	f.Pix = make([]byte, 0, 4*cap(f.Pix))
	want := &f.Pix[:1][0]
	read(t, ctx, s, &f)
	if &f.Pix[0] != want {
		t.Error("got new pixel memory, want that of the caller")
	}
	var other camera.Frame
	copied := append([]byte(nil), f.Pix...)
	read(t, ctx, s, &other)
	if string(copied) != string(f.Pix) {
		t.Error("reading into another frame changed the first one")
	}
}

// testContext checks that an ended context is reported and does no harm.
func testContext(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f camera.Frame
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.ReadFrame(cancelled, &f); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled context: got %v", err)
	}
	late, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
	defer cancel()
	if err := s.ReadFrame(late, &f); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline passed: got %v", err)
	}
	read(t, ctx, s, &f)
}

// testClose checks that Close may be repeated and ends reading.
func testClose(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f camera.Frame
	read(t, ctx, s, &f)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := s.ReadFrame(ctx, &f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: got %v, want %v", err, os.ErrClosed)
	}
	if s.Info().Kind == "" {
		t.Error("info is gone after close")
	}
}

// testUnblock closes under a reader, which has to come back.
func testUnblock(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f camera.Frame
	read(t, ctx, s, &f)
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = s.ReadFrame(ctx, &f)
		}
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
		t.Errorf("reader of a closed source: got %v", err)
	}
}

// testEnd reads on; the end, if there is one, is io.EOF and stays. Endless
// sources are left after a while.
func testEnd(t *testing.T, open Open) {
	s, ctx := start(t, open)
	var f camera.Frame
	for range 100 {
		err := s.ReadFrame(ctx, &f)
		if err == nil {
			continue
		}
		if again := s.ReadFrame(ctx, &f); !errors.Is(err, io.EOF) || !errors.Is(again, io.EOF) {
			t.Errorf("got %v and then %v, want io.EOF twice", err, again)
		}
		return
	}
}
