package qdq

import "testing"

func TestLowerKeepsANodeWithoutBias(t *testing.T) {
	if got := lower(nil, nil); got != nil {
		t.Errorf("got a bias of %d values, want none", len(got))
	}
}
