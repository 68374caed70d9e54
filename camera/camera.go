// Package camera defines what a picture is, where pictures come from, and who
// owns their memory: [Frame], [Source] and the fixed [Ring] of frames that a
// capture loop borrows from.
//
// The adapters live in sub-packages: opencv (cameras and video files), replay
// (recorded flights), synth (a rendered flight), still (JPEG and PNG files).
// The sub-package pixel turns a frame into the input of a network.
package camera

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrGeometry is the sentinel of [Frame.Check]: the geometry of a frame and
// the bytes in it do not agree.
var ErrGeometry = errors.New("bad frame geometry")

// Format says how the bytes of a pixel are laid out. All formats are packed,
// 8 bits a channel, rows top to bottom.
type Format uint8

// The pixel formats.
const (
	RGB24 Format = iota // 3 bytes a pixel: red, green, blue
	BGR24               // 3 bytes a pixel: blue, green, red (OpenCV's order)
	Gray8               // 1 byte a pixel: luma
)

// Channels returns the bytes of a pixel: 3 or 1, and 0 for an unknown format.
func (f Format) Channels() int {
	switch f {
	case RGB24, BGR24:
		return 3
	case Gray8:
		return 1
	}
	return 0
}

// String returns the name used in logs and errors.
func (f Format) String() string {
	switch f {
	case RGB24:
		return "RGB24"
	case BGR24:
		return "BGR24"
	case Gray8:
		return "Gray8"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Frame is one picture with its place in the stream. Whoever holds the Frame
// owns Pix; a [Source] overwrites it on the next ReadFrame into the same Frame.
type Frame struct {
	// Pix holds Height rows of Stride bytes. Its capacity is reused.
	Pix []byte
	// Width and Height are in pixels, Stride in bytes from row to row.
	Width, Height, Stride int
	// Format is the layout of a pixel.
	Format Format
	// Seq counts the frames of the source from 0; a gap is a lost frame.
	Seq uint64
	// Captured is when the frame arrived, with wall and monotonic readings.
	Captured time.Time
	// Name is the file the frame came from, "" when there is none.
	Name string
}

// Resize sets the geometry to w by h packed pixels of the given format and
// makes Pix exactly as long, reusing its capacity. The bytes are undefined
// afterwards; the other fields stay. Negative sizes count as 0.
func (f *Frame) Resize(w, h int, format Format) {
	w, h = max(w, 0), max(h, 0)
	f.Width, f.Height, f.Format = w, h, format
	f.Stride = w * format.Channels()
	n := f.Stride * h
	if cap(f.Pix) < n {
		f.Pix = make([]byte, n)
	}
	f.Pix = f.Pix[:n]
}

// Row returns the pixels of row y without the padding, 0 <= y < Height.
func (f *Frame) Row(y int) []byte {
	n := f.Width * f.Format.Channels()
	return f.Pix[y*f.Stride:][:n:n]
}

// View returns the part of f from column x and row y on, w by h pixels, which
// must lie inside f. It shares Pix with f, and allocates nothing.
func (f *Frame) View(x, y, w, h int) Frame {
	v := *f
	v.Pix = f.Pix[y*f.Stride+x*f.Format.Channels():]
	v.Width, v.Height = w, h
	return v
}

// Check returns nil when the frame has at least one pixel, a known format and
// all its bytes, and otherwise an error that wraps [ErrGeometry].
func (f *Frame) Check() error {
	row := f.Width * f.Format.Channels()
	switch {
	case f.Width < 1 || f.Height < 1:
		return fmt.Errorf("%w: got %dx%d, want at least 1x1", ErrGeometry, f.Width, f.Height)
	case f.Format.Channels() == 0:
		return fmt.Errorf("%w: got %v, want RGB24, BGR24 or Gray8", ErrGeometry, f.Format)
	case f.Stride < row:
		return fmt.Errorf("%w: got stride %d, want at least %d for %d pixels of %v", ErrGeometry, f.Stride, row, f.Width, f.Format)
	case len(f.Pix) < (f.Height-1)*f.Stride+row:
		return fmt.Errorf("%w: got %d bytes, want %d for %dx%d %v", ErrGeometry, len(f.Pix), (f.Height-1)*f.Stride+row, f.Width, f.Height, f.Format)
	}
	return nil
}

// CopyFrom makes f an independent copy of src, reusing the capacity of f.Pix.
func (f *Frame) CopyFrom(src *Frame) {
	pix := append(f.Pix[:0], src.Pix...)
	*f = *src
	f.Pix = pix
}

// Info describes a source. A zero field is unknown.
type Info struct {
	// Kind names the adapter: "opencv", "replay", "synth", "script".
	Kind string
	// Name tells sources of one kind apart: a path, a device, a seed. It
	// never holds credentials.
	Name string
	// Width and Height are the expected size of a frame in pixels.
	Width, Height int
	// FPS is the nominal rate in frames per second.
	FPS float64
}

// Source delivers frames in order. ReadFrame is called by one goroutine at a
// time; Info and Close may be called by others meanwhile.
type Source interface {
	// ReadFrame blocks until the next frame has been written into f, whose
	// memory it reuses. It returns [io.EOF] at the end of the stream,
	// [os.ErrClosed] after Close, the error of ctx at its deadline or when it
	// is cancelled, and any other error when the source is broken. On error f
	// holds nothing of use.
	ReadFrame(ctx context.Context, f *Frame) error
	// Info describes the source.
	Info() Info
	// Close frees the source and unblocks ReadFrame. It may be called twice.
	Close() error
}
