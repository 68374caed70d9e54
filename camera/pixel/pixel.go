// Package pixel turns a camera frame into the float input of a network. It is
// the one definition of preprocessing: training, evaluation and flight share it.
//
// A [Plan] resizes the way Pillow's Image.resize(size, BILINEAR) does – a
// separable triangle filter whose support grows with the downscale factor,
// 22-bit integer weights, rounded to 8 bits after each pass – and its 8-bit
// levels are those of Pillow 13, bit by bit. (Earlier releases differ by one
// level here and there in tall pictures.) The levels are then normalised
// through a table of 256 entries a channel, straight into the caller's memory.
package pixel

import (
	"errors"
	"fmt"
	"math"

	"emberwing/camera"
)

// Errors of this package, wrapped with the details.
var (
	// ErrSpec reports a specification that cannot be carried out.
	ErrSpec = errors.New("bad preprocessing spec")
	// ErrSource reports a source size or format that cannot be read, or a
	// frame that is not of the size and format the plan was made for.
	ErrSource = errors.New("bad source frame")
	// ErrLength reports a destination of the wrong length.
	ErrLength = errors.New("bad destination length")
)

// Limits of a plan, in pixels.
const (
	maxTarget = 4096      // width and height of the network input
	maxSource = 100 << 20 // pixels of the source, and of one side
)

// Fit says how a source of another aspect ratio is fitted.
type Fit uint8

// The fits.
const (
	// Stretch scales both sides on their own: Image.resize.
	Stretch Fit = iota
	// Letterbox scales the whole picture to fit inside and fills the rest
	// with black: ImageOps.pad.
	Letterbox
	// CenterCrop scales the largest centred part of the right aspect
	// ratio: ImageOps.fit.
	CenterCrop
)

// Order is the order of the channels in the network input.
type Order uint8

// The channel orders.
const (
	RGB Order = iota
	BGR
)

// Layout is the order of the dimensions in the network input.
type Layout uint8

// The layouts.
const (
	NCHW Layout = iota // three planes of Height rows
	NHWC               // Height rows of pixels of three channels
)

// Spec is what a network wants to be fed. Mean and Std are on the scale of
// 0..1 and stand in the order of the channels of the output: a level x of
// 0..255 becomes (x/255 - Mean) / Std.
type Spec struct {
	Width, Height int
	Fit           Fit
	Order         Order
	Layout        Layout
	Mean, Std     [3]float32
}

// Len returns the number of floats of one input, 3*Width*Height.
func (s Spec) Len() int { return 3 * s.Width * s.Height }

// Validate returns nil or an error that wraps [ErrSpec].
func (s Spec) Validate() error {
	if s.Width < 1 || s.Height < 1 || s.Width > maxTarget || s.Height > maxTarget {
		return fmt.Errorf("%w: got size %dx%d, want 1x1 to %dx%d", ErrSpec, s.Width, s.Height, maxTarget, maxTarget)
	}
	if s.Fit > CenterCrop || s.Order > BGR || s.Layout > NHWC {
		return fmt.Errorf(
			"%w: got fit %d, order %d, layout %d, want one of the named constants",
			ErrSpec,
			s.Fit,
			s.Order,
			s.Layout,
		)
	}
	for c := range 3 {
		if m := float64(s.Mean[c]); math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("%w: got mean[%d] %v, want a finite number", ErrSpec, c, m)
		}
		if d := float64(s.Std[c]); !(d > 0) || math.IsInf(d, 0) {
			return fmt.Errorf("%w: got std[%d] %v, want a number above 0 (1 for no scaling)", ErrSpec, c, d)
		}
	}
	return nil
}

// Plan carries out one Spec on frames of one size and format. It owns scratch
// memory, so one goroutine uses it at a time.
type Plan struct {
	spec         Spec
	srcW, srcH   int
	format       camera.Format
	channels     int // of the source
	place        placement
	table        [3][256]float32 // normalised value by output channel and level
	horizontal   rowPass
	vertical     columnPass
	columnsFirst bool
	line         []uint8 // one resized row, channel planes of place.w values
	sourceOffset [3]int  // where the plane of an output channel starts in a line
}

// NewPlan prepares spec for frames of srcW by srcH pixels in the given
// format. The error wraps [ErrSpec] or [ErrSource].
func NewPlan(spec Spec, srcW, srcH int, format camera.Format) (*Plan, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if srcW < 1 || srcH < 1 || srcW > maxSource/srcH {
		return nil, fmt.Errorf("plan: %w: got %dx%d, want 1x1 to %d pixels", ErrSource, srcW, srcH, maxSource)
	}
	if format.Channels() == 0 {
		return nil, fmt.Errorf("plan: %w: got %v, want RGB24, BGR24 or Gray8", ErrSource, format)
	}
	p := &Plan{spec: spec, srcW: srcW, srcH: srcH, format: format, channels: format.Channels()}
	p.place = place(spec, srcW, srcH)
	p.line = make([]uint8, p.channels*p.place.w)
	p.horizontal = newRowPass(taps(srcW, p.place.x0, p.place.x1, p.place.w), p.channels)
	values := len(p.line)
	if p.columnsFirst = columnsFirst(srcW-p.place.w, srcH-p.place.h); p.columnsFirst {
		values = p.channels * srcW
	}
	p.vertical = newColumnPass(taps(srcH, p.place.y0, p.place.y1, p.place.h), values)
	p.normalise()
	p.mapChannels()
	return p, nil
}

