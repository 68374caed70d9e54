// Package overlay draws explanations into frames: a map of heat and boxes. It
// draws into the frame that it is given, in its own format.
package overlay

import (
	"math"

	"emberwing/camera"
)

// Rect is a part of a frame: its upper left corner and sides as shares of the
// frame's width and height. It may reach beyond the frame.
type Rect struct{ X, Y, W, H float32 }

// Colour is red, green and blue.
type Colour [3]byte

// The colours. Heat runs from Cold to Hot, which neither flames, smoke nor
// vegetation have.
var (
	Cold  = Colour{255, 0, 200}
	Hot   = Colour{0, 255, 255}
	White = Colour{255, 255, 255}
)

// The opacity of heat: none below faint, at most dense.
const (
	faint = 0.2
	dense = 0.6
)

// Heat tints the part over of f by a map of h rows of w values 0..1. Values in
// between are interpolated; where they are low the picture stays as it is. A
// frame that does not hold together, and a map without cells, change nothing.
func Heat(f *camera.Frame, values []float32, w, h int, over Rect) {
	if f.Check() != nil || w < 1 || h < 1 || len(values) < w*h || !(over.W > 0) || !(over.H > 0) {
		return
	}
	x0, x1 := span(over.X, over.W, f.Width)
	y0, y1 := span(over.Y, over.H, f.Height)
	c := f.Format.Channels()
	for y := y0; y < y1; y++ {
		row := f.Row(y)
		v := (share(y, f.Height)-float64(over.Y))/float64(over.H)*float64(h) - 0.5
		for x := x0; x < x1; x++ {
			u := (share(x, f.Width)-float64(over.X))/float64(over.W)*float64(w) - 0.5
			if heat := sample(values, w, h, u, v); heat > faint {
				blend(row[x*c:x*c+c], f.Format, ramp(heat), dense*(heat-faint)/(1-faint))
			}
		}
	}
}

// share is the middle of pixel i of n.
func share(i, n int) float64 { return (float64(i) + 0.5) / float64(n) }

// span returns the pixels of n whose middle lies in a share from at on.
func span(at, size float32, n int) (first, end int) {
	first = int(math.Ceil(float64(at)*float64(n) - 0.5))
	end = int(math.Ceil(float64(at+size)*float64(n) - 0.5))
	return min(max(first, 0), n), min(max(end, 0), n)
}

// sample interpolates between cells; u and v count cells from the middle of
// the first.
func sample(values []float32, w, h int, u, v float64) float64 {
	u, v = min(max(u, 0), float64(w-1)), min(max(v, 0), float64(h-1))
	x, y := int(u), int(v)
	a, b := u-float64(x), v-float64(y)
	x1, y1 := min(x+1, w-1), min(y+1, h-1)
	top := (1-a)*float64(values[y*w+x]) + a*float64(values[y*w+x1])
	bottom := (1-a)*float64(values[y1*w+x]) + a*float64(values[y1*w+x1])
	return min((1-b)*top+b*bottom, 1)
}

// ramp returns the colour of a heat 0..1.
func ramp(heat float64) (c Colour) {
	for i := range c {
		c[i] = byte(float64(Cold[i]) + heat*(float64(Hot[i])-float64(Cold[i])) + 0.5)
	}
	return c
}

// blend lays a colour over one pixel.
func blend(p []byte, format camera.Format, c Colour, alpha float64) {
	switch format {
	case camera.BGR24:
		c[0], c[2] = c[2], c[0]
	case camera.Gray8:
		c[0] = byte((299*int(c[0]) + 587*int(c[1]) + 114*int(c[2])) / 1000)
	}
	for i := range p {
		p[i] = byte(float64(p[i]) + alpha*(float64(c[i])-float64(p[i])) + 0.5)
	}
}

// Box draws the outline of r into f, of a width that shows at any size, clipped
// to the frame.
func Box(f *camera.Frame, r Rect, c Colour) {
	if f.Check() != nil || !(r.W > 0) || !(r.H > 0) {
		return
	}
	x0, x1 := span(r.X, r.W, f.Width)
	y0, y1 := span(r.Y, r.H, f.Height)
	n := max(1, min(f.Width, f.Height)/160)
	fill(f, x0, y0, x1, min(y0+n, y1), c)
	fill(f, x0, max(y1-n, y0), x1, y1, c)
	fill(f, x0, y0, min(x0+n, x1), y1, c)
	fill(f, max(x1-n, x0), y0, x1, y1, c)
}

func fill(f *camera.Frame, x0, y0, x1, y1 int, c Colour) {
	n := f.Format.Channels()
	for y := y0; y < y1; y++ {
		row := f.Row(y)
		for x := x0; x < x1; x++ {
			blend(row[x*n:x*n+n], f.Format, c, 1)
		}
	}
}
