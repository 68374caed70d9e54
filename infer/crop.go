package infer

import "math"

// Box is an object in a picture: its centre and sides, as shares of the
// picture's width and height. It may lie partly outside.
type Box struct {
	X, Y, W, H float32
	Label      int     // index into the labels of the detector
	Score      float32 // 0..1
}

// Crop is a rectangle of whole pixels inside a picture.
type Crop struct{ X, Y, W, H int }

// The sides of crops are steps of a ladder, so that a fixed set of resizing
// plans serves every box: 16 pixels and up, twelve steps to the octave.
const (
	firstSide      = 16
	sidesPerOctave = 12
)

// Side returns step k of the ladder: floor(16·2^(k/12) + 0.5).
func Side(k int) int {
	return int(math.Floor(firstSide*math.Exp2(float64(k)/sidesPerOctave) + 0.5))
}

// sideFor returns the first step of the ladder that is at least side, to a
// hundredth of a pixel: shares in float32 are no more exact.
func sideFor(side float64) int {
	side -= 0.01
	k := 0
	if side > firstSide {
		k = int(math.Ceil(math.Log2(side/firstSide)*sidesPerOctave)) - 1
	}
	for k = max(k, 0); float64(Side(k)) < side; {
		k++
	}
	return Side(k)
}

// CropAround returns the part of a picture of width by height pixels that a
// classifier sees of box b: a square around the box's centre, pad times the
// longer side of the box rounded up to a step of the ladder. A square larger
// than the picture loses what does not fit in, and it moves as far as it must
// to lie inside.
func CropAround(b Box, pad float32, width, height int) Crop {
	w, h := float64(b.W)*float64(width), float64(b.H)*float64(height)
	side := float64(pad) * max(w, h)
	if !(side <= float64(max(width, height))) {
		side = float64(max(width, height))
	}
	c := CropOf(sideFor(side), width, height)
	c.X = place(float64(b.X)*float64(width), c.W, width)
	c.Y = place(float64(b.Y)*float64(height), c.H, height)
	return c
}

// CropOf returns the size of a crop of the given side in a picture.
func CropOf(side, width, height int) Crop { return Crop{W: min(side, width), H: min(side, height)} }

// place returns where a side of n pixels around centre begins, 0..limit-n.
func place(centre float64, n, limit int) int {
	at := math.Floor(centre - float64(n)/2 + 0.5)
	if !(at > 0) { // also for NaN
		return 0
	}
	return int(min(at, float64(limit-n)))
}
