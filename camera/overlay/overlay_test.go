package overlay_test

import (
	"math"
	"slices"
	"testing"

	"emberwing/camera"
	"emberwing/camera/overlay"
)

func grey(w, h int, format camera.Format) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, format)
	for i := range f.Pix {
		f.Pix[i] = 100
	}
	return f
}

func at(f *camera.Frame, x, y int) []byte {
	c := f.Format.Channels()
	return f.Row(y)[x*c : x*c+c]
}

func TestHeatTintsWhereItIsHot(t *testing.T) {
	f := grey(40, 40, camera.RGB24)
	overlay.Heat(f, []float32{0, 1, 0, 0}, 2, 2, overlay.Rect{W: 1, H: 1})
	if got := at(f, 2, 2); !slices.Equal(got, []byte{100, 100, 100}) {
		t.Errorf("cold corner: got %v, want it unchanged", got)
	}
	// The hottest place is 0.6 of the hot colour over the grey, by hand.
	if got := at(f, 39, 0); !slices.Equal(got, []byte{40, 193, 193}) {
		t.Errorf("hot corner: got %v, want [40 193 193]", got)
	}
	if got := at(f, 20, 2); slices.Equal(got, at(f, 39, 0)) || slices.Equal(got, []byte{100, 100, 100}) {
		t.Errorf("in between: got %v, want a lighter tint", got)
	}
}

func TestHeatStaysInItsPart(t *testing.T) {
	for _, format := range []camera.Format{camera.RGB24, camera.BGR24, camera.Gray8} {
		f := grey(40, 20, format)
		overlay.Heat(f, []float32{1}, 1, 1, overlay.Rect{X: 0.5, Y: 0.5, W: 0.75, H: 0.25})
		for y := range 20 {
			for x := range 40 {
				inside := x >= 20 && y >= 10 && y < 15
				if tinted := !slices.Equal(at(f, x, y), at(grey(1, 1, format), 0, 0)); tinted != inside {
					t.Fatalf("%v: pixel %d,%d tinted %v, want %v", format, x, y, tinted, inside)
				}
			}
		}
	}
}

func TestFormatsShowTheSameColour(t *testing.T) {
	rgb, bgr := grey(8, 8, camera.RGB24), grey(8, 8, camera.BGR24)
	for _, f := range []*camera.Frame{rgb, bgr} {
		overlay.Heat(f, []float32{0.6}, 1, 1, overlay.Rect{W: 1, H: 1})
	}
	a, b := at(rgb, 3, 3), slices.Clone(at(bgr, 3, 3))
	slices.Reverse(b)
	if !slices.Equal(a, b) {
		t.Errorf("got %v as RGB and %v as BGR", a, b)
	}
}

func TestBoxIsAnOutline(t *testing.T) {
	f := grey(40, 40, camera.RGB24)
	overlay.Box(f, overlay.Rect{X: 0.25, Y: 0.25, W: 0.5, H: 0.5}, overlay.White)
	for _, tt := range []struct {
		x, y  int
		white bool
	}{{10, 10, true}, {29, 29, true}, {20, 10, true}, {10, 20, true}, {20, 20, false}, {9, 10, false}, {30, 29, false}} {
		if got := at(f, tt.x, tt.y)[0] == 255; got != tt.white {
			t.Errorf("pixel %d,%d: white %v, want %v", tt.x, tt.y, got, tt.white)
		}
	}
}

// TestBadInputChangesNothing feeds what must not draw, and must not panic.
func TestBadInputChangesNothing(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f := grey(16, 16, camera.RGB24)
	want := slices.Clone(f.Pix)
	whole := overlay.Rect{W: 1, H: 1}
	overlay.Heat(f, nil, 2, 2, whole)
	overlay.Heat(f, []float32{1}, 0, 1, whole)
	overlay.Heat(f, []float32{1}, 1, 1, overlay.Rect{X: nan, W: 0, H: 1})
	overlay.Heat(f, []float32{1}, 1, 1, overlay.Rect{X: 2, Y: 2, W: 1, H: 1})
	overlay.Heat(f, []float32{nan}, 1, 1, whole)
	overlay.Box(f, overlay.Rect{W: nan, H: 1}, overlay.White)
	overlay.Box(f, overlay.Rect{X: -5, Y: -5, W: 1, H: 1}, overlay.White)
	overlay.Box(&camera.Frame{}, whole, overlay.White)
	if !slices.Equal(f.Pix, want) {
		t.Error("the frame has changed")
	}
	overlay.Heat(f, []float32{1}, 1, 1, overlay.Rect{X: -inf, Y: 0, W: inf, H: 1})
	overlay.Box(f, overlay.Rect{X: -5, Y: -5, W: 10, H: 10}, overlay.White)
}
