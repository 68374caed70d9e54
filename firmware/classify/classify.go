// Package classify runs one model over still images: the same preprocessing,
// sessions and per-frame decision as in flight, without a camera.
package classify

import (
	"fmt"
	"time"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/firmware/predict"
	"emberwing/infer"
)

// Classifier runs one model with its companions on one image at a time. It is
// not safe for concurrent use.
type Classifier struct {
	predictor *predict.Predictor
	frame     camera.Frame
	result    predict.Result
}

// Result is what the model said about one image. Its slices are valid until
// the next image.
type Result struct {
	*predict.Result
	Width, Height int // of the image, upright, in pixels

	Decode     time.Duration
	Preprocess time.Duration // all of it, before and between the models
}

// New returns a classifier that runs p, whose sessions stay the caller's.
func New(p *predict.Predictor) *Classifier { return &Classifier{predictor: p} }

// Alone returns a classifier of a model without its companions; the session
// stays the caller's.
func Alone(m *infer.Manifest, s infer.Session) (*Classifier, error) {
	p, err := predict.Alone(m, s)
	if err != nil {
		return nil, err
	}
	return New(p), nil
}

// Threshold returns what the alarm score, or the best score of a model without
// one, is compared with.
func (c *Classifier) Threshold() float32 { return c.predictor.Threshold() }

// File classifies the JPEG or PNG file at path.
func (c *Classifier) File(path string) (Result, error) {
	start := time.Now()
	if err := still.Open(path, &c.frame); err != nil {
		return Result{}, err
	}
	decoded := time.Now()
	r, err := c.Frame(&c.frame)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", path, err)
	}
	r.Decode = decoded.Sub(start)
	return r, nil
}

// Frame classifies a picture that is already in memory.
func (c *Classifier) Frame(f *camera.Frame) (Result, error) {
	start := time.Now()
	if err := c.predictor.Prepare(0, f); err != nil {
		return Result{}, err
	}
	prepared := time.Since(start)
	if err := c.predictor.Run(0, f, &c.result); err != nil {
		return Result{}, err
	}
	return Result{
		Result: &c.result, Width: f.Width, Height: f.Height,
		Preprocess: prepared + c.result.Spent[predict.Preprocess],
	}, nil
}

// Picture returns the image that was classified last; it is valid until the
// next.
func (c *Classifier) Picture() *camera.Frame { return &c.frame }
