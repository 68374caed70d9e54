package pixel

import (
	"fmt"
	"testing"

	"emberwing/camera"
)

// noise fills a frame with repeatable pseudo-random bytes.
func noise(w, h int, format camera.Format) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, format)
	x := uint32(w*7919 + h + 1)
	for i := range f.Pix {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		f.Pix[i] = byte(x >> 8)
	}
	return f
}

func BenchmarkInto(b *testing.B) {
	for _, c := range []struct {
		w, h, to int
		format   camera.Format
	}{
		{640, 480, 224, camera.RGB24},
		{640, 480, 224, camera.BGR24},
		{640, 480, 224, camera.Gray8},
		{640, 480, 160, camera.BGR24},
		{1280, 720, 224, camera.BGR24},
		{1920, 1080, 224, camera.BGR24},
		{160, 120, 224, camera.BGR24},
		{7296, 5472, 224, camera.RGB24},
	} {
		b.Run(fmt.Sprintf("%dx%d_to_%d_%v", c.w, c.h, c.to, c.format), func(b *testing.B) {
			f := noise(c.w, c.h, c.format)
			s := Spec{Width: c.to, Height: c.to, Std: [3]float32{1, 1, 1}}
			p, err := NewPlan(s, c.w, c.h, c.format)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]float32, s.Len())
			b.ReportAllocs()
			b.SetBytes(int64(len(f.Pix)))
			for b.Loop() {
				if err := p.Into(dst, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
