//go:build opencv && cgo && matprofile

package opencv

import "gocv.io/x/gocv"

// mats returns the number of Mats that were not closed.
func mats() int { return gocv.MatProfile.Count() }
