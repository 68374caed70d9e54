//go:build !(opencv && cgo)

package opencv

import (
	"errors"
	"testing"
)

// TestNotBuilt explains what is missing.
func TestNotBuilt(t *testing.T) {
	if _, err := Open(live); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("got %v, want %v", err, ErrNotBuilt)
	}
}
