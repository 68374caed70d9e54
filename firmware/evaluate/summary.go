package evaluate

import "math"

// steepness is the constant of LR0.FM's correction for chance.
const steepness = 200

// leastOfSource is how many pictures a source needs to count in a summary over
// sources.
const leastOfSource = 10

// Robust compares an accuracy on spoilt pictures with that on clean ones in
// the way of LR0.FM (arXiv:2502.03950).
type Robust struct {
	// Relative is accuracy over clean accuracy.
	Relative float64 `json:"relative"`
	// AboveChance is the same of what each lies above chance, 0..1 or more: a
	// model that guesses holds 0 of its skill.
	AboveChance float64 `json:"above_chance"`
	// Gamma is Relative·(1-exp(-200·(clean-chance)²)): a model that was hardly
	// better than chance cannot look robust. The form is from memory of the paper
	// and not checked against it.
	Gamma float64 `json:"gamma"`
}

// robust compares two accuracies.
func robust(spoilt, clean, chance float64) (r Robust) {
	if clean <= 0 {
		return r
	}
	skill := max(clean-chance, 0)
	r.Relative = spoilt / clean
	r.Gamma = r.Relative * (1 - math.Exp(-steepness*skill*skill))
	if skill > 0 {
		r.AboveChance = max(spoilt-chance, 0) / skill
	}
	return r
}

// bySource is a summary of Gamma over sources of at least ten pictures.
type bySource struct {
	// SAR is the plain mean.
	SAR float64 `json:"sar"`
	// WAR weighs each source by how far its clean accuracy lies above chance.
	// LR0.FM fits weights to its fifteen data sets; these are ours.
	WAR     float64 `json:"war"`
	Sources int     `json:"sources"`
}

// overSources summarises tallies of the same sources.
func overSources(spoilt, clean map[string]*tally, chance float64) (b bySource) {
	weights := 0.0
	for name, c := range clean {
		s := spoilt[name]
		if s == nil || c.n < leastOfSource {
			continue
		}
		gamma, weight := robust(s.accuracy(), c.accuracy(), chance).Gamma, max(c.accuracy()-chance, 0)
		b.Sources++
		b.SAR += gamma
		b.WAR += weight * gamma
		weights += weight
	}
	b.SAR /= float64(max(b.Sources, 1))
	if weights > 0 {
		b.WAR /= weights
	}
	return b
}
