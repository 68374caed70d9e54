// Package pictures feeds JPEG and PNG files to graphs, prepared exactly as in
// flight.
package pictures

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"emberwing/camera"
	"emberwing/camera/pixel"
	"emberwing/camera/still"
)

// Set is a list of pictures for one kind of input. It is not safe for
// concurrent use.
type Set struct {
	files []string
	spec  pixel.Spec
	id    string
	frame camera.Frame
}

// New lists pictures, which are read once to identify them.
func New(files []string, spec pixel.Spec) (*Set, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%+v\n", spec)
	for _, name := range files {
		if err := add(h, name); err != nil {
			return nil, fmt.Errorf("read picture: %w", err)
		}
	}
	return &Set{files: files, spec: spec, id: hex.EncodeToString(h.Sum(nil))}, nil
}

// add hashes the content of a file.
func add(h io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(h, f)
	fmt.Fprintf(h, "\n%d\n", n)
	return err
}

// Len returns the number of pictures.
func (s *Set) Len() int { return len(s.files) }

// File returns the path of picture i.
func (s *Set) File(i int) string { return s.files[i] }

// ID identifies the content of the pictures, their order and the preparation.
func (s *Set) ID() string { return s.id }

// Load decodes and prepares picture i into dst, whose length must be that of
// the input.
func (s *Set) Load(i int, dst []float32) error {
	if err := still.Open(s.files[i], &s.frame); err != nil {
		return err
	}
	plan, err := pixel.NewPlan(s.spec, s.frame.Width, s.frame.Height, s.frame.Format)
	if err == nil {
		err = plan.Into(dst, &s.frame)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.files[i], err)
	}
	return nil
}
