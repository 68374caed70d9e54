package drone

import (
	"bytes"
	"errors"

	"emberwing/camera"
	"emberwing/camera/still"
)

// small is a picture that fits a limit.
type small struct {
	jpeg          []byte
	width, height int
}

// errNoFit says that not even the smallest picture fits.
var errNoFit = errors.New("no picture fits the limit")

// sides are the longer sides that are tried, pixels.
func sides() []int { return []int{1280, 960, 640, 480, 320, 240, 160, 96} }

// qualities are the JPEG qualities that are tried at each size.
func qualities() []int { return []int{75, 50} }

// fit encodes f with the largest size and quality whose JPEG has at most limit bytes.
func fit(f *camera.Frame, limit int) (small, error) {
	if err := f.Check(); err != nil {
		return small{}, err
	}
	var scaled camera.Frame
	var out bytes.Buffer
	for _, side := range sides() {
		longer := max(f.Width, f.Height)
		if side > longer && side != sides()[len(sides())-1] || hopeless(f, side, limit) {
			continue
		}
		shrink(&scaled, f, min(side, longer))
		for _, q := range qualities() {
			out.Reset()
			if err := still.EncodeJPEG(&out, &scaled, q); err != nil {
				return small{}, err
			}
			if out.Len() <= limit {
				return small{bytes.Clone(out.Bytes()), scaled.Width, scaled.Height}, nil
			}
		}
	}
	return small{}, errNoFit
}

// hopeless spares encoding sizes that cannot fit: a JPEG of a scene takes more than a
// fiftieth of a byte a pixel.
func hopeless(f *camera.Frame, side, limit int) bool {
	longer, shorter := max(f.Width, f.Height), min(f.Width, f.Height)
	return side*side*shorter/longer/50 > limit
}

// shrink makes dst a copy of f whose longer side has the given length, each pixel the mean of
// those it stands for.
func shrink(dst, f *camera.Frame, side int) {
	longer := max(f.Width, f.Height)
	w, h := max(1, f.Width*side/longer), max(1, f.Height*side/longer)
	dst.Resize(w, h, f.Format)
	n := f.Format.Channels()
	for y := range h {
		top, bottom := y*f.Height/h, max((y+1)*f.Height/h, y*f.Height/h+1)
		row := dst.Row(y)
		for x := range w {
			left, right := x*f.Width/w, max((x+1)*f.Width/w, x*f.Width/w+1)
			mean(row[x*n:x*n+n], f, left, right, top, bottom)
		}
	}
}

// mean sets out to the mean of a rectangle of f.
func mean(out []byte, f *camera.Frame, left, right, top, bottom int) {
	n := len(out)
	count := (right - left) * (bottom - top)
	for c := range out {
		sum := 0
		for y := top; y < bottom; y++ {
			row := f.Row(y)
			for x := left; x < right; x++ {
				sum += int(row[x*n+c])
			}
		}
		out[c] = byte((sum + count/2) / count)
	}
}
