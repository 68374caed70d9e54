package predict

import (
	"fmt"

	"emberwing/camera"
	"emberwing/camera/pixel"
	"emberwing/infer"
)

// Spec translates a manifest's declaration into the plan's.
func Spec(in infer.Input) (pixel.Spec, error) {
	fits := map[string]pixel.Fit{"stretch": pixel.Stretch, "letterbox": pixel.Letterbox, "centercrop": pixel.CenterCrop}
	fit, ok := fits[in.Fit]
	if !ok {
		return pixel.Spec{}, fmt.Errorf("preprocessing: got fit %q, want stretch, letterbox or centercrop", in.Fit)
	}
	order, layout := pixel.RGB, pixel.NCHW
	if in.Order == "bgr" {
		order = pixel.BGR
	}
	if in.Layout == "nhwc" {
		layout = pixel.NHWC
	}
	return pixel.Spec{
		Width:  in.Width(),
		Height: in.Height(),
		Fit:    fit,
		Order:  order,
		Layout: layout,
		Mean:   in.Mean,
		Std:    in.Std,
	}, nil
}

// filler writes pictures into one input. It makes a plan when the geometry of
// the pictures changes and allocates nothing else. One goroutine uses it.
type filler struct {
	spec pixel.Spec
	plan *pixel.Plan
	view camera.Frame // of the crop being written
}

// fit makes the plan for pictures of the given size, unless it is the present
// one.
func (fl *filler) fit(w, h int, format camera.Format) (err error) {
	probe := camera.Frame{Width: w, Height: h, Format: format}
	if fl.plan == nil || !fl.plan.Matches(&probe) {
		fl.plan, err = pixel.NewPlan(fl.spec, w, h, format)
	}
	return err
}

// into writes the part c of f into dst.
func (fl *filler) into(dst []float32, f *camera.Frame, c infer.Crop) error {
	if err := f.Check(); err != nil {
		return err
	}
	if err := fl.fit(c.W, c.H, f.Format); err != nil {
		return err
	}
	fl.view = f.View(c.X, c.Y, c.W, c.H)
	return fl.plan.Into(dst, &fl.view)
}

// seen returns what the input shows of a frame of w by h pixels whose part c
// was written.
func (fl *filler) seen(c infer.Crop, w, h int) Rect {
	x0, y0, _ := fl.plan.Source(0, 0)
	x1, y1, _ := fl.plan.Source(1, 1)
	at := func(c, n, all int, share float64) float32 {
		return float32((float64(c) + share*float64(n)) / float64(all))
	}
	x, y := at(c.X, c.W, w, x0), at(c.Y, c.H, h, y0)
	return Rect{X: x, Y: y, W: at(c.X, c.W, w, x1) - x, H: at(c.Y, c.H, h, y1) - y}
}

// wholeOf is all of f as a crop.
func wholeOf(f *camera.Frame) infer.Crop { return infer.Crop{W: f.Width, H: f.Height} }

// lens writes pictures into the input of the model and of the one that is
// mixed in. Each goroutine has its own.
type lens struct {
	main, mix       *stage // mix may be nil
	toMain, toOther filler
}

func newLens(main, mix *stage) *lens {
	l := &lens{main: main, mix: mix, toMain: filler{spec: main.spec}}
	if mix != nil {
		l.toOther.spec = mix.spec
	}
	return l
}

// fit makes the plans for pictures of the given size.
func (l *lens) fit(w, h int, format camera.Format) error {
	if err := l.toMain.fit(w, h, format); err != nil || l.mix == nil {
		return err
	}
	return l.toOther.fit(w, h, format)
}

// into writes the part c of f into the inputs of slot and returns what the
// model's input shows of f.
func (l *lens) into(slot int, f *camera.Frame, c infer.Crop) (Rect, error) {
	if err := l.toMain.into(l.main.Session.Input(slot), f, c); err != nil {
		return Rect{}, err
	}
	seen := l.toMain.seen(c, f.Width, f.Height)
	if l.mix == nil {
		return seen, nil
	}
	return seen, l.toOther.into(l.mix.Session.Input(slot), f, c)
}

// ladder holds a lens for each size that a crop of a frame can have, so that
// no plan is made while boxes change from frame to frame.
type ladder struct {
	main, mix     *stage
	width, height int
	format        camera.Format
	lenses        map[infer.Crop]*lens // by size alone
}

// fit makes the plans for the geometry of f, unless they are the present ones.
func (l *ladder) fit(f *camera.Frame) error {
	if l.lenses != nil && l.width == f.Width && l.height == f.Height && l.format == f.Format {
		return nil
	}
	l.width, l.height, l.format, l.lenses = f.Width, f.Height, f.Format, nil
	lenses := make(map[infer.Crop]*lens)
	for k, size := 0, (infer.Crop{}); size != wholeOf(f); k++ {
		size = infer.CropOf(infer.Side(k), f.Width, f.Height)
		lenses[size] = newLens(l.main, l.mix)
		if err := lenses[size].fit(size.W, size.H, f.Format); err != nil {
			return err
		}
	}
	l.lenses = lenses
	return nil
}

// into writes the part c of f, which is of a size of the ladder.
func (l *ladder) into(slot int, f *camera.Frame, c infer.Crop) (Rect, error) {
	if err := l.fit(f); err != nil {
		return Rect{}, err
	}
	fitting := l.lenses[infer.Crop{W: c.W, H: c.H}]
	if fitting == nil {
		return Rect{}, fmt.Errorf("crop for model: got %dx%d pixels, want a size of the ladder", c.W, c.H)
	}
	return fitting.into(slot, f, c)
}
