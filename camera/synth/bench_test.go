package synth

import (
	"testing"

	"emberwing/camera"
)

// BenchmarkRender reports the cost of a frame at the default size in three
// moments of the default flight: clear, at the height of the fire, and with
// the hand in view.
func BenchmarkRender(b *testing.B) {
	f, err := New(Options{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		seconds float64
	}{{"clear", 2}, {"fire", 16}, {"hand", 26}} {
		b.Run(c.name, func(b *testing.B) {
			var fr camera.Frame
			seq := uint64(c.seconds * f.fps)
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Render(seq, &fr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNew is the cost of growing a flight.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{Seed: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
