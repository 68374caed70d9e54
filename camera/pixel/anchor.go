package pixel

import (
	"fmt"

	"emberwing/camera"
)

// Point is a position in a picture, in whole pixels.
type Point struct{ X, Y int }

// An anchor is where a small patch differs most from what surrounds it. The
// sides are odd, in pixels.
const (
	patchSide = 5
	roundSide = 13
)

// Anchors finds the places of crops that follow the content of a picture: of
// all places a crop of w by h pixels can take, those around whose centre a
// patch of 5 by 5 pixels differs most from the 13 by 13 around it, and more than
// one pixel to any side. Because that depends on the pixels near the centre
// alone, a picture that shows the same scene moved by whole pixels gives crops
// of the same pixels, unless an anchor came into the room for centres or left
// it by that move. The more room, the rarer that is.
//
// The idea of choosing a crop by content so that shifted views select the same
// pixels is that of Shifman and Weiss, "Lost in Translation"
// (arXiv:2404.07153); the score is our own.
//
// Anchors owns scratch memory: one goroutine uses it at a time.
type Anchors struct {
	srcW, srcH int
	w, h       int
	format     camera.Format

	x0, y0 int      // top left corner of the pixels read
	cols   int      // of the summed table, one more than the pixels
	rows   int      // the same
	sums   []uint32 // summed table of luma
}

// NewAnchors prepares for crops of w by h pixels of frames of srcW by srcH. A
// crop larger than the frame, or one whose centre is too near the frame's edge
// for a patch, wraps [ErrSource].
func NewAnchors(srcW, srcH int, format camera.Format, w, h int) (*Anchors, error) {
	if w < 1 || h < 1 || w > srcW || h > srcH || format.Channels() == 0 {
		return nil, fmt.Errorf("find anchors: %w: got crops of %dx%d in %dx%d %v", ErrSource, w, h, srcW, srcH, format)
	}
	a := &Anchors{srcW: srcW, srcH: srcH, w: w, h: h, format: format}
	const reach = roundSide/2 + 1 // one more, for the neighbours of the outermost
	a.x0, a.y0 = w/2-reach, h/2-reach
	a.cols, a.rows = srcW-w+roundSide+3, srcH-h+roundSide+3
	if a.x0 < 0 || a.y0 < 0 || a.x0+a.cols-1 > srcW || a.y0+a.rows-1 > srcH {
		return nil, fmt.Errorf("find anchors: %w: got crops of %dx%d in %dx%d, want crops of at least %d pixels", ErrSource,
			w, h, srcW, srcH, roundSide+3)
	}
	a.sums = make([]uint32, a.cols*a.rows)
	return a, nil
}

// Find fills dst with the top left corners of the best crops of f, best first,
// and returns how many it found, at least one and at most len(dst). Crops lie
// at least a quarter of their room apart; a picture without any contrast has the
// one in the middle. It allocates nothing. f must be of the size and format
// that a was made for.
func (a *Anchors) Find(f *camera.Frame, dst []Point) (int, error) {
	if f.Width != a.srcW || f.Height != a.srcH || f.Format != a.format {
		return 0, fmt.Errorf("find anchors: %w: got %dx%d %v, want %dx%d %v", ErrSource,
			f.Width, f.Height, f.Format, a.srcW, a.srcH, a.format)
	}
	if err := f.Check(); err != nil {
		return 0, fmt.Errorf("find anchors: %w: %w", ErrSource, err)
	}
	a.sum(f)
	for n := range dst {
		p, ok := a.best(dst[:n])
		if !ok {
			return max(n, 1), nil
		}
		dst[n] = p
	}
	return len(dst), nil
}

// sum fills the summed table with the luma of the middle of f.
func (a *Anchors) sum(f *camera.Frame) {
	c := f.Format.Channels()
	for y := 1; y < a.rows; y++ {
		src := f.Row(a.y0 + y - 1)[a.x0*c:]
		above, row := a.sums[(y-1)*a.cols:y*a.cols], a.sums[y*a.cols:(y+1)*a.cols]
		line := uint32(0)
		for x := 1; x < a.cols; x++ {
			line += luma(src, c)
			src = src[c:]
			row[x] = above[x] + line
		}
	}
}

// luma weighs green twice; the order of red and blue makes no difference.
func luma(p []byte, channels int) uint32 {
	if channels == 1 {
		return 4 * uint32(p[0])
	}
	return uint32(p[0]) + 2*uint32(p[1]) + uint32(p[2])
}

// best returns the peak with the highest score that is away from taken ones,
// else the middle.
func (a *Anchors) best(taken []Point) (p Point, ok bool) {
	p, top := Point{(a.srcW - a.w) / 2, (a.srcH - a.h) / 2}, 0
	for y := range a.srcH - a.h + 1 {
		for x := range a.srcW - a.w + 1 {
			if s := a.score(x, y); s > top && a.peak(x, y, s) && a.away(x, y, taken) {
				p, top = Point{x, y}, s
			}
		}
	}
	return p, top > 0
}

// peak reports whether no neighbour of x and y scores more than s. Of equal
// ones the first in the order of rows is the peak.
func (a *Anchors) peak(x, y, s int) bool {
	return a.score(x-1, y-1) < s && a.score(x, y-1) < s && a.score(x+1, y-1) < s && a.score(x-1, y) < s &&
		a.score(x+1, y) <= s && a.score(x-1, y+1) <= s && a.score(x, y+1) <= s && a.score(x+1, y+1) <= s
}

// score compares the mean of the patch with that of what surrounds it, for the
// crop at x and y, -1 to one more than the room.
func (a *Anchors) score(x, y int) int {
	const edge = (roundSide - patchSide) / 2
	patch := a.box(x+1+edge, y+1+edge, patchSide)
	round := a.box(x+1, y+1, roundSide)
	d := patch*roundSide*roundSide - round*patchSide*patchSide
	return max(d, -d)
}

// box sums n by n pixels of the table from x and y on. Differences of wrapped
// sums are right as long as the sum itself fits.
func (a *Anchors) box(x, y, n int) int {
	top, bottom := a.sums[y*a.cols+x:], a.sums[(y+n)*a.cols+x:]
	return int(bottom[n] - bottom[0] - top[n] + top[0])
}

// away reports whether x and y are a quarter of the room from all taken.
func (a *Anchors) away(x, y int, taken []Point) bool {
	roomX, roomY := (a.srcW-a.w)/4, (a.srcH-a.h)/4
	for _, t := range taken {
		if abs(x-t.X) <= roomX && abs(y-t.Y) <= roomY {
			return false
		}
	}
	return true
}

func abs(x int) int { return max(x, -x) }
