package predict_test

import (
	"math"
	"testing"

	"emberwing/firmware/predict"
)

func TestBearing(t *testing.T) {
	for _, tt := range []struct {
		x         float32
		fov, want float64
	}{{0.5, 62, 0}, {1, 62, 31}, {0, 62, -31}, {0.75, 90, 26.565051}} {
		if got := predict.Bearing(tt.x, tt.fov); math.Abs(got-tt.want) > 1e-4 {
			t.Errorf("x %v of %v degrees: got %v, want %v", tt.x, tt.fov, got, tt.want)
		}
	}
}
