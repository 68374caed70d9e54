package predict

import "math"

// Bearing returns how many degrees to the right of the middle of a frame
// something lies whose x is a share of the frame's width, for a pinhole camera
// with a horizontal field of view of fov degrees, 0 < fov < 180.
func Bearing(x float32, fov float64) float64 {
	half := math.Tan(fov / 2 * math.Pi / 180)
	return math.Atan((2*float64(x)-1)*half) * 180 / math.Pi
}
