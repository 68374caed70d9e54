package predict

import (
	"fmt"
	"math"
	"time"

	"emberwing/camera"
	"emberwing/infer"
)

// labelNone is the label of a model that can say that there is nothing.
const labelNone = "none"

// localiser finds what the model should look at.
type localiser struct {
	*stage
	rule  *infer.BoxRule
	block infer.Localiser
	boxes []infer.Box
	none  int // label of the model for nothing found, -1 without one

	ahead filler // belongs to Prepare
	late  filler // belongs to Run
	crops *ladder
	whole *lens // for pictures that are crops already
}

// newLocaliser returns nil for nil.
func newLocaliser(p *Part, main, mix *stage) (*localiser, error) {
	if p == nil {
		return nil, nil
	}
	s, err := newStage(*p)
	if err != nil {
		return nil, err
	}
	return &localiser{
		stage: s, rule: s.Manifest.BoxRule(s.variant), block: *main.Manifest.Localiser,
		boxes: make([]infer.Box, 0, infer.MaxBoxes), none: main.Manifest.Label(labelNone),
		ahead: filler{spec: s.spec}, late: filler{spec: s.spec},
		crops: &ladder{main: main, mix: mix}, whole: newLens(main, mix),
	}, nil
}

// find runs the detector and keeps its boxes in l.boxes.
func (l *localiser) find(slot int, f *camera.Frame, r *Result) (bad int, err error) {
	start := time.Now()
	if err := l.Session.Run(slot); err != nil {
		return 0, fmt.Errorf("localiser: %w", err)
	}
	l.boxes, bad, err = l.rule.Decide(l.Session.Output(slot), l.boxes[:0])
	if err != nil {
		return bad, fmt.Errorf("localiser: %w", err)
	}
	if err := l.toFrame(f); err != nil {
		return bad, fmt.Errorf("localiser: %w", err)
	}
	l.dropSmall(f)
	r.spend(Localise, start)
	r.Boxes = len(l.boxes)
	return bad, nil
}

// toFrame turns shares of the input into shares of the frame. Only a
// letterboxed or cropped input differs from the frame.
func (l *localiser) toFrame(f *camera.Frame) error {
	if l.Manifest.Input.Fit == "stretch" {
		return nil
	}
	if err := l.late.fit(f.Width, f.Height, f.Format); err != nil {
		return err
	}
	in := l.late.seen(wholeOf(f), f.Width, f.Height)
	for i := range l.boxes {
		b := &l.boxes[i]
		b.X, b.Y, b.W, b.H = in.X+b.X*in.W, in.Y+b.Y*in.H, b.W*in.W, b.H*in.H
	}
	return nil
}

func (l *localiser) dropSmall(f *camera.Frame) {
	kept := l.boxes[:0]
	for _, b := range l.boxes {
		if max(b.W*float32(f.Width), b.H*float32(f.Height)) >= float32(l.block.MinPixels) {
			kept = append(kept, b)
		}
	}
	l.boxes = kept
}

// localised answers for what the localiser finds in f.
func (p *Predictor) localised(slot int, f *camera.Frame, r *Result) error {
	l := p.localiser
	if p.gate != nil { // Prepare has filled its input only
		start := time.Now()
		if err := l.late.into(l.Session.Input(slot), f, wholeOf(f)); err != nil {
			return err
		}
		r.spend(Preprocess, start)
	}
	best, err := p.wholly(slot, f, r)
	if err != nil || best > 0 && r.Label != l.none {
		return err
	}
	bad, err := l.find(slot, f, r)
	p.counts.badBoxes.Add(uint64(bad))
	if err != nil {
		return err
	}
	if len(l.boxes) == 0 && best < 0 {
		p.nothing(r)
	}
	for _, b := range l.boxes { // best first
		if root(b.Score) <= best {
			break // even a sure answer would not be better
		}
		if err := p.look(slot, f, b, r, &best); err != nil {
			return err
		}
	}
	return nil
}

// rate is how good an answer for a box is: the geometric mean of the box's
// score and the square of the best label's probability, label "none" left out.
// Without such a label the box alone decides.
func (l *localiser) rate(box float32, scores []float32) float32 {
	if l.none < 0 {
		return root(box)
	}
	return root(box) * surest(scores, l.none)
}

// surest returns the largest score of all labels but none.
func surest(scores []float32, none int) (best float32) {
	for i, s := range scores {
		if i != none {
			best = max(best, s)
		}
	}
	return best
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// look classifies one box and keeps its answer in r if it is the best so far.
func (p *Predictor) look(slot int, f *camera.Frame, b infer.Box, r *Result, best *float32) error {
	next := &p.answer.next
	next.reset()
	start := time.Now()
	crop := infer.CropAround(b, p.localiser.block.Pad, f.Width, f.Height)
	seen, err := p.localiser.crops.into(slot, f, crop)
	if err != nil {
		return err
	}
	next.spend(Preprocess, start)
	if err := p.answer.run(slot, next); err != nil {
		return err
	}
	next.camSeen = seen
	next.Boxed, next.BoxP, next.Box = true, b.Score, clip(Rect{X: b.X - b.W/2, Y: b.Y - b.H/2, W: b.W, H: b.H})
	next.Crops += r.Crops
	keep := p.localiser.rate(b.Score, next.Scores)
	for s := range r.Spent {
		next.Spent[s] += r.Spent[s]
	}
	next.Boxes, next.Watched, next.GateScore = r.Boxes, r.Watched, r.GateScore
	if keep > *best {
		*best = keep
		r.CopyFrom(next)
		return nil
	}
	r.Spent, r.Crops = next.Spent, next.Crops
	return nil
}

// wholly classifies a small picture, which is a crop already, and returns the
// score that the answer of a box must beat; -1 for any other picture.
func (p *Predictor) wholly(slot int, f *camera.Frame, r *Result) (best float32, err error) {
	l := p.localiser
	if max(f.Width, f.Height) > l.block.WholeSide {
		return -1, nil
	}
	start := time.Now()
	seen, err := l.whole.into(slot, f, wholeOf(f))
	if err != nil {
		return -1, err
	}
	r.spend(Preprocess, start)
	if err := p.answer.run(slot, r); err != nil {
		return -1, err
	}
	r.camSeen = seen
	if l.none < 0 {
		return 1, nil
	}
	return surest(r.Scores, l.none), nil
}

// nothing answers for a frame without a box.
func (p *Predictor) nothing(r *Result) {
	if none := p.localiser.none; none >= 0 {
		p.answer.rule.Certain(none, 1, &r.Result)
	} else {
		p.answer.rule.Nothing(&r.Result)
	}
}

// clip returns the part of r that lies in the frame.
func clip(r Rect) Rect {
	x0, y0 := min(max(r.X, 0), 1), min(max(r.Y, 0), 1)
	x1, y1 := min(max(r.X+r.W, 0), 1), min(max(r.Y+r.H, 0), 1)
	return Rect{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
}
