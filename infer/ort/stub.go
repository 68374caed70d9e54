//go:build !cgo || !linux

package ort

import "emberwing/infer"

// Runtime is never made in this build.
type Runtime struct{}

// Load returns ErrNoCgo.
func Load(libraryPath string) (*Runtime, error) { return nil, ErrNoCgo }

// Open returns ErrNoCgo.
func (*Runtime) Open(*infer.Model, infer.Options) (infer.Session, error) { return nil, ErrNoCgo }

// Version returns "".
func (*Runtime) Version() string { return "" }

// Path returns "".
func (*Runtime) Path() string { return "" }

// Level returns 0.
func (*Runtime) Level() int { return 0 }

// Providers returns nil.
func (*Runtime) Providers() []infer.Provider { return nil }

// Available returns ErrNoCgo.
func (*Runtime) Available(infer.Provider) error { return ErrNoCgo }

// Close returns nil.
func (*Runtime) Close() error { return nil }

// Net is never made in this build.
type Net struct{}

// OpenNet returns ErrNoCgo.
func (*Runtime) OpenNet([]byte, NetOptions) (*Net, error) { return nil, ErrNoCgo }

// Input returns nil.
func (*Net) Input(int) []float32 { return nil }

// Run returns ErrNoCgo.
func (*Net) Run() error { return ErrNoCgo }

// Output returns nil.
func (*Net) Output(int) []float32 { return nil }

// Shape returns nil.
func (*Net) Shape(int) []int64 { return nil }

// Close returns nil.
func (*Net) Close() error { return nil }
