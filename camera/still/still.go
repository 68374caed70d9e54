// Package still reads and writes single pictures: JPEG and PNG files become
// upright RGB frames with the pixels that Pillow and libjpeg-turbo give.
//
// Chroma of 4:2:0, 4:2:2 and 4:4:0 files is upsampled with libjpeg's triangle
// filter, YCbCr is converted with libjpeg's integers, 16-bit samples keep their
// high byte, alpha is dropped and the EXIF orientation is applied.
package still

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"time"

	"emberwing/camera"
)

// Errors of this package, wrapped with the details.
var (
	// ErrEmpty reports a file of no bytes.
	ErrEmpty = errors.New("empty picture file")
	// ErrFormat reports a file that is neither JPEG nor PNG.
	ErrFormat = errors.New("unknown picture format")
	// ErrTooLarge reports more pixels or bytes than [MaxPixels] or [MaxBytes].
	ErrTooLarge = errors.New("picture too large")
	// ErrTruncated reports a file that ends early.
	ErrTruncated = errors.New("picture truncated")
	// ErrCorrupt reports a file that breaks the rules of its format.
	ErrCorrupt = errors.New("picture corrupt")
	// ErrUnsupported reports a valid file of a rare kind, for instance an
	// arithmetic-coded JPEG.
	ErrUnsupported = errors.New("picture kind not supported")
)

// Limits, checked before any pixel is decoded.
const (
	MaxPixels = 100_000_000 // width times height
	MaxBytes  = 256 << 20   // size of the file
)

// Open decodes the file at path into f and sets f.Name to path. The error
// names the path and wraps an error of this package or of the file system.
func Open(path string, f *camera.Frame) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open picture: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open picture: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("open picture %s: got a folder, want a file: %w", path, fs.ErrInvalid)
	}
	if err := Decode(file, f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f.Name = path
	return nil
}

// Decode reads one JPEG or PNG picture from r into f as upright RGB24, packed,
// and reuses the capacity of f.Pix. It sets the geometry and Captured and
// leaves Seq and Name. On error the contents of f are undefined.
func Decode(r io.Reader, f *camera.Frame) error {
	data, err := readAll(r)
	if err != nil {
		return fmt.Errorf("decode picture: %w", err)
	}
	if err := decode(data, f); err != nil {
		return fmt.Errorf("decode picture: %w", err)
	}
	f.Captured = time.Now()
	return nil
}

// readAll reads r to its end and refuses nothing and too much.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, ErrEmpty
	case len(data) > MaxBytes:
		return nil, fmt.Errorf("%w: got more than %d bytes", ErrTooLarge, MaxBytes)
	}
	return data, nil
}

// decode recognises the format of data and decodes it.
func decode(data []byte, f *camera.Frame) error {
	switch kind := sniff(data); kind {
	case "JPEG":
		return decodeAs(data, f, jpeg.DecodeConfig, jpeg.Decode, jpegOrientation)
	case "PNG":
		return decodeAs(data, f, png.DecodeConfig, png.Decode, pngOrientation)
	default:
		return fmt.Errorf("%w: got %s, want JPEG or PNG", ErrFormat, kind)
	}
}

// decodeAs checks the size in the header, decodes, and paints the picture
// upright into f.
func decodeAs(
	data []byte, f *camera.Frame,
	header func(io.Reader) (image.Config, error),
	body func(io.Reader) (image.Image, error),
	orientation func([]byte) int,
) error {
	cfg, err := header(bytes.NewReader(data))
	if err != nil {
		return classify(err)
	}
	if err := checkSize(cfg.Width, cfg.Height); err != nil {
		return err
	}
	img, err := body(bytes.NewReader(data))
	if err != nil {
		return classify(err)
	}
	return paint(img, newCanvas(f, cfg.Width, cfg.Height, orientation(data)))
}

// checkSize refuses pictures without pixels and with too many.
func checkSize(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("%w: got %dx%d pixels, want at least 1x1", ErrCorrupt, w, h)
	}
	if w > MaxPixels/h {
		return fmt.Errorf("%w: got %dx%d, want at most %d pixels", ErrTooLarge, w, h, MaxPixels)
	}
	return nil
}

// classify turns the errors of the standard decoders into named ones. Two of
// those of PNG can be told by their text only.
func classify(err error) error {
	var jpegKind jpeg.UnsupportedError
	var pngKind png.UnsupportedError
	var pngFault png.FormatError
	errors.As(err, &pngFault)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), string(pngFault) == io.ErrUnexpectedEOF.Error():
		return fmt.Errorf("%w: %w", ErrTruncated, io.ErrUnexpectedEOF)
	case errors.As(err, &pngKind) && pngKind == "dimension overflow":
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.As(err, &jpegKind), errors.As(err, &pngKind):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}
