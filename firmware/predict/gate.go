package predict

import (
	"time"

	"emberwing/infer"
)

// gate is the tiny model that says which frames are worth the big one.
type gate struct {
	*stage
	ahead  filler // belongs to Prepare
	rule   *infer.Rule
	block  infer.Gate
	held   int // frames held back since the last run
	result infer.Result

	quiet int // label of the model for a frame that is held back
}

// newGate returns nil for nil.
func newGate(p *Part, main *stage) (*gate, error) {
	if p == nil {
		return nil, nil
	}
	s, err := newStage(*p)
	if err != nil {
		return nil, err
	}
	quiet := max(main.Manifest.Rule(main.variant).Quiet(), 0)
	return &gate{
		stage: s,
		ahead: filler{spec: s.spec},
		rule:  s.Manifest.Rule(s.variant),
		block: *main.Manifest.Gate,
		quiet: quiet,
	}, nil
}

// heldBack runs the gate and reports whether it ends the work on the frame.
// A gate that fails lets everything through, and is counted.
func (p *Predictor) heldBack(slot int, r *Result) bool {
	start := time.Now()
	g := p.gate
	err := g.Session.Run(slot)
	if err == nil {
		err = g.rule.Decide(g.Session.Output(slot), &g.result)
	}
	r.spend(Gate, start)
	if err != nil {
		p.counts.gateFault.Add(1)
		g.held = 0
		return false
	}
	r.Watched, r.GateScore = true, g.result.Alarm
	if g.result.Alarm >= g.block.Threshold || p.opts.Gate == GateWatches {
		g.held = 0
		return false
	}
	if g.held++; g.held >= g.block.Every && p.opts.Gate == GateHolds {
		g.held = 0
		p.counts.forced.Add(1)
		return false
	}
	p.counts.gated.Add(1)
	r.Gated = true
	p.answer.rule.Certain(g.quiet, 1-g.result.Alarm, &r.Result)
	return true
}
