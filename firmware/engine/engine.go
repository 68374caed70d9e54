// Package engine opens models on this machine: it joins the shipped models,
// the ONNX Runtime library and what is known about the board.
package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"emberwing/boards"
	"emberwing/firmware/predict"
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
// model or the path of a manifest. The session is the caller's to close. The
// model's companions are left out; see [Engine.Load].
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

// Loaded is a model with everything its manifest puts around it, ready to run.
type Loaded struct {
	*predict.Predictor
	Model    *infer.Model
	sessions []infer.Session // the model's own first
}

// Load finds, verifies and opens a model and its companions, which lie beside
// it or are shipped. All are opened with the same options, but Method holds for
// the model alone. The caller closes what it gets.
func (e *Engine) Load(name string, o infer.Options, use predict.Options) (*Loaded, error) {
	m, err := infer.Resolve(models.FS, name)
	if err == nil {
		err = use.Edit(&m.Manifest)
	}
	if err != nil {
		return nil, err
	}
	session, err := e.OpenModel(m, o)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Model: m, sessions: []infer.Session{session}}
	parts := predict.Parts{Main: predict.Part{Manifest: &m.Manifest, Session: session}}
	o.Board, o.Method = e.board, ""
	if err := l.companions(e, o, &parts); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.Predictor, err = predict.New(parts, use); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// companions opens what the manifest names into parts.
func (l *Loaded) companions(e *Engine, o infer.Options, parts *predict.Parts) error {
	m := &l.Model.Manifest
	var errs []error
	open := func(block, name string, to **predict.Part) {
		c, err := companion(l.Model, name)
		if err == nil {
			var s infer.Session
			if s, err = e.runtime.Open(c, o); err == nil {
				l.sessions = append(l.sessions, s)
				*to = &predict.Part{Manifest: &c.Manifest, Session: s}
				return
			}
		}
		errs = append(errs, fmt.Errorf("open %s of model %s: %w", block, m.Name, err))
	}
	if m.Gate != nil {
		open("gate", m.Gate.Model, &parts.Gate)
	}
	if m.Localiser != nil {
		open("localiser", m.Localiser.Model, &parts.Localiser)
	}
	if m.Mix != nil {
		open("mix", m.Mix.Model, &parts.Mix)
	}
	if m.Segmenter != nil {
		open("segmenter", m.Segmenter.Model, &parts.Segmenter)
	}
	return errors.Join(errs...)
}

// companion loads the model of the given name from beside m, else the shipped
// one.
func companion(m *infer.Model, name string) (*infer.Model, error) {
	c, err := m.Companion(name)
	if errors.Is(err, fs.ErrNotExist) && slices.Contains(Shipped(), name) {
		return infer.Load(models.FS, path.Join(name, infer.ManifestFile))
	}
	return c, err
}

// CheckCompanions verifies the files of every model that m names, and that they
// have the precisions of m.
func CheckCompanions(m *infer.Model) error {
	var errs []error
	for _, name := range m.Companions() {
		c, err := companion(m, name)
		if err == nil {
			for _, p := range m.Precisions() {
				if _, e := c.Variant(p); e != nil {
					err = errors.Join(err, e)
				}
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("companion %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Reports says what runs, the model's own session first.
func (l *Loaded) Reports() []infer.Report {
	all := make([]infer.Report, len(l.sessions))
	for i, s := range l.sessions {
		all[i] = s.Report()
	}
	return all
}

// Session returns the session of the model itself.
func (l *Loaded) Session() infer.Session { return l.sessions[0] }

// Close closes all sessions.
func (l *Loaded) Close() error {
	var errs []error
	for _, s := range l.sessions {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
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