// Spec returns what the plan was made for.
func (p *Plan) Spec() Spec { return p.spec }

// Matches reports whether frames of this size and format can go through the
// plan as they are.
func (p *Plan) Matches(f *camera.Frame) bool {
	return f.Width == p.srcW && f.Height == p.srcH && f.Format == p.format
}

// Into writes the network input for f into dst, which has Spec.Len floats in
// the layout of the spec. It reads f only during the call and allocates
// nothing. The error wraps [ErrSource] or [ErrLength], and dst is untouched.
func (p *Plan) Into(dst []float32, f *camera.Frame) error {
	if len(dst) != p.spec.Len() {
		return fmt.Errorf("preprocess: %w: got %d floats, want %d", ErrLength, len(dst), p.spec.Len())
	}
	if !p.Matches(f) {
		return fmt.Errorf("preprocess: %w: got %dx%d %v, want %dx%d %v", ErrSource,
			f.Width, f.Height, f.Format, p.srcW, p.srcH, p.format)
	}
	if err := f.Check(); err != nil {
		return fmt.Errorf("preprocess: %w: %w", ErrSource, err)
	}
	p.bars(dst)
	p.resize(dst, f)
	return nil
}

// Source maps a place in the network input, as shares 0..1 of its sides, to
// shares of the sides of the frame. ok is false where the input shows no part
// of the frame, as beside a letterboxed one.
func (p *Plan) Source(u, v float64) (x, y float64, ok bool) {
	r := &p.place
	a := (u*float64(p.spec.Width) - float64(r.left)) / float64(r.w)
	b := (v*float64(p.spec.Height) - float64(r.top)) / float64(r.h)
	x = (r.x0 + a*(r.x1-r.x0)) / float64(p.srcW)
	y = (r.y0 + b*(r.y1-r.y0)) / float64(p.srcH)
	return x, y, a >= 0 && a <= 1 && b >= 0 && b <= 1
}

// columnsFirst is the rule of Pillow 13 for which pass runs first, given how
// many columns and rows the picture loses.
func columnsFirst(columns, rows int) bool { return rows > 0 && rows > 2*columns }

// resize feeds the source rows through both passes and emits each finished
// row of the picture.
func (p *Plan) resize(dst []float32, f *camera.Frame) {
	v := &p.vertical
	v.reset()
	for out := range p.place.h {
		for v.wants(out) {
			v.add(p.source(f.Row(v.next)))
		}
		row := v.row(out)
		if p.columnsFirst {
			p.horizontal.run(p.line, row)
			row = p.line
		}
		p.emit(dst, out, row)
	}
}

// source returns what the column pass takes of a source row.
func (p *Plan) source(row []byte) []uint8 {
	if p.columnsFirst {
		return row
	}
	p.horizontal.run(p.line, row)
	return p.line
}

// emit normalises one row of levels and writes it as row y of the picture.
func (p *Plan) emit(dst []float32, y int, levels []uint8) {
	w := p.place.w
	at := (p.place.top+y)*p.spec.Width + p.place.left
	for c := range 3 {
		src := levels[p.sourceOffset[c]:][:w]
		if p.spec.Layout == NCHW {
			planar(dst[c*p.spec.Width*p.spec.Height+at:][:w], src, &p.table[c])
			continue
		}
		interleaved(dst[3*at+c:][:3*w-2], src, &p.table[c])
	}
}

// planar writes the normalised levels side by side.
func planar(dst []float32, levels []uint8, table *[256]float32) {
	dst = dst[:len(levels)]
	for i, level := range levels {
		dst[i] = table[level]
	}
}

// interleaved writes the normalised levels to every third float.
func interleaved(dst []float32, levels []uint8, table *[256]float32) {
	for i, level := range levels {
		dst[3*i] = table[level]
	}
}

// bars blackens the part of dst that the picture does not cover.
func (p *Plan) bars(dst []float32) {
	if p.place.w == p.spec.Width && p.place.h == p.spec.Height {
		return
	}
	n := p.spec.Width * p.spec.Height
	for i := range dst {
		c := i % 3
		if p.spec.Layout == NCHW {
			c = i / n
		}
		dst[i] = p.table[c][0]
	}
}

// normalise fills the tables, rounding once from float64.
func (p *Plan) normalise() {
	for c := range 3 {
		mean, std := float64(p.spec.Mean[c]), float64(p.spec.Std[c])
		for level := range 256 {
			p.table[c][level] = float32((float64(level)/255 - mean) / std)
		}
	}
}

// mapChannels finds the source plane of each output channel.
func (p *Plan) mapChannels() {
	if p.channels == 1 {
		return
	}
	same := (p.format == camera.RGB24) == (p.spec.Order == RGB)
	for c := range 3 {
		from := c
		if !same {
			from = 2 - c
		}
		p.sourceOffset[c] = from * p.place.w
	}
}
