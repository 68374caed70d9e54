package still

import (
	"fmt"
	"image"
	"image/color"
)

// paint writes every row of img to the canvas. The picture has the size that
// its header gave.
func paint(img image.Image, c *canvas) error {
	if b := img.Bounds(); b.Dx() != c.w || b.Dy() != c.h {
		return fmt.Errorf("%w: got %dx%d pixels, want %dx%d as in the header", ErrCorrupt, b.Dx(), b.Dy(), c.w, c.h)
	}
	row := painter(img)
	if row == nil {
		return fmt.Errorf("%w: got pixels of %T", ErrUnsupported, img)
	}
	for y := range c.h {
		row(c.line(y), y)
		c.done(y)
	}
	return nil
}

// painter returns a function that writes row y, counted from 0, as RGB; nil
// when no decoder of ours makes such an image.
func painter(img image.Image) func(dst []byte, y int) {
	switch m := img.(type) {
	case *image.YCbCr:
		return newUpsampler(m).row
	case *image.Gray:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 1, 0) }
	case *image.Gray16:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 2, 0) }
	case *image.RGBA:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 4, 1) }
	case *image.NRGBA:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 4, 1) }
	case *image.RGBA64:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 8, 2) }
	case *image.NRGBA64:
		return func(dst []byte, y int) { spread(dst, m.Pix[y*m.Stride:], 8, 2) }
	case *image.Paletted:
		colours := palette(m.Palette)
		return func(dst []byte, y int) { indexed(dst, m.Pix[y*m.Stride:], &colours) }
	case *image.CMYK:
		return func(dst []byte, y int) { inks(dst, m.Pix[y*m.Stride:]) }
	}
	return nil
}

// spread picks three bytes of each source pixel of size bytes, step apart.
func spread(dst, src []byte, size, step int) {
	for i, at := 0, 0; i+2 < len(dst); i, at = i+3, at+size {
		dst[i], dst[i+1], dst[i+2] = src[at], src[at+step], src[at+2*step]
	}
}

// palette flattens a PNG palette, without its alpha. Entries the file does not
// have are black.
func palette(colours color.Palette) (flat [256][3]byte) {
	for i, c := range colours[:min(len(colours), 256)] {
		switch c := c.(type) {
		case color.RGBA:
			flat[i] = [3]byte{c.R, c.G, c.B}
		case color.NRGBA:
			flat[i] = [3]byte{c.R, c.G, c.B}
		}
	}
	return flat
}

// indexed looks each source byte up.
func indexed(dst, src []byte, colours *[256][3]byte) {
	for i := 0; i+2 < len(dst); i += 3 {
		c := &colours[src[i/3]]
		dst[i], dst[i+1], dst[i+2] = c[0], c[1], c[2]
	}
}

// inks converts CMYK as Pillow does: each colour is what its ink and the
// black leave of white.
func inks(dst, src []byte) {
	for i, at := 0, 0; i+2 < len(dst); i, at = i+3, at+4 {
		white := 255 - int(src[at+3])
		for c := range 3 {
			dst[i+c] = byte(max(0, white-scale255(int(src[at+c]), white)))
		}
	}
}

// scale255 returns a*b/255, rounded.
func scale255(a, b int) int {
	t := a*b + 128
	return (t>>8 + t) >> 8
}
