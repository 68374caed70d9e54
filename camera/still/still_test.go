package still

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/camera"
)

// colours of a picture of two columns and three rows, each pixel its own.
var corners = [3][2]color.NRGBA{
	{{10, 20, 30, 255}, {40, 50, 60, 255}},
	{{70, 80, 90, 255}, {100, 110, 120, 255}},
	{{130, 140, 150, 255}, {160, 170, 180, 255}},
}

// cornersPNG encodes corners with an eXIf chunk of the given orientation.
func cornersPNG(t testing.TB, orientation int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 2, 3))
	for y, row := range corners {
		for x, c := range row {
			img.Set(x, y, c)
		}
	}
	data := encodePNG(t, img)
	const afterHeader = 8 + 12 + 13
	chunk := pngChunk("eXIf", exifOrientation(binary.BigEndian, "MM", orientation))
	return bytes.Join([][]byte{data[:afterHeader], chunk, data[afterHeader:]}, nil)
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngChunk frames body as a chunk.
func pngChunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// exifOrientation is the smallest TIFF structure with an orientation.
func exifOrientation(order binary.AppendByteOrder, mark string, orientation int) []byte {
	b := order.AppendUint16([]byte(mark), 42)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, orientationTag)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, uint16(orientation))
	return order.AppendUint16(b, 0)
}

// at returns the pixel as a colour.
func at(f *camera.Frame, x, y int) color.NRGBA {
	p := f.Row(y)[3*x:]
	return color.NRGBA{p[0], p[1], p[2], 255}
}

