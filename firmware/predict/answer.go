package predict

import (
	"time"

	"emberwing/infer"
)

// answerer turns filled inputs into an answer: the model's, mixed with that of
// the other one where there is one, and how familiar the picture is.
type answerer struct {
	main, mix   *stage
	rule        *infer.Rule
	mixRule     *infer.Rule
	familiarity *infer.Familiarity
	other       infer.Result
	next        Result // of further crops
}

func newAnswerer(main, mix *stage) *answerer {
	a := &answerer{
		main:        main,
		mix:         mix,
		rule:        main.Manifest.Rule(main.variant),
		familiarity: infer.NewFamiliarity(main.variant.OOD),
	}
	if mix != nil {
		a.mixRule = mix.Manifest.Rule(mix.variant)
	}
	return a
}

// run runs the model and fills r, all but what localiser and gate say.
func (a *answerer) run(slot int, r *Result) error {
	start := time.Now()
	if err := a.main.Session.Run(slot); err != nil {
		return err
	}
	if a.mix != nil {
		if err := a.mix.Session.Run(slot); err != nil {
			return err
		}
	}
	start = r.spend(Infer, start)
	if err := a.decide(slot, r); err != nil {
		return err
	}
	r.spend(Decide, start)
	r.Crops = 1
	return nil
}

func (a *answerer) decide(slot int, r *Result) error {
	s := a.main.Session
	if err := a.rule.Decide(s.Output(slot), &r.Result); err != nil {
		return err
	}
	if a.mix != nil {
		if err := a.mixRule.Decide(a.mix.Session.Output(slot), &a.other); err != nil {
			return err
		}
		r.Other = a.main.Manifest.Mix.Weight(&r.Result, &a.other)
		a.rule.Blend(&r.Result, &a.other, r.Other)
	}
	r.cam = append(r.cam[:0], s.Extra(slot, infer.CAM)...)
	if a.familiarity == nil {
		return nil
	}
	d, err := a.familiarity.Distance(s.Extra(slot, infer.Features))
	if err != nil {
		return err
	}
	r.Measured, r.Distance, r.Limit = true, d, a.familiarity.Threshold()
	r.Unknown = d > r.Limit
	return nil
}
