package evaluate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"emberwing/camera"
	"emberwing/camera/degrade"
	"emberwing/camera/still"
	"emberwing/firmware/predict"
)

// Model answers for a frame, as *classify.Classifier does with a closure.
type Model func(f *camera.Frame) (*predict.Result, error)

// Sides are the default resolutions of the sweep, in pixels of the shorter
// side.
func Sides() []int { return []int{16, 32, 64, 96, 128, 160, 224} }

// Parts lists the parts of the report that can be left out.
func Parts() []string { return []string{"resolution", "corruption", "motion"} }

// Robustness collects how answers hold up.
type Robustness struct {
	model Model
	judge *Judge
	seed  uint64
	sides []int
	kinds []degrade.Kind

	worker              degrade.Worker
	frame, view         camera.Frame
	base                predict.Result
	clean               *BySource
	all                 tally
	coarse              map[int]map[string]*tally // by side and source
	spoilt              map[degrade.Kind]*[degrade.Severities]tally
	pixels, motions     []flips
	distances, mistakes []float32 // of right and of wrong clean answers
	failed              int
}

// flips counts how often an answer changes under one motion.
type flips struct {
	motion        degrade.Motion
	pairs         int
	labels, raise int
	change        float64
}

// NewRobustness prepares a report with the given parts, nil for all. sides of
// nil are the default ones.
func NewRobustness(model Model, judge *Judge, sides []int, seed uint64, parts []string) (*Robustness, error) {
	for _, p := range parts {
		if !slices.Contains(Parts(), p) {
			return nil, fmt.Errorf("report on robustness: got part %q, want some of %v", p, Parts())
		}
	}
	with := func(part string) bool { return parts == nil || slices.Contains(parts, part) }
	if sides == nil {
		sides = Sides()
	}
	if !with("resolution") {
		sides = nil
	}
	r := &Robustness{model: model, judge: judge, seed: seed, sides: sides, clean: NewBySource(judge),
		coarse: map[int]map[string]*tally{}, spoilt: map[degrade.Kind]*[degrade.Severities]tally{}}
	for _, s := range sides {
		r.coarse[s] = map[string]*tally{}
	}
	if with("corruption") {
		r.kinds = degrade.Kinds()
	}
	for _, k := range r.kinds {
		r.spoilt[k] = new([degrade.Severities]tally)
	}
	if !with("motion") {
		return r, nil
	}
	for _, m := range degrade.PixelShifts()[1:] {
		r.pixels = append(r.pixels, flips{motion: m})
	}
	for _, m := range degrade.CameraMotions()[1:] {
		r.motions = append(r.motions, flips{motion: m})
	}
	return r, nil
}

// Runs is the number of answers that one picture asks for.
func (r *Robustness) Runs() int {
	n := 1 + len(r.sides) + len(r.kinds)*degrade.Severities + len(r.pixels) + len(r.motions)
	if len(r.pixels) > 0 {
		n += 2 // the unmoved views
	}
	return n
}

// Add judges one picture in all its forms. A picture that cannot be read is an
// error and counts in nothing but Failed.
func (r *Robustness) Add(ctx context.Context, p Picture) error {
	err := still.Open(p.Path, &r.frame)
	if err == nil {
		err = r.picture(ctx, p)
	}
	if err != nil && ctx.Err() == nil {
		r.failed++
	}
	return errors.Join(ctx.Err(), err)
}

