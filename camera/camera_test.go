package camera_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/camera"
)

func TestResizeReuses(t *testing.T) {
	var f camera.Frame
	f.Resize(4, 3, camera.RGB24)
	if f.Stride != 12 || len(f.Pix) != 36 || f.Check() != nil {
		t.Errorf("got stride %d, %d bytes, %v", f.Stride, len(f.Pix), f.Check())
	}
	first := &f.Pix[0]
	f.Resize(6, 6, camera.Gray8)
	if f.Stride != 6 || len(f.Pix) != 36 || &f.Pix[0] != first {
		t.Errorf("got stride %d, %d bytes, new memory %v", f.Stride, len(f.Pix), &f.Pix[0] != first)
	}
	f.Resize(-1, 5, camera.RGB24)
	if f.Width != 0 || len(f.Pix) != 0 {
		t.Errorf("negative width: got %d, %d bytes", f.Width, len(f.Pix))
	}
}

func TestCheck(t *testing.T) {
	good := camera.Frame{Pix: make([]byte, 16+12), Width: 4, Height: 2, Stride: 16, Format: camera.BGR24}
	if err := good.Check(); err != nil {
		t.Errorf("padded frame without padding in its last row: got %v", err)
	}
	for want, change := range map[string]func(*camera.Frame){
		"got 0x2, want at least 1x1":      func(f *camera.Frame) { f.Width = 0 },
		"got 4x-1, want at least 1x1":     func(f *camera.Frame) { f.Height = -1 },
		"got Format(9), want RGB24":       func(f *camera.Frame) { f.Format = 9 },
		"got stride 11, want at least 12": func(f *camera.Frame) { f.Stride = 11 },
		"got 27 bytes, want 28":           func(f *camera.Frame) { f.Pix = f.Pix[:27] },
		"got 28 bytes, want 44 for 4x3":   func(f *camera.Frame) { f.Height = 3 },
	} {
		f := good
		change(&f)
		if err := f.Check(); !errors.Is(err, camera.ErrGeometry) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestRow(t *testing.T) {
	f := camera.Frame{Pix: []byte{1, 2, 0, 3, 4}, Width: 2, Height: 2, Stride: 3, Format: camera.Gray8}
	if d := cmp.Diff([]byte{3, 4}, f.Row(1)); d != "" || cap(f.Row(0)) != 2 {
		t.Errorf("capacity %d, %s", cap(f.Row(0)), d)
	}
}

func TestCopyFrom(t *testing.T) {
	src := camera.Frame{Pix: []byte{1, 2, 3}, Width: 1, Height: 1, Stride: 3, Seq: 7, Name: "a.jpg"}
	dst := camera.Frame{Pix: make([]byte, 0, 8)}
	memory := &dst.Pix[:1][0]
	dst.CopyFrom(&src)
	if d := cmp.Diff(src, dst); d != "" || &dst.Pix[0] != memory {
		t.Errorf("new memory %v, %s", &dst.Pix[0] != memory, d)
	}
	src.Pix[0] = 9
	if dst.Pix[0] != 1 {
		t.Error("the copy shares its pixels")
	}
}

func TestRing(t *testing.T) {
	r := camera.NewRing(2)
	a, ok := r.Borrow()
	b, ok2 := r.Borrow()
	if !ok || !ok2 || a == b {
		t.Fatal("got no two different frames")
	}
	if f, ok := r.Borrow(); ok || f != nil {
		t.Error("got a third frame of two")
	}
	if err := r.Release(a); err != nil {
		t.Error(err)
	}
	if err := r.Release(a); !errors.Is(err, camera.ErrDoubleRelease) {
		t.Errorf("double release: got %v", err)
	}
	for _, f := range []*camera.Frame{nil, {}} {
		if err := r.Release(f); !errors.Is(err, camera.ErrForeignFrame) {
			t.Errorf("foreign release: got %v", err)
		}
	}
	if d := cmp.Diff(camera.RingStats{Borrowed: 1, Starved: 1, Misuse: 3}, r.Stats()); d != "" {
		t.Error(d)
	}
	if c, ok := r.Borrow(); !ok || c != a || r.Len() != 2 {
		t.Error("the released frame did not come back")
	}
	if _, ok := camera.NewRing(-1).Borrow(); ok {
		t.Error("got a frame of an empty ring")
	}
}

// TestRingPoison reads on after a release.
func TestRingPoison(t *testing.T) {
	r := camera.NewRing(1)
	r.Poison()
	f, _ := r.Borrow()
	f.Resize(2, 2, camera.Gray8)
	f.Seq = 5
	kept := f.Pix
	clear(kept)
	if err := r.Release(f); err != nil {
		t.Fatal(err)
	}
	if kept[0] == 0 || kept[3] == 0 || f.Seq != 0 || f.Check() == nil {
		t.Errorf("got %v, number %d after release", kept, f.Seq)
	}
	g, _ := r.Borrow()
	if g.Resize(2, 2, camera.Gray8); &g.Pix[0] != &kept[0] {
		t.Error("poisoning lost the memory")
	}
}

// TestRingHammer borrows, writes, reads back and releases from many
// goroutines. Two holders of one frame would see each other's bytes.
func TestRingHammer(t *testing.T) {
	const frames, workers, rounds = 4, 8, 3000
	r := camera.NewRing(frames)
	r.Poison()
	var wg sync.WaitGroup
	for id := range workers {
		wg.Go(func() {
			for range rounds {
				f, ok := r.Borrow()
				if !ok {
					continue
				}
				f.Resize(16, 4, camera.Gray8)
				for i := range f.Pix {
					f.Pix[i] = byte(id)
				}
				for i := range f.Pix {
					if f.Pix[i] != byte(id) {
						t.Errorf("worker %d: got byte %d of another holder", id, f.Pix[i])
						return
					}
				}
				if err := r.Release(f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := r.Stats(); s.Borrowed != 0 || s.Misuse != 0 {
		t.Errorf("got %+v at the end", s)
	}
}

// TestRingAllocations borrows, resizes and releases.
func TestRingAllocations(t *testing.T) {
	r := camera.NewRing(3)
	if n := testing.AllocsPerRun(100, func() {
		f, _ := r.Borrow()
		f.Resize(64, 48, camera.BGR24)
		if r.Release(f) != nil {
			t.Error("release failed")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkRing(b *testing.B) {
	r := camera.NewRing(4)
	b.ReportAllocs()
	for b.Loop() {
		f, _ := r.Borrow()
		if err := r.Release(f); err != nil {
			b.Fatal(err)
		}
	}
}
