// Package classify runs one model over still images: the same preprocessing,
// session and per-frame decision as in flight, without a camera.
package classify

import (
	"fmt"
	"time"

	"emberwing/camera"
	"emberwing/camera/pixel"
	"emberwing/camera/still"
	"emberwing/firmware/pipeline"
	"emberwing/infer"
)

// Classifier runs one model on one image at a time. It is not safe for
// concurrent use.
type Classifier struct {
	manifest *infer.Manifest
	session  infer.Session
	rule     *infer.Rule
	spec     pixel.Spec
	frame    camera.Frame
	result   infer.Result
}

// Result is what the model said about one image.
type Result struct {
	Label  int       // index of the best label
	Score  float32   // its calibrated probability
	Scores []float32 // of each label, in the order of the manifest; valid until the next image
	Alarm  float32   // alarm score of a model that has one

	Decode, Preprocess, Infer time.Duration
}

// New returns a classifier that runs session, which must have been opened from
// manifest and stays the caller's.
func New(manifest *infer.Manifest, session infer.Session) (*Classifier, error) {
	spec, err := pipeline.Spec(manifest.Input)
	if err != nil {
		return nil, err
	}
	variant, err := variantOf(manifest, session.Report().SHA256)
	if err != nil {
		return nil, err
	}
	return &Classifier{manifest: manifest, session: session, rule: manifest.Rule(variant), spec: spec}, nil
}

// variantOf returns the variant whose file the session runs.
func variantOf(m *infer.Manifest, sha256 string) (infer.Variant, error) {
	for _, v := range m.Variants {
		if v.SHA256 == sha256 {
			return v, nil
		}
	}
	return infer.Variant{}, fmt.Errorf("match session to model %s: got a session of file %.12s…, want one of the manifest's", m.Name, sha256)
}

// Threshold returns what the alarm score, or the best score of a model without
// one, is compared with.
func (c *Classifier) Threshold() float32 { return c.rule.Threshold() }

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
	plan, err := pixel.NewPlan(c.spec, f.Width, f.Height, f.Format)
	if err != nil {
		return Result{}, err
	}
	if err := plan.Into(c.session.Input(0), f); err != nil {
		return Result{}, err
	}
	prepared := time.Now()
	if err := c.session.Run(0); err != nil {
		return Result{}, err
	}
	ran := time.Now()
	if err := c.rule.Decide(c.session.Output(0), &c.result); err != nil {
		return Result{}, err
	}
	return Result{
		Label: c.result.Label, Score: c.result.Score, Scores: c.result.Scores, Alarm: c.result.Alarm,
		Preprocess: prepared.Sub(start), Infer: ran.Sub(prepared),
	}, nil
}