func (r *Robustness) picture(ctx context.Context, p Picture) error {
	x, err := r.model(&r.frame)
	if err != nil {
		return err
	}
	r.all.add(r.judge, p.Truth, x)
	r.clean.Add(p, x)
	r.distance(p.Truth, x)
	for _, step := range []func(context.Context, Picture) error{r.coarsen, r.spoil, r.move} {
		if err := step(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// distance keeps the distances of right and of wrong answers.
func (r *Robustness) distance(truth int, x *predict.Result) {
	switch {
	case !x.Measured:
	case r.judge.Right(truth, x):
		r.distances = append(r.distances, x.Distance)
	default:
		r.mistakes = append(r.mistakes, x.Distance)
	}
}

// of returns the tally of a source.
func of(m map[string]*tally, source string) *tally {
	if m[source] == nil {
		m[source] = new(tally)
	}
	return m[source]
}

func (r *Robustness) coarsen(ctx context.Context, p Picture) error {
	for _, side := range r.sides {
		if err := errors.Join(ctx.Err(), degrade.Coarsen(&r.view, &r.frame, side)); err != nil {
			return err
		}
		x, err := r.model(&r.view)
		if err != nil {
			return err
		}
		of(r.coarse[side], p.Source).add(r.judge, p.Truth, x)
	}
	return nil
}

func (r *Robustness) spoil(ctx context.Context, p Picture) error {
	h := fnv.New64a()
	h.Write([]byte(filepath.Base(p.Path)))
	seed := r.seed ^ h.Sum64()
	for _, kind := range r.kinds {
		for i := range degrade.Severities {
			if err := errors.Join(ctx.Err(), r.worker.Apply(&r.view, &r.frame, kind, i+1, seed)); err != nil {
				return err
			}
			x, err := r.model(&r.view)
			if err != nil {
				return err
			}
			r.spoilt[kind][i].add(r.judge, p.Truth, x)
		}
	}
	return nil
}

// move compares the answers of moved views with that of the unmoved one.
func (r *Robustness) move(ctx context.Context, _ Picture) error {
	if len(r.pixels) == 0 {
		return nil
	}
	if err := r.compare(ctx, degrade.PixelShifts()[0], r.pixels); err != nil {
		return err
	}
	return r.compare(ctx, degrade.CameraMotions()[0], r.motions)
}

func (r *Robustness) compare(ctx context.Context, still degrade.Motion, moved []flips) error {
	x, err := r.see(still)
	if err != nil {
		return err
	}
	r.base.CopyFrom(x)
	for i := range moved {
		if err := ctx.Err(); err != nil {
			return err
		}
		if x, err = r.see(moved[i].motion); err != nil {
			return err
		}
		moved[i].add(r.judge, &r.base, x)
	}
	return nil
}

func (r *Robustness) see(m degrade.Motion) (*predict.Result, error) {
	if err := degrade.See(&r.view, &r.frame, m); err != nil {
		return nil, err
	}
	return r.model(&r.view)
}

func (f *flips) add(j *Judge, a, b *predict.Result) {
	f.pairs++
	f.labels += count(j.label(a) != j.label(b))
	f.raise += count(j.Raised(a) != j.Raised(b))
	f.change += float64(max(a.Trigger-b.Trigger, b.Trigger-a.Trigger))
}

// Lines of the report; Kind tells them apart.
type (
	// SourceLine is the accuracy on one source.
	SourceLine struct {
		Kind   string `json:"kind"` // "source"
		Source string `json:"source"`
		Score
	}
	// ResolutionLine is the accuracy at one resolution.
	ResolutionLine struct {
		Kind string `json:"kind"` // "resolution"
		Side int    `json:"side"` // pixels of the shorter side
		Score
		Robust
		bySource
	}
	// CorruptionLine is the accuracy under one corruption.
	CorruptionLine struct {
		Kind       string       `json:"kind"` // "corruption"
		Corruption degrade.Kind `json:"corruption"`
		Severity   int          `json:"severity"` // 1..5
		Score
		Robust
	}
	// FlipLine is how often answers change under one motion.
	FlipLine struct {
		Kind   string `json:"kind"` // "shift" by a pixel, or "motion"
		Motion string `json:"motion"`
		Flips
	}
	// Flips are shares of pairs of views.
	Flips struct {
		Labels *Share  `json:"label_flips,omitempty"`
		Alarms *Share  `json:"alarm_flips,omitempty"`
		Change float64 `json:"mean_change"` // of the score that is compared with the threshold
	}
	// OODLine is what the distance to the training set is worth.
	OODLine struct {
		Kind string `json:"kind"` // "ood"
		// AUROC is the chance that a wrong answer lies further away than a right
		// one, 0.5 when the distance says nothing.
		AUROC          float64 `json:"auroc_wrong"`
		UnknownOfRight *Share  `json:"unknown_of_right,omitempty"`
		UnknownOfWrong *Share  `json:"unknown_of_wrong,omitempty"`
	}
	// SummaryLine is the report in a line.
	SummaryLine struct {
		Kind   string  `json:"kind"` // "robustness"
		Images int     `json:"images"`
		Failed int     `json:"failed"`
		Seed   uint64  `json:"seed"`
		Chance float64 `json:"chance"`
		Clean  *Share  `json:"clean,omitempty"`
		// Corruptions is the mean accuracy over all corruptions and severities.
		Corruptions float64            `json:"corruptions"`
		WAR         map[string]float64 `json:"war"` // by resolution
		Shifts      Flips              `json:"shifts"`
		Motions     Flips              `json:"motions"`
	}
)

// Report is everything that Robustness found.
type Report struct {
	Sources     []SourceLine
	Resolutions []ResolutionLine
	Corruptions []CorruptionLine
	Flips       []FlipLine
	OOD         *OODLine
	Summary     SummaryLine
}

// Lines lists the report, the summary last.
func (r *Report) Lines() (out []any) {
	for _, l := range r.Sources {
		out = append(out, l)
	}
	for _, l := range r.Resolutions {
		out = append(out, l)
	}
	for _, l := range r.Corruptions {
		out = append(out, l)
	}
	for _, l := range r.Flips {
		out = append(out, l)
	}
	if r.OOD != nil {
		out = append(out, r.OOD)
	}
	return append(out, r.Summary)
}

// Report computes the report from what was counted.
func (r *Robustness) Report() *Report {
	chance, clean := r.judge.Chance(), r.all.accuracy()
	rep := &Report{Sources: r.clean.Lines(), OOD: r.ood(), Summary: SummaryLine{
		Kind: "robustness", Images: r.all.n, Failed: r.failed, Seed: r.seed, Chance: chance,
		Clean: ShareOf(r.all.right, r.all.n), WAR: map[string]float64{},
		Shifts: total(r.pixels, r.judge), Motions: total(r.motions, r.judge),
	}}
	for _, side := range r.sides {
		sum := sumOf(r.coarse[side])
		l := ResolutionLine{
			"resolution",
			side,
			sum.score(),
			robust(sum.accuracy(), clean, chance),
			overSources(r.coarse[side], r.clean.tallies, chance),
		}
		rep.Resolutions = append(rep.Resolutions, l)
		rep.Summary.WAR[strconv.Itoa(side)] = l.WAR
	}
	for _, kind := range r.kinds {
		for i := range r.spoilt[kind] {
			t := &r.spoilt[kind][i]
			rep.Corruptions = append(
				rep.Corruptions,
				CorruptionLine{"corruption", kind, i + 1, t.score(), robust(t.accuracy(), clean, chance)},
			)
			rep.Summary.Corruptions += t.accuracy() / float64(len(r.kinds)*degrade.Severities)
		}
	}
	for kind, moved := range map[string][]flips{"shift": r.pixels, "motion": r.motions} {
		for i := range moved {
			rep.Flips = append(rep.Flips, FlipLine{kind, moved[i].motion.Name, total(moved[i:i+1], r.judge)})
		}
	}
	slices.SortStableFunc(rep.Flips, func(a, b FlipLine) int { return strings.Compare(b.Kind, a.Kind) })
	return rep
}

// total adds up the flips of several motions. The interval takes pairs as
// independent, which the views of one picture are not: it is too narrow, if
// anything.
func total(moved []flips, j *Judge) (f Flips) {
	sum := flips{}
	for _, m := range moved {
		sum.pairs += m.pairs
		sum.labels += m.labels
		sum.raise += m.raise
		sum.change += m.change
	}
	f.Labels = ShareOf(sum.labels, sum.pairs)
	if j.alarm != nil {
		f.Alarms = ShareOf(sum.raise, sum.pairs)
	}
	f.Change = sum.change / float64(max(sum.pairs, 1))
	return f
}

func sumOf(m map[string]*tally) (sum tally) {
	for _, t := range m {
		sum.n += t.n
		sum.right += t.right
		sum.due += t.due
		sum.raised += t.raised
		sum.calm += t.calm
		sum.falsely += t.falsely
		sum.measured += t.measured
		sum.odd += t.odd
	}
	return sum
}

// ood is nil for a model without a distance.
func (r *Robustness) ood() *OODLine {
	t := &r.all
	if t.measured == 0 {
		return nil
	}
	return &OODLine{Kind: "ood", AUROC: auroc(r.mistakes, r.distances),
		UnknownOfRight: ShareOf(t.odd-t.oddFail, t.measured-t.wrong), UnknownOfWrong: ShareOf(t.oddFail, t.wrong)}
}

// auroc is the chance that one of high lies above one of low, ties half; 0.5
// when either is empty.
func auroc(high, low []float32) float64 {
	if len(high) == 0 || len(low) == 0 {
		return 0.5
	}
	sorted := slices.Clone(low)
	slices.Sort(sorted)
	sum := 0.0
	for _, h := range high {
		below, _ := slices.BinarySearch(sorted, h)
		upTo := below
		for upTo < len(sorted) && sorted[upTo] == h {
			upTo++
		}
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(high)) / float64(len(low))
}
