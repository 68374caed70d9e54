package still

import (
	"fmt"
	"image"
	"image/jpeg"
	"io"

	"emberwing/camera"
)

// EncodeJPEG writes f to w as a baseline JPEG of the given quality, 1..100.
// The error wraps [camera.ErrGeometry] for a bad frame and is else that of w.
func EncodeJPEG(w io.Writer, f *camera.Frame, quality int) error {
	if quality < 1 || quality > 100 {
		return fmt.Errorf("encode JPEG: got quality %d, want 1 to 100", quality)
	}
	if err := f.Check(); err != nil {
		return fmt.Errorf("encode JPEG: %w", err)
	}
	if f.Width > 65535 || f.Height > 65535 {
		return fmt.Errorf("encode JPEG: %w: got %dx%d, want sides of at most 65535", ErrTooLarge, f.Width, f.Height)
	}
	if err := jpeg.Encode(w, view(f), &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("encode JPEG: %w", err)
	}
	return nil
}

// view returns f as an image that the encoder reads fast. Grey frames share
// their pixels, others are copied.
func view(f *camera.Frame) image.Image {
	if f.Format == camera.Gray8 {
		return &image.Gray{Pix: f.Pix, Stride: f.Stride, Rect: image.Rect(0, 0, f.Width, f.Height)}
	}
	img := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	red, blue := 0, 2
	if f.Format == camera.BGR24 {
		red, blue = blue, red
	}
	for y := range f.Height {
		dst := img.Pix[y*img.Stride:]
		for src := f.Row(y); len(src) >= 3; src, dst = src[3:], dst[4:] {
			dst[0], dst[1], dst[2], dst[3] = src[red], src[1], src[blue], 255
		}
	}
	return img
}
