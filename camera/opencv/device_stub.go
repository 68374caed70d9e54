//go:build !(opencv && cgo)

package opencv

import "fmt"

// openDevice refuses: this program was built without OpenCV.
func openDevice(Options) (device, error) {
	return nil, fmt.Errorf("%w: build with cgo and the tags and flags of scripts/cgo.env", ErrNotBuilt)
}