func mustDecode(t testing.TB, data []byte) *camera.Frame {
	t.Helper()
	f := new(camera.Frame)
	if err := Decode(bytes.NewReader(data), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil || f.Format != camera.RGB24 {
		t.Fatalf("got %v frame, %v", f.Format, err)
	}
	return f
}

// TestOrientation names, for each EXIF value, the stored pixels that stand in
// the first row after turning the picture upright.
func TestOrientation(t *testing.T) {
	type xy struct{ x, y int }
	for orientation, want := range map[int][]xy{
		0: {{0, 0}, {1, 0}},
		1: {{0, 0}, {1, 0}},
		2: {{1, 0}, {0, 0}},
		3: {{1, 2}, {0, 2}},
		4: {{0, 2}, {1, 2}},
		5: {{0, 0}, {0, 1}, {0, 2}},
		6: {{0, 2}, {0, 1}, {0, 0}},
		7: {{1, 2}, {1, 1}, {1, 0}},
		8: {{1, 0}, {1, 1}, {1, 2}},
		9: {{0, 0}, {1, 0}},
	} {
		f := mustDecode(t, cornersPNG(t, orientation))
		if f.Width != len(want) || f.Width*f.Height != 6 {
			t.Errorf("orientation %d: got %dx%d", orientation, f.Width, f.Height)
			continue
		}
		for x, from := range want {
			if got := at(f, x, 0); got != corners[from.y][from.x] {
				t.Errorf("orientation %d, column %d: got %v, want stored pixel %v", orientation, x, got, from)
			}
		}
	}
}

// TestJPEGOrientation puts an APP1 segment in front of a picture, after
// another segment, in both byte orders.
func TestJPEGOrientation(t *testing.T) {
	plain := encodeJPEG(t, image.NewGray(image.Rect(0, 0, 5, 3)))
	for mark, order := range map[string]binary.AppendByteOrder{"II": binary.LittleEndian, "MM": binary.BigEndian} {
		body := append([]byte("Exif\x00\x00"), exifOrientation(order, mark, 6)...)
		data := []byte("\xff\xd8\xff\xfe\x00\x04hi\xff\xe1")
		data = binary.BigEndian.AppendUint16(data, uint16(len(body)+2))
		data = append(append(data, body...), plain[2:]...)
		if f := mustDecode(t, data); f.Width != 3 || f.Height != 5 {
			t.Errorf("%s: got %dx%d, want 3x5", mark, f.Width, f.Height)
		}
	}
}

// TestPNGKinds decodes one pixel of every kind of PNG.
func TestPNGKinds(t *testing.T) {
	box := image.Rect(0, 0, 1, 1)
	set := func(img interface {
		image.Image
		Set(x, y int, c color.Color)
	}, c color.Color) image.Image {
		img.Set(0, 0, c)
		return img
	}
	colour, clear := color.NRGBA{200, 100, 50, 255}, color.NRGBA{200, 100, 50, 7}
	for name, c := range map[string]struct {
		img  image.Image
		want color.NRGBA
	}{
		"grey":          {set(image.NewGray(box), color.Gray{77}), color.NRGBA{77, 77, 77, 255}},
		"grey 16":       {set(image.NewGray16(box), color.Gray16{0x4dff}), color.NRGBA{77, 77, 77, 255}},
		"rgb":           {set(image.NewNRGBA(box), colour), colour},
		"rgba":          {set(image.NewNRGBA(box), clear), colour},
		"rgb 16":        {set(image.NewRGBA64(box), color.RGBA64{200 << 8, 100 << 8, 50<<8 + 255, 0xffff}), colour},
		"rgba 16":       {set(image.NewNRGBA64(box), color.NRGBA64{200 << 8, 100<<8 + 255, 50 << 8, 9}), colour},
		"palette":       {image.NewPaletted(box, color.Palette{colour, color.Black}), colour},
		"palette alpha": {image.NewPaletted(box, color.Palette{clear, color.Black}), colour},
	} {
		if got := at(mustDecode(t, encodePNG(t, c.img)), 0, 0); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestBadFiles names the error of every kind of file that is no picture.
func TestBadFiles(t *testing.T) {
	goodJPEG := encodeJPEG(t, image.NewGray(image.Rect(0, 0, 64, 64)))
	goodPNG := cornersPNG(t, 1)
	huge := func(w, h uint32) []byte {
		body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(body, 8, 2, 0, 0, 0))...)
	}
	var gifData bytes.Buffer
	if err := gif.Encode(&gifData, image.NewGray(image.Rect(0, 0, 1, 1)), nil); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(goodPNG)
	flipped[len(flipped)-20] ^= 0xff
	for name, c := range map[string]struct {
		data []byte
		want error
		text string
	}{
		"zero bytes":     {nil, ErrEmpty, "empty"},
		"gif":            {gifData.Bytes(), ErrFormat, "got GIF, want JPEG or PNG"},
		"webp":           {[]byte("RIFF\x00\x00\x00\x00WEBPVP8 "), ErrFormat, "got WebP"},
		"video":          {[]byte("\x00\x00\x00\x20ftypisom...."), ErrFormat, "got MP4 video"},
		"lfs":            {[]byte("version https://git-lfs.github.com/spec/v1"), ErrFormat, "git lfs pull"},
		"text":           {[]byte("hello, world\n"), ErrFormat, "got text"},
		"three bytes":    {[]byte("abc"), ErrFormat, "few bytes"},
		"noise":          {[]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"), ErrFormat, "unknown data"},
		"jpeg marker":    {[]byte("\xff\xd8\xff"), ErrTruncated, "truncated"},
		"half a jpeg":    {goodJPEG[:len(goodJPEG)/2], ErrTruncated, "truncated"},
		"half a png":     {goodPNG[:len(goodPNG)-20], ErrTruncated, "truncated"},
		"png bad crc":    {flipped, ErrCorrupt, "corrupt"},
		"png 100k x 1k1": {huge(100_000, 1_001), ErrTooLarge, "100000x1001"},
		"png 2G x 2G":    {huge(1<<31-1, 1<<31-1), ErrTooLarge, ""},
		"png 0 x 5":      {huge(0, 5), ErrCorrupt, ""},
		"4-part jpeg":    {[]byte("\xff\xd8\xff\xc9\x00\x08\x08\x00\x01\x00\x01\x00\xff\xd9"), ErrUnsupported, ""},
	} {
		err := Decode(bytes.NewReader(c.data), new(camera.Frame))
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: got %v, want %v with %q", name, err, c.want, c.text)
		}
	}
}

// TestReader passes on errors of the reader.
func TestReader(t *testing.T) {
	r := io.MultiReader(strings.NewReader("\xff\xd8\xff"), errorReader{})
	if err := Decode(r, new(camera.Frame)); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, os.ErrPermission }

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "a.png")
	if err := os.WriteFile(good, cornersPNG(t, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	f := new(camera.Frame)
	if err := Open(good, f); err != nil || f.Name != good || f.Captured.IsZero() {
		t.Errorf("got %v, name %q, captured %v", err, f.Name, f.Captured)
	}
	if err := Open(filepath.Join(dir, "none.jpg"), f); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.jpg") {
		t.Errorf("missing file: got %v", err)
	}
	if err := Open(dir, f); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("folder: got %v", err)
	}
}

