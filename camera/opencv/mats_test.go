//go:build opencv && cgo && !matprofile

package opencv

// mats is not counted without the tag matprofile.
func mats() int { return 0 }
