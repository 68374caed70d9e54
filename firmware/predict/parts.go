package predict

import (
	"fmt"
	"slices"

	"emberwing/camera/pixel"
	"emberwing/infer"
)

// Part is an open model. The session is the caller's.
type Part struct {
	Manifest *infer.Manifest
	Session  infer.Session
}

// Parts is a model with the companions that its manifest names; the others are
// nil.
type Parts struct {
	Main      Part
	Gate      *Part
	Localiser *Part
	Mix       *Part
	Segmenter *Part
}

// GateMode says what a gate may do.
type GateMode uint8

// The modes.
const (
	// GateHolds skips the model on frames that the gate finds empty, and runs it
	// every so often all the same.
	GateHolds GateMode = iota
	// GateStills is the same for pictures that do not follow each other: none
	// is run for the sake of those before it.
	GateStills
	// GateWatches runs the gate, reports its score and holds nothing back.
	GateWatches
)

// Options changes how parts are used.
type Options struct {
	Gate GateMode
	// Off names blocks of the manifest to leave out; see [Blocks].
	Off []string
	// Vote and Mix, if set, stand in place of the manifest's.
	Vote *infer.Vote
	Mix  *infer.Mix
}

// Blocks lists what of a manifest can be left out.
func Blocks() []string {
	return []string{"gate", "localiser", "vote", "mix", "segmenter", "ood", "cam", "temperature"}
}

// Edit changes a manifest before its companions are opened, and validates what
// came out.
func (o *Options) Edit(m *infer.Manifest) error {
	for _, block := range o.Off {
		switch block {
		case "gate":
			m.Gate = nil
		case "localiser":
			m.Localiser = nil
		case "vote":
			m.Vote = nil
		case "mix":
			m.Mix = nil
		case "segmenter":
			m.Segmenter = nil
		case "ood":
			for i := range m.Variants {
				m.Variants[i].OOD = nil
			}
		case "cam":
			m.CAM = nil
		case "temperature":
			for i := range m.Variants {
				m.Variants[i].Temperature = 1
			}
		default:
			return fmt.Errorf("leave out a block: got %q, want one of %v", block, Blocks())
		}
	}
	if o.Vote != nil {
		m.Vote = o.Vote
	}
	if o.Mix != nil {
		m.Mix = o.Mix
	}
	return m.Validate()
}

// check demands that the companions fit the model.
func (p *Parts) check() error {
	m := p.Main.Manifest
	bad := func(block, want string) error {
		return fmt.Errorf("compose model %s: %s: got an unfit model, want %s", m.Name, block, want)
	}
	present := func(declared bool, part *Part) bool { return declared == (part != nil) }
	switch {
	case !present(m.Gate != nil, p.Gate), !present(m.Localiser != nil, p.Localiser), !present(m.Mix != nil, p.Mix),
		!present(m.Segmenter != nil, p.Segmenter):
		return bad("companions", fmt.Sprintf("open sessions of %v", m.Companions()))
	case p.Gate != nil && (!p.Gate.Manifest.Is(infer.Classifier) || p.Gate.Manifest.Alarm == nil):
		return bad("gate "+p.Gate.Manifest.Name, "a classifier with an alarm")
	case p.Localiser != nil && !p.Localiser.Manifest.Is(infer.Detector):
		return bad("localiser "+p.Localiser.Manifest.Name, "a detector")
	case p.Mix != nil && (!p.Mix.Manifest.Is(infer.Classifier) || !slices.Equal(p.Mix.Manifest.Labels, m.Labels)):
		return bad("mix "+p.Mix.Manifest.Name, fmt.Sprintf("a classifier with labels %v", m.Labels))
	case p.Segmenter != nil && !p.Segmenter.Manifest.Is(infer.Segmenter):
		return bad("segmenter "+p.Segmenter.Manifest.Name, "a segmenter")
	}
	return nil
}

// stage is one model of the composition.
type stage struct {
	Part
	variant infer.Variant
	spec    pixel.Spec
}

func newStage(p Part) (*stage, error) {
	spec, err := Spec(p.Manifest.Input)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", p.Manifest.Name, err)
	}
	v, err := variantOf(p.Manifest, p.Session.Report().SHA256)
	if err != nil {
		return nil, err
	}
	return &stage{Part: p, variant: v, spec: spec}, nil
}

// newCompanion is newStage for a part that may be nil.
func newCompanion(p *Part) (*stage, error) {
	if p == nil {
		return nil, nil
	}
	return newStage(*p)
}

// variantOf returns the variant whose file a session runs.
func variantOf(m *infer.Manifest, sha256 string) (infer.Variant, error) {
	for _, v := range m.Variants {
		if v.SHA256 == sha256 {
			return v, nil
		}
	}
	return infer.Variant{}, fmt.Errorf(
		"match session to model %s: got a session of file %.12s…, want one of the manifest's",
		m.Name,
		sha256,
	)
}
