package pixel_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"emberwing/camera"
	"emberwing/camera/pixel"
)

// scene paints smooth blobs, so that neighbouring pixels are alike as in a
// photograph.
func scene(w, h int, seed uint64, format camera.Format) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, format)
	level := make([]float64, w*h)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		x, y, size, height := r.Float64()*float64(w), r.Float64()*float64(h), 2+8*r.Float64(), 120*(r.Float64()-0.5)
		for j := max(0, int(y-4*size)); j < min(h, int(y+4*size)); j++ {
			for i := max(0, int(x-4*size)); i < min(w, int(x+4*size)); i++ {
				d := math.Hypot(float64(i)-x, float64(j)-y) / size
				level[j*w+i] += height * math.Exp(-d*d)
			}
		}
	}
	c := format.Channels()
	for i := range f.Pix {
		f.Pix[i] = byte(min(max(128+level[i/c], 0), 255))
	}
	return f
}

// TestAnchorsFollowTheScene moves a window over scenes by one pixel and by
// three and counts how often the crop does not show the same pixels. With room
// for n places in each direction, a move by m changes about m/n of them.
func TestAnchorsFollowTheScene(t *testing.T) {
	const w, h, margin, scenes = 160, 120, 40, 24
	changed := map[int]int{}
	for seed := range uint64(scenes) {
		big := scene(w+8, h+8, seed, camera.RGB24)
		at := func(dx, dy int) pixel.Point {
			v := big.View(4+dx, 4+dy, w, h)
			a, err := pixel.NewAnchors(w, h, camera.RGB24, w-margin, h-margin)
			if err != nil {
				t.Fatal(err)
			}
			var p [1]pixel.Point
			if n, err := a.Find(&v, p[:]); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			return pixel.Point{X: p[0].X + dx, Y: p[0].Y + dy} // in the scene
		}
		base := at(0, 0)
		for _, move := range []int{1, 3} {
			for _, d := range [][2]int{{1, 0}, {-1, 0}, {0, 1}, {0, -1}} {
				if at(move*d[0], move*d[1]) != base {
					changed[move]++
				}
			}
		}
	}
	t.Logf("crops that changed: %d of %d by one pixel, %d by three", changed[1], 4*scenes, changed[3])
	if changed[1] > 4*scenes/8 || changed[3] > 4*scenes/3 {
		t.Errorf("got %v changed of %d, want few", changed, 4*scenes)
	}
}

func TestAnchorsAreInsideAndApart(t *testing.T) {
	for _, format := range []camera.Format{camera.RGB24, camera.Gray8, camera.BGR24} {
		f := scene(100, 80, 1, format)
		a, err := pixel.NewAnchors(100, 80, format, 80, 64)
		if err != nil {
			t.Fatal(err)
		}
		var p [4]pixel.Point
		n, err := a.Find(f, p[:])
		if err != nil || n < 2 {
			t.Fatalf("got %d, %v", n, err)
		}
		for i, q := range p[:n] {
			if q.X < 0 || q.Y < 0 || q.X > 20 || q.Y > 16 {
				t.Errorf("crop at %+v leaves the picture", q)
			}
			for _, o := range p[:i] {
				if max(q.X-o.X, o.X-q.X) <= 5 && max(q.Y-o.Y, o.Y-q.Y) <= 4 {
					t.Errorf("crops at %+v and %+v are not apart", q, o)
				}
			}
		}
		if n := testing.AllocsPerRun(20, func() { a.Find(f, p[:]) }); n != 0 {
			t.Errorf("got %v allocations, want 0", n)
		}
	}
}

func TestAnchorsRefuse(t *testing.T) {
	for _, tt := range [][4]int{{100, 100, 101, 50}, {100, 100, 50, 0}, {15, 15, 12, 12}} {
		if _, err := pixel.NewAnchors(tt[0], tt[1], camera.RGB24, tt[2], tt[3]); !errors.Is(err, pixel.ErrSource) {
			t.Errorf("%v: got %v, want %v", tt, err, pixel.ErrSource)
		}
	}
	a, err := pixel.NewAnchors(100, 80, camera.RGB24, 80, 64)
	if err != nil {
		t.Fatal(err)
	}
	var p [1]pixel.Point
	if _, err := a.Find(scene(80, 100, 1, camera.RGB24), p[:]); !errors.Is(err, pixel.ErrSource) {
		t.Errorf("another size: got %v, want %v", err, pixel.ErrSource)
	}
}

func TestPlanSource(t *testing.T) {
	tests := []struct {
		fit        pixel.Fit
		u, v, x, y float64
		ok         bool
	}{
		{pixel.Stretch, 0.25, 0.5, 0.25, 0.5, true},
		{pixel.Letterbox, 0.5, 0.5, 0.5, 0.5, true},
		{pixel.Letterbox, 0.25, 0.25, 0.25, 0, true}, // 2:1 into a square: a quarter above and below
		{pixel.Letterbox, 0.5, 0.1, 0.5, -0.3, false},
		{pixel.CenterCrop, 0, 0.5, 0.25, 0.5, true},
		{pixel.CenterCrop, 1, 1, 0.75, 1, true},
	}
	for _, tt := range tests {
		p, err := pixel.NewPlan(pixel.Spec{Width: 64, Height: 64, Fit: tt.fit, Std: [3]float32{1, 1, 1}}, 200, 100, camera.RGB24)
		if err != nil {
			t.Fatal(err)
		}
		x, y, ok := p.Source(tt.u, tt.v)
		if math.Abs(x-tt.x) > 1e-6 || math.Abs(y-tt.y) > 1e-6 || ok != tt.ok {
			t.Errorf("%+v: got %v, %v, %v", tt, x, y, ok)
		}
	}
}
