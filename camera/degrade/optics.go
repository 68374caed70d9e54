package degrade

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"

	"emberwing/camera"
	"emberwing/camera/still"
)

// noise adds Gaussian noise of the given deviation in levels.
func noise(f *camera.Frame, deviation float64, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x6e6f697365))
	for i, p := range f.Pix {
		f.Pix[i] = clip(float64(p) + deviation*r.NormFloat64())
	}
}

// compress writes f as JPEG and reads it again.
func (w *Worker) compress(f *camera.Frame, quality int) error {
	var file bytes.Buffer
	if err := still.EncodeJPEG(&file, f, quality); err != nil {
		return fmt.Errorf("degrade %s: %w", JPEG, err)
	}
	name := f.Name
	if err := still.Decode(&file, f); err != nil {
		return fmt.Errorf("degrade %s: %w", JPEG, err)
	}
	f.Name = name
	return nil
}

// gaussian blurs both ways with the given deviation in pixels.
func (w *Worker) gaussian(f *camera.Frame, deviation float64) {
	n := int(math.Ceil(3 * deviation))
	kernel := make([]float32, 2*n+1)
	for i := range kernel {
		d := float64(i-n) / deviation
		kernel[i] = float32(math.Exp(-d * d / 2))
	}
	normalise(kernel)
	w.filter(f, kernel, 3, f.Width, f.Stride, f.Height)
	w.filter(f, kernel, f.Stride, f.Height, 3, f.Width)
}

// motion averages over a sideways path of the given length in pixels; the ends
// count by their share.
func (w *Worker) motion(f *camera.Frame, length float64) {
	n := int(math.Ceil((length - 1) / 2))
	kernel := make([]float32, 2*n+1)
	for i := range kernel {
		d := math.Abs(float64(i - n))
		kernel[i] = float32(min(max(length/2+0.5-d, 0), 1))
	}
	normalise(kernel)
	w.filter(f, kernel, 3, f.Width, f.Stride, f.Height)
}

func normalise(kernel []float32) {
	sum := float32(0)
	for _, k := range kernel {
		sum += k
	}
	for i := range kernel {
		kernel[i] /= sum
	}
}

// filter convolves lines of count pixels, step bytes apart, in each of lines
// lines, which lie apart bytes apart. Beyond the ends the last pixel goes on.
func (w *Worker) filter(f *camera.Frame, kernel []float32, step, count, apart, lines int) {
	n := len(kernel) / 2
	if cap(w.a) < count+2*n {
		w.a = make([]float32, count+2*n)
	}
	line := w.a[:count+2*n]
	for i := range lines {
		for c := range 3 {
			at := i*apart + c
			for x := range line {
				line[x] = float32(f.Pix[at+step*min(max(x-n, 0), count-1)])
			}
			for x := range count {
				sum := float32(0.5)
				for k, weight := range kernel {
					sum += weight * line[x+k]
				}
				f.Pix[at+step*x] = byte(min(sum, 255))
			}
		}
	}
}

// shake moves each row sideways by a wave with the given largest shift in
// pixels.
func (w *Worker) shake(f *camera.Frame, amplitude float64, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x7368616b65))
	phase, waves := 2*math.Pi*r.Float64(), 1.5+r.Float64()
	w.frame.CopyFrom(f)
	for y := range f.Height {
		shift := amplitude * math.Sin(phase+2*math.Pi*waves*float64(y)/float64(f.Height))
		from, to := w.frame.Row(y), f.Row(y)
		whole := math.Floor(shift)
		part := shift - whole
		for x := range f.Width {
			a := min(max(x+int(whole), 0), f.Width-1)
			b := min(a+1, f.Width-1)
			for c := range 3 {
				to[3*x+c] = clip((1-part)*float64(from[3*a+c]) + part*float64(from[3*b+c]))
			}
		}
	}
}
