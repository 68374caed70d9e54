package degrade

import (
	"fmt"
	"math"

	"emberwing/camera"
	"emberwing/camera/pixel"
)

// Motion is a small motion of a hovering camera between two frames.
type Motion struct {
	Name string
	X, Y float64 // shift of the view in pixels
	Turn float64 // roll in degrees
	Zoom float64 // 1.01 shows one per cent less, 0 is 1
}

// border is what every view leaves out at each side, as a share of the shorter
// side, so that hardly any motion looks beyond the picture.
const border = 0.03

// PixelShifts are the eight views moved by one pixel and the unmoved one first.
// They lose no sharpness: each is a cut of the picture, and what comes into view
// is real.
func PixelShifts() []Motion {
	all := []Motion{{Name: "still"}}
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			if dx != 0 || dy != 0 {
				all = append(all, Motion{Name: fmt.Sprintf("shift %+d%+d", dx, dy), X: float64(dx), Y: float64(dy)})
			}
		}
	}
	return all
}

// CameraMotions are what a hover does in a frame or two, the unmoved view
// first. All are resampled, the unmoved one too, by half a pixel, so that
// sharpness is the same.
func CameraMotions() []Motion {
	return []Motion{
		{Name: "still", X: 0.5, Y: 0.5},
		{Name: "drift", X: 2.3, Y: 0.5}, {Name: "sink", X: 0.5, Y: 2.7}, {Name: "back", X: -1.6, Y: -1.2},
		{Name: "roll", X: 0.5, Y: 0.5, Turn: 1}, {Name: "roll back", X: 0.5, Y: 0.5, Turn: -0.7},
		{Name: "nearer", X: 0.5, Y: 0.5, Zoom: 1.015}, {Name: "further", X: 0.5, Y: 0.5, Zoom: 0.99},
	}
}

// See writes to dst what src looks like after m: RGB24, smaller by a border
// of three per cent of the shorter side, at least 2 pixels, at each side.
func See(dst, src *camera.Frame, m Motion) error {
	var rgb camera.Frame
	if err := toRGB(&rgb, src); err != nil {
		return fmt.Errorf("move camera: %w", err)
	}
	b := max(2, int(border*float64(min(src.Width, src.Height))))
	w, h := src.Width-2*b, src.Height-2*b
	if w < 1 || h < 1 {
		return fmt.Errorf(
			"move camera: %w: got %dx%d pixels, want at least %d",
			camera.ErrGeometry,
			src.Width,
			src.Height,
			2*b+1,
		)
	}
	dst.Resize(w, h, camera.RGB24)
	dst.Name = src.Name
	if m.Turn == 0 && m.Zoom == 0 && m.X == math.Trunc(m.X) && m.Y == math.Trunc(m.Y) {
		for y := range h {
			copy(dst.Row(y), rgb.Row(y + b + int(m.Y))[3*(b+int(m.X)):])
		}
		return nil
	}
	warp(dst, &rgb, m, b)
	return nil
}

// warp resamples bilinearly.
func warp(dst, src *camera.Frame, m Motion, b int) {
	zoom := m.Zoom
	if zoom == 0 {
		zoom = 1
	}
	sin, cos := math.Sincos(m.Turn * math.Pi / 180)
	sin, cos = sin/zoom, cos/zoom
	cx, cy := float64(dst.Width-1)/2, float64(dst.Height-1)/2
	for y := range dst.Height {
		row := dst.Row(y)
		for x := range dst.Width {
			u, v := float64(x)-cx, float64(y)-cy
			sample(row[3*x:3*x+3], src, cos*u-sin*v+cx+float64(b)+m.X, sin*u+cos*v+cy+float64(b)+m.Y)
		}
	}
}

// sample writes the pixel at x, y of src; beyond its sides the last one.
func sample(to []byte, src *camera.Frame, x, y float64) {
	x, y = min(max(x, 0), float64(src.Width-1)), min(max(y, 0), float64(src.Height-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, src.Width-1), min(y0+1, src.Height-1)
	a, b := x-float64(x0), y-float64(y0)
	top, bottom := src.Row(y0), src.Row(y1)
	for c := range to {
		upper := (1-a)*float64(top[3*x0+c]) + a*float64(top[3*x1+c])
		lower := (1-a)*float64(bottom[3*x0+c]) + a*float64(bottom[3*x1+c])
		to[c] = clip((1-b)*upper + b*lower)
	}
}

// Coarsen writes to dst what a camera of side pixels on the shorter side sees
// of src, at the size of src: it is scaled down and up again with the resizing
// of package pixel. A picture that is no larger stays as it is.
func Coarsen(dst, src *camera.Frame, side int) error {
	if side < 1 {
		return fmt.Errorf("coarsen: %w: got a side of %d, want at least 1", camera.ErrGeometry, side)
	}
	if err := toRGB(dst, src); err != nil {
		return fmt.Errorf("coarsen: %w", err)
	}
	shorter := min(src.Width, src.Height)
	if side >= shorter {
		return nil
	}
	scale := func(n int) int { return max(1, int(math.Round(float64(n)*float64(side)/float64(shorter)))) }
	var small camera.Frame
	if err := resize(&small, dst, scale(src.Width), scale(src.Height)); err != nil {
		return err
	}
	return resize(dst, &small, src.Width, src.Height)
}

// resize scales an RGB24 frame.
func resize(dst, src *camera.Frame, w, h int) error {
	spec := pixel.Spec{Width: w, Height: h, Layout: pixel.NHWC, Std: [3]float32{1, 1, 1}}
	plan, err := pixel.NewPlan(spec, src.Width, src.Height, src.Format)
	if err != nil {
		return fmt.Errorf("coarsen: %w", err)
	}
	levels := make([]float32, spec.Len())
	if err := plan.Into(levels, src); err != nil {
		return fmt.Errorf("coarsen: %w", err)
	}
	name := src.Name
	dst.Resize(w, h, camera.RGB24)
	for i, v := range levels {
		dst.Pix[i] = clip(255 * float64(v))
	}
	dst.Name = name
	return nil
}
