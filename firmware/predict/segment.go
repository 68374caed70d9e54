package predict

import (
	"time"

	"emberwing/camera"
	"emberwing/infer"
)

// segmenter finds what part of a frame shows the alarm.
type segmenter struct {
	*stage
	rule   *infer.MaskRule
	late   filler
	always bool
}

// newSegmenter returns nil for nil.
func newSegmenter(p *Part, main *stage) (*segmenter, error) {
	if p == nil {
		return nil, nil
	}
	s, err := newStage(*p)
	if err != nil {
		return nil, err
	}
	return &segmenter{
		stage:  s,
		rule:   s.Manifest.MaskRule(s.variant),
		late:   filler{spec: s.spec},
		always: main.Manifest.Segmenter.Always,
	}, nil
}

// segment adds masks to an answer that is worth it. A segmenter that fails
// never holds an answer back; it is counted.
func (p *Predictor) segment(slot int, f *camera.Frame, r *Result) {
	s := p.segmenter
	if s == nil || !s.always && r.Trigger < p.Threshold() {
		return
	}
	start := time.Now()
	err := s.late.into(s.Session.Input(slot), f, wholeOf(f))
	if err == nil {
		err = s.Session.Run(slot)
	}
	if err == nil {
		err = s.measure(slot, s.late.seen(wholeOf(f), f.Width, f.Height), r)
	}
	if err != nil {
		p.counts.maskFault.Add(1)
	}
	r.spend(Segment, start)
}

// measure turns the output of slot, which shows the part seen of the frame,
// into areas.
func (s *segmenter) measure(slot int, seen Rect, r *Result) error {
	r.masks = append(r.masks[:0], s.Session.Output(slot)...)
	if err := s.rule.Scores(r.masks); err != nil {
		r.masks = r.masks[:0]
		return err
	}
	r.Segmented, r.maskSeen = true, seen
	share := seen.W * seen.H // of the frame that the whole mask covers
	for l := range s.Manifest.Labels {
		r.Areas = append(r.Areas, min(share*s.rule.Region(r.masks, l).Area, 1))
	}
	all := s.rule.Region(r.masks, -1)
	r.Area = min(share*all.Area, 1)
	if all.Area > 0 {
		r.Centre = [2]float32{seen.X + all.X*seen.W, seen.Y + all.Y*seen.H}
		r.Extent = clip(
			Rect{
				X: seen.X + all.Left*seen.W,
				Y: seen.Y + all.Top*seen.H,
				W: (all.Right - all.Left) * seen.W,
				H: (all.Bottom - all.Top) * seen.H,
			},
		)
	}
	return nil
}

// alone answers with a detector or segmenter that stands by itself: each label
// scores as its best box or cell.
func (p *Predictor) alone(slot int, f *camera.Frame, r *Result) error {
	start := time.Now()
	if err := p.main.Session.Run(slot); err != nil {
		return err
	}
	start = r.spend(Infer, start)
	r.Crops = 1
	scores := append(r.Scores[:0], make([]float32, len(p.main.Manifest.Labels))...)
	if p.main.Manifest.Is(infer.Segmenter) {
		s := &segmenter{stage: p.main, rule: p.main.Manifest.MaskRule(p.main.variant)}
		if err := s.measure(slot, p.vote.seen(slot), r); err != nil {
			return err
		}
		for l := range scores {
			scores[l] = s.rule.Region(r.masks, l).Peak
		}
	} else if err := p.boxesAlone(slot, r, scores); err != nil {
		return err
	}
	r.Scores = scores
	for l, s := range scores {
		if s > r.Score {
			r.Label, r.Score, r.Raw, r.Trigger = l, s, s, s
		}
	}
	r.spend(Decide, start)
	return nil
}

func (p *Predictor) boxesAlone(slot int, r *Result, scores []float32) error {
	boxes, bad, err := p.main.Manifest.BoxRule(p.main.variant).Decide(p.main.Session.Output(slot), nil)
	p.counts.badBoxes.Add(uint64(bad))
	if err != nil {
		return err
	}
	r.Boxes = len(boxes)
	seen := p.vote.seen(slot)
	for i, b := range boxes {
		if i == 0 {
			r.Boxed, r.BoxP = true, b.Score
			r.Box = clip(
				Rect{X: seen.X + (b.X-b.W/2)*seen.W, Y: seen.Y + (b.Y-b.H/2)*seen.H, W: b.W * seen.W, H: b.H * seen.H},
			)
		}
		scores[b.Label] = max(scores[b.Label], b.Score)
	}
	return nil
}
