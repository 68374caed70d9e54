package pixel

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"emberwing/camera"
	"emberwing/camera/still"
)

// unit is a spec that leaves levels on the scale of 0..1.
func unit(w, h int, fit Fit) Spec {
	return Spec{Width: w, Height: h, Fit: fit, Std: [3]float32{1, 1, 1}}
}

// run makes a plan for f and returns its output.
func run(t testing.TB, s Spec, f *camera.Frame) []float32 {
	t.Helper()
	p, err := NewPlan(s, f.Width, f.Height, f.Format)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, s.Len())
	for i := range dst {
		dst[i] = float32(math.NaN())
	}
	if err := p.Into(dst, f); err != nil {
		t.Fatal(err)
	}
	return dst
}

// reference resizes one channel of f in float64, rounding to 8 bits after each
// pass. It is written from the definition and shares nothing with the plan but
// the order of the passes. Each pass adds bias before it rounds: a little less
// and a little more than nothing gives the bounds of what is right for sums
// near one half.
func reference(f *camera.Frame, channel, w, h int, bias float64) []float64 {
	pix := make([]float64, f.Width*f.Height)
	for i := range pix {
		pix[i] = float64(f.Row(i / f.Width)[i%f.Width*f.Format.Channels()+channel])
	}
	if columnsFirst(f.Width-w, f.Height-h) {
		pix = squeeze(pix, f.Width, f.Height, h, bias)
		return transpose(squeeze(transpose(pix, f.Width), h, f.Width, w, bias), h)
	}
	pix = transpose(squeeze(transpose(pix, f.Width), f.Height, f.Width, w, bias), f.Height)
	return squeeze(pix, w, f.Height, h, bias)
}

// squeeze changes the number of rows of a picture of w columns from n to m.
func squeeze(pix []float64, w, n, m int, bias float64) []float64 {
	out := make([]float64, w*m)
	scale := float64(n) / float64(m)
	for i := range out {
		sum, weights := 0.0, 0.0
		for y := range n {
			k := max(0, 1-math.Abs(float64(y)+0.5-(float64(i/w)+0.5)*scale)/max(scale, 1))
			sum += k * pix[y*w+i%w]
			weights += k
		}
		out[i] = math.Floor(sum/weights + 0.5 + bias)
	}
	return out
}

// transpose swaps rows and columns of a picture of w columns.
func transpose(pix []float64, w int) []float64 {
	h := len(pix) / w
	out := make([]float64, len(pix))
	for i, v := range pix {
		out[i%w*h+i/w] = v
	}
	return out
}

// sizes draws a frame of noise and a target.
func sizes(t *rapid.T) (f *camera.Frame, w, h int) {
	side := rapid.IntRange(1, 40)
	format := rapid.SampledFrom([]camera.Format{camera.RGB24, camera.BGR24, camera.Gray8}).Draw(t, "format")
	f = noise(side.Draw(t, "source width"), side.Draw(t, "source height"), format)
	return f, side.Draw(t, "width"), side.Draw(t, "height")
}

// TestReference compares with float64. What Pillow makes of sums of one half is
// pinned by TestPillowBits.
func TestReference(t *testing.T) {
	const bias = 2e-3 // 22-bit weights, some 40 of them, levels up to 255
	rapid.Check(t, func(rt *rapid.T) {
		f, w, h := sizes(rt)
		got := run(t, unit(w, h, Stretch), f)
		for c := range 3 {
			channel := c
			switch f.Format {
			case camera.BGR24:
				channel = 2 - c
			case camera.Gray8:
				channel = 0
			}
			low, high := reference(f, channel, w, h, -bias), reference(f, channel, w, h, bias)
			for i, v := range got[c*w*h : (c+1)*w*h] {
				if level := math.Round(float64(v) * 255); level < low[i] || level > high[i] {
					rt.Fatalf("channel %d, position %d: got %v, want %v to %v", c, i, level, low[i], high[i])
				}
			}
		}
	})
}

// TestConstant keeps a flat picture flat, in all fits.
func TestConstant(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, w, h := sizes(rt)
		level := rapid.Byte().Draw(rt, "level")
		for i := range f.Pix {
			f.Pix[i] = level
		}
		for _, fit := range []Fit{Stretch, CenterCrop} {
			for i, v := range run(t, unit(w, h, fit), f) {
				if v != float32(float64(level)/255) {
					rt.Fatalf("fit %d, float %d: got %v, want %v", fit, i, v*255, level)
				}
			}
		}
	})
}

