package still

import "emberwing/camera"

// canvas takes the rows of a picture as stored and puts them upright into the
// pixels of a frame.
type canvas struct {
	pix          []byte
	w, h         int // of the picture as stored
	origin       int // offset of the stored pixel (0, 0), in bytes
	stepX, stepY int // offset to the next stored column and row, in bytes
	row          []byte
}

// newCanvas sizes f for a stored picture of w by h pixels in an EXIF
// orientation.
func newCanvas(f *camera.Frame, w, h, orientation int) *canvas {
	if orientation >= 5 { // columns become rows
		f.Resize(h, w, camera.RGB24)
	} else {
		f.Resize(w, h, camera.RGB24)
	}
	c := &canvas{pix: f.Pix, w: w, h: h}
	c.stepX, c.stepY = 3, f.Stride
	if orientation >= 5 {
		c.stepX, c.stepY = c.stepY, c.stepX
	}
	if mirrored := orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8; mirrored {
		c.origin += (w - 1) * c.stepX
		c.stepX = -c.stepX
	}
	if flipped := orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7; flipped {
		c.origin += (h - 1) * c.stepY
		c.stepY = -c.stepY
	}
	if c.stepX != 3 {
		c.row = make([]byte, 3*w)
	}
	return c
}

// line returns the memory to write stored row y to, 3 bytes a pixel.
func (c *canvas) line(y int) []byte {
	if c.stepX == 3 {
		return c.pix[c.origin+y*c.stepY:][: 3*c.w : 3*c.w]
	}
	return c.row
}

// done puts row y in its place after it was written to line.
func (c *canvas) done(y int) {
	if c.stepX == 3 {
		return
	}
	at := c.origin + y*c.stepY
	for x := 0; x < len(c.row); x += 3 {
		copy(c.pix[at:at+3], c.row[x:x+3])
		at += c.stepX
	}
}
