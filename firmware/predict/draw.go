package predict

import (
	"emberwing/camera"
	"emberwing/camera/overlay"
)

// Draw draws heat and the box of r into f: what an operator should look at.
func Draw(f *camera.Frame, r *Result, heat *Heat) {
	overlay.Heat(f, heat.Values, heat.W, heat.H, overlay.Rect(heat.Over))
	if r.Boxed {
		overlay.Box(f, overlay.Rect(r.Box), overlay.White)
	}
}

// Focus returns the part of the frame behind an answer: the localiser's box,
// else what surrounds the segmenter's area, else what surrounds the hot half
// of heat. ok is false when nothing is known.
func Focus(r *Result, heat *Heat) (part Rect, ok bool) {
	switch {
	case r.Boxed:
		return r.Box, true
	case r.Segmented && r.Area > 0:
		return r.Extent, true
	}
	return heat.Extent(0.5)
}