// TestReuse decodes twice into one frame.
func TestReuse(t *testing.T) {
	f := mustDecode(t, cornersPNG(t, 1))
	before := &f.Pix[0]
	if err := Decode(bytes.NewReader(cornersPNG(t, 6)), f); err != nil || &f.Pix[0] != before {
		t.Errorf("got %v, new memory %v", err, &f.Pix[0] != before)
	}
}

// TestEncodeJPEG encodes a flat colour in every format and decodes it again.
func TestEncodeJPEG(t *testing.T) {
	for format, pixel := range map[camera.Format][]byte{
		camera.RGB24: {200, 100, 50}, camera.BGR24: {50, 100, 200}, camera.Gray8: {120},
	} {
		f := &camera.Frame{Width: 17, Height: 9, Stride: 17*len(pixel) + 5, Format: format}
		for range f.Height {
			f.Pix = append(append(f.Pix, bytes.Repeat(pixel, 17)...), 1, 2, 3, 4, 5)
		}
		var b bytes.Buffer
		if err := EncodeJPEG(&b, f, 95); err != nil {
			t.Fatal(err)
		}
		got, want := at(mustDecode(t, b.Bytes()), 16, 8), color.NRGBA{200, 100, 50, 255}
		if format == camera.Gray8 {
			want = color.NRGBA{120, 120, 120, 255}
		}
		near := cmp.Comparer(func(a, b uint8) bool { return max(a, b)-min(a, b) <= 3 })
		if d := cmp.Diff(want, got, near); d != "" {
			t.Errorf("%v: %s", format, d)
		}
	}
}

func TestEncodeJPEGErrors(t *testing.T) {
	f := new(camera.Frame)
	if err := EncodeJPEG(io.Discard, f, 90); !errors.Is(err, camera.ErrGeometry) {
		t.Errorf("empty frame: got %v", err)
	}
	f.Resize(1, 1, camera.Gray8)
	for _, quality := range []int{0, 101} {
		if err := EncodeJPEG(io.Discard, f, quality); err == nil {
			t.Errorf("quality %d: got no error", quality)
		}
	}
	f.Resize(65536, 1, camera.Gray8)
	if err := EncodeJPEG(io.Discard, f, 90); !errors.Is(err, ErrTooLarge) {
		t.Errorf("65536 wide: got %v", err)
	}
}

// FuzzDecode feeds garbage: no panic, a named error or a good frame. Pictures
// of more than a million pixels are left out for the sake of speed.
func FuzzDecode(f *testing.F) {
	f.Add(encodeJPEG(f, image.NewGray(image.Rect(0, 0, 9, 5))))
	f.Add(encodeJPEG(f, image.NewYCbCr(image.Rect(0, 0, 17, 3), image.YCbCrSubsampleRatio420)))
	f.Add(cornersPNG(f, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cfg, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && cfg.Width*cfg.Height > 1e6 {
			return
		}
		frame := new(camera.Frame)
		err := Decode(bytes.NewReader(data), frame)
		if err == nil {
			err = frame.Check()
		}
		for _, named := range []error{nil, ErrEmpty, ErrFormat, ErrTooLarge, ErrTruncated, ErrCorrupt, ErrUnsupported} {
			if errors.Is(err, named) {
				return
			}
		}
		t.Errorf("got %v, want a named error", err)
	})
}

func BenchmarkDecode(b *testing.B) {
	img := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * 31)
	}
	data := encodeJPEG(b, img)
	f := new(camera.Frame)
	b.ReportAllocs()
	for b.Loop() {
		if err := Decode(bytes.NewReader(data), f); err != nil {
			b.Fatal(err)
		}
	}
}
