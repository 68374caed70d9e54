// Package engine opens models on this machine: it joins the shipped models,
// the ONNX Runtime library and what is known about the board.
package engine

import (
	"os"

	"emberwing/boards"
	"emberwing/infer"
	"emberwing/infer/models"
	"emberwing/infer/ort"
)

// Engine opens sessions. It is safe for concurrent use.
type Engine struct {
	runtime *ort.Runtime
	board   infer.Capability
}

// New loads the ONNX Runtime library; "" searches beside the program and in
// the system.
func New(library string) (*Engine, error) {
	rt, err := ort.Load(library)
	if err != nil {
		return nil, err
	}
	return &Engine{runtime: rt, board: Capability(boards.Detect(os.DirFS("/")))}, nil
}

// Close gives the library back. All sessions must be closed before.
func (e *Engine) Close() error { return e.runtime.Close() }

// Runtime returns the loaded library.
func (e *Engine) Runtime() *ort.Runtime { return e.runtime }

// Open finds, verifies and opens the model that a person names: a shipped
// model or the path of a manifest. The session is the caller's to close.
func (e *Engine) Open(name string, o infer.Options) (*infer.Model, infer.Session, error) {
	m, err := infer.Resolve(models.FS, name)
	if err != nil {
		return nil, nil, err
	}
	s, err := e.OpenModel(m, o)
	if err != nil {
		return nil, nil, err
	}
	return m, s, nil
}

// OpenModel opens a model that is loaded already. The session is the caller's
// to close.
func (e *Engine) OpenModel(m *infer.Model, o infer.Options) (infer.Session, error) {
	o.Board = e.board
	return e.runtime.Open(m, o)
}

// Capability says what infer needs to know of a board.
func Capability(d boards.Detection, _ error) infer.Capability {
	c := infer.Capability{Board: d.Board.ID}
	for _, p := range d.Board.FastPrecisions {
		c.Fast = append(c.Fast, infer.Precision(p))
	}
	return c
}

// Shipped lists the models inside this program.
func Shipped() []string { return infer.ModelNames(models.FS) }

// Find loads the manifest and verifies the files of the model that a person
// names, without opening a session.
func Find(name string) (*infer.Model, error) { return infer.Resolve(models.FS, name) }
