//go:build !cgo || !linux

package ort

import (
	"errors"
	"testing"

	"emberwing/infer"
)

func TestStubSaysWhy(t *testing.T) {
	rt, err := Load("")
	if rt != nil || !errors.Is(err, ErrNoCgo) {
		t.Errorf("got %v, %v, want %v", rt, err, ErrNoCgo)
	}
	if _, err := rt.Open(nil, infer.Options{}); !errors.Is(err, ErrNoCgo) {
		t.Errorf("got %v, want %v", err, ErrNoCgo)
	}
	if err := rt.Available(infer.CPU); !errors.Is(err, ErrNoCgo) {
		t.Errorf("got %v, want %v", err, ErrNoCgo)
	}
}
