// Package degrade spoils pictures on purpose, as flight does: blur, motion,
// noise, haze, compression, light and a rolling shutter, each in five
// severities, and small motions of the camera. Everything is deterministic: the
// same picture, severity and seed give the same bytes.
//
// The ladders of severity are our own, set by eye from "a careful person would
// not notice" to "what a bad flight looks like"; they are not those of another
// benchmark.
package degrade

import (
	"errors"
	"fmt"
	"math"

	"emberwing/camera"
)

// Severities is the number of severities, counted from 1.
const Severities = 5

// ErrKind reports an unknown corruption or a severity out of range.
var ErrKind = errors.New("unknown corruption")

// Kind names a corruption.
type Kind string

// The corruptions.
const (
	Blur           Kind = "blur"            // out of focus: Gaussian
	MotionBlur     Kind = "motion_blur"     // the camera moves during the exposure, sideways
	Noise          Kind = "noise"           // of the sensor, Gaussian and independent
	Haze           Kind = "haze"            // veil of grey light that grows towards the top
	JPEG           Kind = "jpeg"            // strong compression
	Brightness     Kind = "brightness"      // overexposed at odd severities, underexposed at even ones
	Contrast       Kind = "contrast"        // flat light
	RollingShutter Kind = "rolling_shutter" // rows shifted by a shake during read-out
)

// Kinds lists all corruptions.
func Kinds() []Kind {
	return []Kind{Blur, MotionBlur, Noise, Haze, JPEG, Brightness, Contrast, RollingShutter}
}

// Worker spoils pictures. It owns scratch memory, so one goroutine uses it.
type Worker struct {
	a     []float32 // one line
	frame camera.Frame
}

// Apply writes src, spoilt, to dst: RGB24 of the same size. The error wraps
// [ErrKind] or [camera.ErrGeometry]. Lengths grow with the shorter side of the
// picture, so that severities mean the same at any size.
func (w *Worker) Apply(dst, src *camera.Frame, kind Kind, severity int, seed uint64) error {
	if severity < 1 || severity > Severities {
		return fmt.Errorf("degrade %s: %w: got severity %d, want 1..%d", kind, ErrKind, severity, Severities)
	}
	if err := toRGB(dst, src); err != nil {
		return fmt.Errorf("degrade %s: %w", kind, err)
	}
	i := severity - 1
	unit := float64(min(src.Width, src.Height)) / 224
	switch kind {
	case Blur:
		w.gaussian(dst, unit*[...]float64{0.6, 1, 1.6, 2.4, 3.6}[i])
	case MotionBlur:
		w.motion(dst, unit*[...]float64{3, 6, 10, 15, 22}[i])
	case Noise:
		noise(dst, [...]float64{5, 10, 18, 28, 42}[i], seed)
	case Haze:
		haze(dst, [...]float64{0.15, 0.3, 0.45, 0.6, 0.75}[i])
	case JPEG:
		return w.compress(dst, [...]int{40, 25, 15, 10, 6}[i])
	case Brightness:
		gain(dst, [...]float64{1.3, 0.7, 1.7, 0.45, 2.2}[i], 0)
	case Contrast:
		gain(dst, [...]float64{0.75, 0.6, 0.45, 0.3, 0.2}[i], 118)
	case RollingShutter:
		w.shake(dst, unit*[...]float64{1, 2, 4, 7, 11}[i], seed)
	default:
		return fmt.Errorf("degrade: %w: got %q, want one of %v", ErrKind, kind, Kinds())
	}
	return nil
}

// toRGB copies src as packed RGB24.
func toRGB(dst, src *camera.Frame) error {
	if err := src.Check(); err != nil {
		return err
	}
	dst.Resize(src.Width, src.Height, camera.RGB24)
	red, green, blue := 0, 1, 2
	switch src.Format {
	case camera.BGR24:
		red, blue = 2, 0
	case camera.Gray8:
		green, blue = 0, 0
	}
	c := src.Format.Channels()
	for y := range src.Height {
		from, to := src.Row(y), dst.Row(y)
		for x := range src.Width {
			to[3*x], to[3*x+1], to[3*x+2] = from[c*x+red], from[c*x+green], from[c*x+blue]
		}
	}
	dst.Name = src.Name
	return nil
}

// each replaces every level by what f makes of it, rounded and clipped.
func each(f *camera.Frame, change func(level float64) float64) {
	var table [256]byte
	for i := range table {
		table[i] = clip(change(float64(i)))
	}
	for i, p := range f.Pix {
		f.Pix[i] = table[p]
	}
}

func clip(v float64) byte { return byte(min(max(math.Round(v), 0), 255)) }

// gain scales levels around a pivot; clipping is what a sensor does too.
func gain(f *camera.Frame, factor, pivot float64) {
	each(f, func(v float64) float64 { return pivot + factor*(v-pivot) })
}

// haze mixes in bright grey, half as much at the bottom as at the top.
func haze(f *camera.Frame, veil float64) {
	const air = 205
	for y := range f.Height {
		t := veil * (1 - 0.5*float64(y)/float64(f.Height))
		row := f.Row(y)
		for i, p := range row {
			row[i] = clip((1-t)*float64(p) + t*air)
		}
	}
}
