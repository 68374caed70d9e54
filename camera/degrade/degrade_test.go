package degrade_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"emberwing/camera"
	"emberwing/camera/degrade"
)

// board is a picture of squares, bright and dark, with a red corner.
func board(w, h int) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, camera.RGB24)
	for y := range h {
		for x := range w {
			v := byte(60)
			if (x/12+y/12)%2 == 0 {
				v = 190
			}
			copy(f.Row(y)[3*x:], []byte{v, v, v})
		}
	}
	copy(f.Row(0), []byte{255, 0, 0})
	return f
}

// distance is the mean absolute difference of levels.
func distance(a, b *camera.Frame) float64 {
	sum := 0.0
	for i := range a.Pix {
		sum += math.Abs(float64(a.Pix[i]) - float64(b.Pix[i]))
	}
	return sum / float64(len(a.Pix))
}

func TestEverySeverityIsWorse(t *testing.T) {
	src := board(288, 224)
	var w degrade.Worker
	for _, kind := range degrade.Kinds() {
		before := map[int]float64{}
		for s := 1; s <= degrade.Severities; s++ {
			var dst, again camera.Frame
			if err := errors.Join(w.Apply(&dst, src, kind, s, 7), w.Apply(&again, src, kind, s, 7)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(dst.Pix, again.Pix) {
				t.Errorf("%s %d: the same seed gives other bytes", kind, s)
			}
			d := distance(&dst, src)
			worse := before[s-1]
			if kind == degrade.Brightness { // up and down in turns: compare with the same direction
				worse = before[s-2]
			}
			if dst.Width != 288 || dst.Height != 224 || d <= worse || d > 120 {
				t.Errorf(
					"%s %d: got %dx%d, distance %.2f after %.2f, want worse but a picture",
					kind,
					s,
					dst.Width,
					dst.Height,
					d,
					worse,
				)
			}
			before[s] = d
		}
	}
}

func TestFormatsBecomeRGB(t *testing.T) {
	src := board(40, 30)
	bgr := new(camera.Frame)
	bgr.CopyFrom(src)
	bgr.Format = camera.BGR24
	for i := 0; i < len(bgr.Pix); i += 3 {
		bgr.Pix[i], bgr.Pix[i+2] = bgr.Pix[i+2], bgr.Pix[i]
	}
	var w degrade.Worker
	var a, b camera.Frame
	if err := errors.Join(w.Apply(&a, src, degrade.Haze, 2, 0), w.Apply(&b, bgr, degrade.Haze, 2, 0)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Pix, b.Pix) {
		t.Error("the same picture as BGR gives other pixels")
	}
}

func TestApplyRefuses(t *testing.T) {
	var w degrade.Worker
	var dst camera.Frame
	for _, tt := range []struct {
		kind     degrade.Kind
		severity int
	}{{"rain", 1}, {degrade.Blur, 0}, {degrade.Blur, 6}} {
		if err := w.Apply(&dst, board(30, 30), tt.kind, tt.severity, 0); !errors.Is(err, degrade.ErrKind) {
			t.Errorf("%+v: got %v, want %v", tt, err, degrade.ErrKind)
		}
	}
	if err := w.Apply(&dst, &camera.Frame{}, degrade.Blur, 1, 0); !errors.Is(err, camera.ErrGeometry) {
		t.Errorf("got %v, want %v", err, camera.ErrGeometry)
	}
	if err := degrade.See(&dst, board(4, 30), degrade.Motion{}); !errors.Is(err, camera.ErrGeometry) {
		t.Errorf("got %v, want %v", err, camera.ErrGeometry)
	}
	if err := degrade.Coarsen(&dst, board(4, 30), 0); !errors.Is(err, camera.ErrGeometry) {
		t.Errorf("got %v, want %v", err, camera.ErrGeometry)
	}
}

// TestPixelShiftShowsRealPixels compares a shifted view with the picture.
func TestPixelShiftShowsRealPixels(t *testing.T) {
	src := board(60, 50)
	for _, m := range degrade.PixelShifts() {
		var v camera.Frame
		if err := degrade.See(&v, src, m); err != nil {
			t.Fatal(err)
		}
		if v.Width != 56 || v.Height != 46 {
			t.Fatalf("%s: got %dx%d, want 56x46", m.Name, v.Width, v.Height)
		}
		for y := range v.Height {
			if !bytes.Equal(v.Row(y), src.Row(y + 2 + int(m.Y))[3*(2+int(m.X)):][:3*56]) {
				t.Fatalf("%s: row %d is not a cut of the picture", m.Name, y)
			}
		}
	}
}

// TestMotionsAreWhatTheySay warps a picture of coordinates and reads back
// where its middle and a corner came from.
func TestMotionsAreWhatTheySay(t *testing.T) {
	src := new(camera.Frame)
	src.Resize(201, 201, camera.RGB24)
	for y := range 201 {
		for x := range 201 {
			copy(src.Row(y)[3*x:], []byte{byte(x), byte(y), 0})
		}
	}
	const b, middle = 6, 94 // border and middle of a view of 189 pixels
	for _, tt := range []struct {
		m    degrade.Motion
		x, y int // in the view
		u, v float64
	}{
		{degrade.Motion{X: 3.5, Y: -1}, middle, middle, 103.5, 99},
		{degrade.Motion{Turn: 90}, middle + 50, middle, 100, 150},
		{degrade.Motion{Zoom: 2}, middle + 50, middle - 20, 125, 90},
	} {
		var v camera.Frame
		if err := degrade.See(&v, src, tt.m); err != nil {
			t.Fatal(err)
		}
		got := v.Row(tt.y)[3*tt.x:]
		if math.Abs(float64(got[0])-tt.u) > 1 || math.Abs(float64(got[1])-tt.v) > 1 {
			t.Errorf("%+v: view %d,%d shows %d,%d, want %v,%v", tt.m, tt.x, tt.y, got[0], got[1], tt.u, tt.v)
		}
	}
}

func TestCoarsen(t *testing.T) {
	src := board(120, 90)
	var fine, coarse, same camera.Frame
	if err := errors.Join(degrade.Coarsen(&fine, src, 64), degrade.Coarsen(&coarse, src, 8), degrade.Coarsen(&same, src, 90)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(same.Pix, src.Pix) {
		t.Error("a picture no larger than the side has changed")
	}
	if f, c := distance(&fine, src), distance(&coarse, src); f <= 0 || c <= f || coarse.Width != 120 ||
		coarse.Height != 90 {
		t.Errorf("distances %v at 64 and %v at 8 pixels, size %dx%d", f, c, coarse.Width, coarse.Height)
	}
}
