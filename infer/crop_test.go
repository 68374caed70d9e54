package infer_test

import (
	"math"
	"testing"

	"emberwing/infer"
)

func TestSideIsALadder(t *testing.T) {
	for k, want := range map[int]int{0: 16, 1: 17, 2: 18, 12: 32, 24: 64, 30: 91, 60: 512} {
		if got := infer.Side(k); got != want {
			t.Errorf("step %d: got %d, want %d", k, got, want)
		}
	}
}

func TestCropAround(t *testing.T) {
	tests := []struct {
		name string
		box  infer.Box
		pad  float32
		want infer.Crop
	}{
		{"in the middle", infer.Box{X: 0.5, Y: 0.5, W: 0.1, H: 0.1}, 1, infer.Crop{X: 288, Y: 208, W: 64, H: 64}},
		{"rounded up", infer.Box{X: 0.5, Y: 0.5, W: 0.1, H: 0.1}, 1.01, infer.Crop{X: 286, Y: 206, W: 68, H: 68}},
		{"longer side counts", infer.Box{X: 0.5, Y: 0.5, W: 0.01, H: 0.2}, 1, infer.Crop{X: 272, Y: 192, W: 96, H: 96}},
		{"moved inside", infer.Box{X: 0, Y: 1, W: 0.1, H: 0.1}, 1, infer.Crop{X: 0, Y: 416, W: 64, H: 64}},
		{"beyond the edge", infer.Box{X: 1.5, Y: -3, W: 0.1, H: 0.1}, 1, infer.Crop{X: 576, Y: 0, W: 64, H: 64}},
		{"higher than the picture", infer.Box{X: 0.5, Y: 0.5, W: 0.8, H: 0.9}, 1, infer.Crop{X: 64, Y: 0, W: 512, H: 480}},
		{"larger than the picture", infer.Box{X: 0.5, Y: 0.5, W: 9, H: 9}, 4, infer.Crop{X: 0, Y: 0, W: 640, H: 480}},
		{"tiny", infer.Box{X: 0.5, Y: 0.5, W: 0.001, H: 0.001}, 1, infer.Crop{X: 312, Y: 232, W: 16, H: 16}},
		{"not a number", infer.Box{X: float32(math.NaN()), Y: 0.5, W: float32(math.Inf(1)), H: 1}, 1, infer.Crop{X: 0, Y: 0, W: 640, H: 480}},
	}
	for _, tt := range tests {
		if got := infer.CropAround(tt.box, tt.pad, 640, 480); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func FuzzCropAround(f *testing.F) {
	f.Add(float32(0.5), float32(0.5), float32(0.1), float32(0.2), float32(1.25), 640, 480)
	f.Add(float32(-1e30), float32(1e30), float32(1e38), float32(0), float32(4), 1, 1)
	f.Fuzz(func(t *testing.T, x, y, w, h, pad float32, width, height int) {
		if width < 1 || height < 1 || width > 1<<16 || height > 1<<16 || !(pad >= 1 && pad <= 4) {
			t.Skip()
		}
		c := infer.CropAround(infer.Box{X: x, Y: y, W: w, H: h}, pad, width, height)
		if c.X < 0 || c.Y < 0 || c.W < 1 || c.H < 1 || c.X+c.W > width || c.Y+c.H > height {
			t.Errorf("crop %+v leaves the picture of %dx%d", c, width, height)
		}
	})
}