// TestMonotone never makes an output darker when a source byte gets brighter.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, w, h := sizes(rt)
		before := run(t, unit(w, h, Stretch), f)
		at := rapid.IntRange(0, len(f.Pix)-1).Draw(rt, "byte")
		f.Pix[at] = byte(rapid.IntRange(int(f.Pix[at]), 255).Draw(rt, "level"))
		for i, v := range run(t, unit(w, h, Stretch), f) {
			if v < before[i] {
				rt.Fatalf("float %d: got %v after %v", i, v, before[i])
			}
		}
	})
}

// TestOrdersAndLayouts checks that all source formats, orders and layouts hold
// the same picture, and that padding is not read.
func TestOrdersAndLayouts(t *testing.T) {
	const w, h = 5, 4
	rgb := noise(9, 7, camera.RGB24)
	bgr := &camera.Frame{Width: 9, Height: 7, Stride: 9*3 + 4, Format: camera.BGR24}
	for y := range 7 {
		for x := range 9 {
			p := rgb.Row(y)[3*x:]
			bgr.Pix = append(bgr.Pix, p[2], p[1], p[0])
		}
		bgr.Pix = append(bgr.Pix, 255, 255, 255, 255)
	}
	want := run(t, unit(w, h, Stretch), rgb)
	for _, f := range []*camera.Frame{rgb, bgr} {
		for _, order := range []Order{RGB, BGR} {
			for _, layout := range []Layout{NCHW, NHWC} {
				s := unit(w, h, Stretch)
				s.Order, s.Layout = order, layout
				got := run(t, s, f)
				for i := range w * h {
					for c := range 3 {
						plane := c
						if order == BGR {
							plane = 2 - c
						}
						v := got[c*w*h+i]
						if layout == NHWC {
							v = got[3*i+c]
						}
						if v != want[plane*w*h+i] {
							t.Fatalf("%v, order %d, layout %d, pixel %d, channel %d: got %v, want %v",
								f.Format, order, layout, i, c, v, want[plane*w*h+i])
						}
					}
				}
			}
		}
	}
}

// TestNormalise applies mean and std in the order of the output.
func TestNormalise(t *testing.T) {
	f := &camera.Frame{Pix: []byte{51, 102, 255}, Width: 1, Height: 1, Stride: 3, Format: camera.RGB24}
	s := Spec{Width: 1, Height: 1, Order: BGR, Mean: [3]float32{0.5, 0.25, 0}, Std: [3]float32{0.5, 0.25, 2}}
	for i, want := range []float64{(1 - 0.5) / 0.5, (0.4 - 0.25) / 0.25, 0.2 / 2} {
		if got := float64(run(t, s, f)[i]); math.Abs(got-want) > 1e-6 {
			t.Errorf("channel %d: got %v, want %v", i, got, want)
		}
	}
}

// TestLetterbox fills the bars with normalised black, even with a mean.
func TestLetterbox(t *testing.T) {
	f := noise(8, 4, camera.RGB24)
	for i := range f.Pix {
		f.Pix[i] = 255
	}
	s := Spec{Width: 8, Height: 8, Fit: Letterbox, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}}
	for _, layout := range []Layout{NCHW, NHWC} {
		s.Layout = layout
		for i, v := range run(t, s, f) {
			y := i % 64 / 8
			if layout == NHWC {
				y = i / 24
			}
			if want := map[bool]float32{true: 1, false: -1}[y >= 2 && y < 6]; v != want {
				t.Fatalf("layout %d, float %d: got %v, want %v", layout, i, v, want)
			}
		}
	}
}

// TestExtremes goes through with shapes far from any camera.
func TestExtremes(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 5000}, {5000, 1}, {32, 32}, {7296, 5482}, {100_000, 3}, {1 << 20, 1}} {
		f := new(camera.Frame)
		f.Resize(size[0], size[1], camera.Gray8)
		for i := range f.Pix {
			f.Pix[i] = 255
		}
		for i, v := range run(t, unit(16, 16, Stretch), f) {
			if v < 0.97 || v > 1 { // windows of 100,000 pixels lose precision, as in Pillow
				t.Errorf("%dx%d, float %d: got %v, want 1", size[0], size[1], i, v)
				break
			}
		}
	}
}

func TestErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	good := unit(4, 4, Stretch)
	for want, change := range map[string]func(s *Spec){
		"got size 0x4":    func(s *Spec) { s.Width = 0 },
		"got size 4x4097": func(s *Spec) { s.Height = 4097 },
		"got fit 3":       func(s *Spec) { s.Fit = 3 },
		"order 2":         func(s *Spec) { s.Order = 2 },
		"layout 2":        func(s *Spec) { s.Layout = 2 },
		"mean[1] NaN":     func(s *Spec) { s.Mean[1] = nan },
		"std[2] 0":        func(s *Spec) { s.Std[2] = 0 },
		"std[0] -1":       func(s *Spec) { s.Std[0] = -1 },
		"std[1] +Inf":     func(s *Spec) { s.Std[1] = inf },
	} {
		s := good
		change(&s)
		if _, err := NewPlan(s, 4, 4, camera.RGB24); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, size := range [][2]int{{0, 1}, {1, -1}, {1 << 20, 101}, {math.MaxInt, math.MaxInt}} {
		if _, err := NewPlan(good, size[0], size[1], camera.RGB24); !errors.Is(err, ErrSource) {
			t.Errorf("source %v: got %v", size, err)
		}
	}
	if _, err := NewPlan(good, 4, 4, 7); !errors.Is(err, ErrSource) {
		t.Errorf("format 7: got %v", err)
	}
}

// TestIntoErrors refuses what the plan was not made for and writes nothing.
func TestIntoErrors(t *testing.T) {
	p, err := NewPlan(unit(2, 2, Stretch), 8, 6, camera.RGB24)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 12)
	short := noise(8, 6, camera.RGB24)
	short.Pix = short.Pix[:100]
	for _, f := range []*camera.Frame{{}, noise(6, 8, camera.RGB24), noise(8, 6, camera.BGR24), short} {
		if err := p.Into(dst, f); !errors.Is(err, ErrSource) {
			t.Errorf("got %v, want %v", err, ErrSource)
		}
	}
	for _, n := range []int{0, 11, 13} {
		if err := p.Into(make([]float32, n), noise(8, 6, camera.RGB24)); !errors.Is(err, ErrLength) {
			t.Errorf("%d floats: got %v", n, err)
		}
	}
	for i, v := range dst {
		if v != 0 {
			t.Fatalf("float %d was written: %v", i, v)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, fit := range []Fit{Stretch, Letterbox, CenterCrop} {
		for _, f := range []*camera.Frame{noise(64, 48, camera.BGR24), noise(9, 5, camera.Gray8)} {
			s := unit(32, 32, fit)
			p, err := NewPlan(s, f.Width, f.Height, f.Format)
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]float32, s.Len())
			if n := testing.AllocsPerRun(10, func() {
				if err := p.Into(dst, f); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("fit %d: got %v allocations, want 0", fit, n)
			}
		}
	}
}

// TestPhotographs compares the whole way from a JPEG file to the input with
// what Pillow made of the same file. What differs is the rounding inside the
// JPEG decoders.
func TestPhotographs(t *testing.T) {
	names, err := filepath.Glob("testdata/pil/*.jpg")
	if err != nil || len(names) < 5 {
		t.Fatalf("got %d photographs, %v", len(names), err)
	}
	for _, name := range names {
		var photo camera.Frame
		if err := still.Open(name, &photo); err != nil {
			t.Fatal(err)
		}
		for _, side := range []int{160, 224} {
			var want camera.Frame
			if err := still.Open(fmt.Sprintf("%s_%d.png", strings.TrimSuffix(name, ".jpg"), side), &want); err != nil {
				t.Fatal(err)
			}
			sum, largest := 0.0, 0.0
			for i, level := range levels(t, unit(side, side, Stretch), &photo) {
				d := math.Abs(float64(level) - float64(want.Pix[i]))
				sum += d
				largest = max(largest, d)
			}
			mean := sum / float64(len(want.Pix))
			t.Logf("%s to %d: mean %.4f levels, largest %v", filepath.Base(name), side, mean, largest)
			if mean > 0.1 || largest > 3 {
				t.Errorf("%s to %d: got mean %.4f levels, largest %v, want at most 0.1 and 3", name, side, mean, largest)
			}
		}
	}
}
