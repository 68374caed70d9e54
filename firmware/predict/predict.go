package predict

import (
	"fmt"
	"sync/atomic"
	"time"

	"emberwing/camera"
	"emberwing/infer"
)

// Counts counts what happened beside the answers since the predictor was made.
type Counts struct {
	Gated     uint64 // frames that the gate held back
	Forced    uint64 // frames run against the gate, because too many were held back
	GateFault uint64 // frames run because the gate failed
	MaskFault uint64 // answers without a mask because the segmenter failed
	BadBoxes  uint64 // candidates of the localiser with NaN, infinity or no size
}

// Predictor runs one model with its companions. Prepare and Run may be called
// by two goroutines on different slots; neither is safe for more.
type Predictor struct {
	opts      Options
	main      *stage
	mix       *stage
	gate      *gate
	localiser *localiser
	segmenter *segmenter
	answer    *answerer
	vote      *vote
	ahead     *lens // belongs to Prepare
	late      *lens // belongs to Run
	counts    struct{ gated, forced, gateFault, maskFault, badBoxes atomic.Uint64 }
}

// New composes open models. The sessions stay the caller's and must outlive
// the predictor.
func New(parts Parts, o Options) (*Predictor, error) {
	if err := parts.check(); err != nil {
		return nil, err
	}
	p := &Predictor{opts: o}
	var err error
	if p.main, err = newStage(parts.Main); err != nil {
		return nil, err
	}
	if p.mix, err = newCompanion(parts.Mix); err != nil {
		return nil, err
	}
	if p.gate, err = newGate(parts.Gate, p.main); err != nil {
		return nil, err
	}
	if p.localiser, err = newLocaliser(parts.Localiser, p.main, p.mix); err != nil {
		return nil, err
	}
	if p.segmenter, err = newSegmenter(parts.Segmenter, p.main); err != nil {
		return nil, err
	}
	p.answer = newAnswerer(p.main, p.mix)
	p.vote = newVote(p.main)
	p.ahead, p.late = newLens(p.main, p.mix), newLens(p.main, p.mix)
	return p, nil
}

// Alone composes a model without what its manifest puts around it.
func Alone(m *infer.Manifest, s infer.Session) (*Predictor, error) {
	bare := *m
	bare.Gate, bare.Localiser, bare.Vote, bare.Mix, bare.Segmenter = nil, nil, nil, nil, nil
	return New(Parts{Main: Part{Manifest: &bare, Session: s}}, Options{})
}

// Manifest returns what the model declares.
func (p *Predictor) Manifest() *infer.Manifest { return p.main.Manifest }

// Variant returns the file that runs.
func (p *Predictor) Variant() infer.Variant { return p.main.variant }

// Threshold returns what Result.Trigger is compared with.
func (p *Predictor) Threshold() float32 { return p.main.variant.Threshold }

// MaskLabels names Result.Areas, nil without a segmenter.
func (p *Predictor) MaskLabels() []string {
	switch {
	case p.segmenter != nil:
		return p.segmenter.Manifest.Labels
	case p.main.Manifest.Is(infer.Segmenter):
		return p.main.Manifest.Labels
	}
	return nil
}

// MaskThreshold returns the score from which a cell of a mask counts, 0
// without a segmenter.
func (p *Predictor) MaskThreshold() float32 {
	if rule := p.masks(); rule != nil {
		return rule.Threshold()
	}
	return 0
}

// Slots returns the number of slots that all sessions have.
func (p *Predictor) Slots() int {
	n := p.main.Session.Report().Slots
	for _, s := range p.companions() {
		n = min(n, s.Session.Report().Slots)
	}
	return n
}

func (p *Predictor) companions() (all []*stage) {
	if p.gate != nil {
		all = append(all, p.gate.stage)
	}
	if p.localiser != nil {
		all = append(all, p.localiser.stage)
	}
	if p.mix != nil {
		all = append(all, p.mix)
	}
	if p.segmenter != nil {
		all = append(all, p.segmenter.stage)
	}
	return all
}

// Counts returns the counters. It may be called while the predictor works.
func (p *Predictor) Counts() Counts {
	c := &p.counts
	return Counts{Gated: c.gated.Load(), Forced: c.forced.Load(), GateFault: c.gateFault.Load(),
		MaskFault: c.maskFault.Load(), BadBoxes: c.badBoxes.Load()}
}

// Prepare writes f into the input of the model that comes first.
func (p *Predictor) Prepare(slot int, f *camera.Frame) error {
	switch {
	case p.gate != nil:
		return p.gate.ahead.into(p.gate.Session.Input(slot), f, wholeOf(f))
	case p.localiser != nil:
		return p.localiser.ahead.into(p.localiser.Session.Input(slot), f, wholeOf(f))
	}
	return p.vote.fill(slot, f, p.ahead)
}

// Run answers for the frame that Prepare wrote into slot; f is that frame. It
// allocates nothing once frames of this size have been seen.
func (p *Predictor) Run(slot int, f *camera.Frame, r *Result) error {
	r.reset()
	if p.gate != nil && p.heldBack(slot, r) {
		return nil
	}
	var err error
	switch {
	case !p.main.Manifest.Is(infer.Classifier):
		return p.alone(slot, f, r)
	case p.localiser != nil:
		err = p.localised(slot, f, r)
	default:
		err = p.voted(slot, f, r)
	}
	if err != nil {
		return fmt.Errorf("model %s: %w", p.main.Manifest.Name, err)
	}
	p.segment(slot, f, r)
	return nil
}

// voted answers for the whole frame, or for crops of it.
func (p *Predictor) voted(slot int, f *camera.Frame, r *Result) error {
	start := time.Now()
	v := p.vote
	if p.gate != nil { // Prepare has filled its input only
		if err := v.fill(slot, f, p.late); err != nil {
			return err
		}
		r.spend(Preprocess, start)
	}
	if err := p.answer.run(slot, r); err != nil {
		return err
	}
	r.camSeen = v.seen(slot)
	for i := 1; i < v.crops(slot); i++ {
		if err := p.another(slot, i, f, r); err != nil {
			return err
		}
	}
	return nil
}

// another lets crop i of the vote speak.
func (p *Predictor) another(slot, i int, f *camera.Frame, r *Result) error {
	start := time.Now()
	if _, err := p.late.into(slot, f, p.vote.crop(slot, i)); err != nil {
		return err
	}
	r.spend(Preprocess, start)
	next := &p.answer.next
	next.reset()
	if err := p.answer.run(slot, next); err != nil {
		return err
	}
	p.answer.rule.Blend(&r.Result, &next.Result, 1/float32(i+1))
	r.Crops++
	for s := range next.Spent {
		r.Spent[s] += next.Spent[s]
	}
	return nil
}
