package cli

import (
	"context"
	"fmt"

	"emberwing/firmware/classify"
	"emberwing/firmware/evaluate"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/quant/accuracy"
	"emberwing/telemetry/latency"
)

// evalReport is the object that eval --json prints for a folder.
type evalReport struct {
	Kind string `json:"kind"` // "eval"
	Dir  string `json:"dir"`
	accuracy.Report
	Sources []evaluate.SourceLine  `json:"sources"`
	Gate    *gateReport            `json:"gate,omitempty"`
	Failed  int                    `json:"failed"` // pictures that could not be read
	Latency map[string]percentiles `json:"latency_ms"`
	Model   modelInfo              `json:"model"`
}

// gateReport is what a gate would have held back.
type gateReport struct {
	Threshold float32         `json:"threshold"`
	Missed    *evaluate.Share `json:"missed,omitempty"` // of pictures with an alarm
	Held      *evaluate.Share `json:"held,omitempty"`   // of pictures without: what the gate saves
	// Cost is the share of pictures whose alarm is right without the gate and
	// lost with it.
	Cost *evaluate.Share `json:"cost,omitempty"`
}

// percentiles of one stage in milliseconds.
type percentiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func percentilesOf(h *latency.Histogram) percentiles {
	return percentiles{
		h.Count(),
		milliseconds(h.Quantile(0.5)),
		milliseconds(h.Quantile(0.9)),
		milliseconds(h.Quantile(0.99)),
		milliseconds(h.Max()),
	}
}

// scores accumulates the judgement of a folder.
type scores struct {
	v               *evaluation
	set             *accuracy.Set
	judge           *evaluate.Judge
	labels          []string
	sources         *evaluate.BySource
	decode, prepare latency.Histogram
	spent           [predict.NumStages]latency.Histogram
	gate            struct{ due, missed, calm, held, cost, all int }
}

func newScores(v *evaluation, labels []string) *scores {
	m := &v.r.model.Manifest
	var alarm []string
	if m.Alarm != nil {
		alarm = m.Alarm.Labels
	}
	s := &scores{
		v:      v,
		labels: labels,
		set:    accuracy.NewSet(labels, alarm, v.r.Threshold()),
		judge:  evaluate.NewJudge(m, v.r.Threshold()),
	}
	s.sources = evaluate.NewBySource(s.judge)
	if alarm == nil {
		s.set.CountSignals(append([]string{"none"}, m.Decision.Ignore...))
	}
	return s
}

func (s *scores) add(p evaluate.Picture) error {
	x, err := s.v.r.File(p.Path)
	if err != nil {
		return err
	}
	s.decode.Record(x.Decode)
	s.prepare.Record(x.Preprocess)
	for stage, d := range x.Spent {
		if d > 0 {
			s.spent[stage].Record(d)
		}
	}
	s.sources.Add(p, x.Result)
	s.watch(p, x)
	sample := accuracy.Sample{Truth: p.Truth, Best: x.Label, Score: x.Scores, Alarm: x.Alarm, Raw: x.Raw}
	if extra := len(s.labels) - len(x.Scores); extra > 0 { // "none", which the model itself does not know
		sample.Score = append(append([]float32(nil), x.Scores...), make([]float32, extra)...)
		if x.Label < 0 {
			sample.Best = len(s.labels) - 1
			sample.Score[sample.Best] = 1
		}
	}
	return s.set.Add(sample)
}

// watch counts what the gate would have done.
func (s *scores) watch(p evaluate.Picture, x classify.Result) {
	if !x.Watched {
		return
	}
	g, held := &s.gate, x.GateScore < s.v.r.model.Gate.Threshold
	g.all++
	if s.judge.Due(p.Truth) {
		g.due++
		if held {
			g.missed++
		}
		if held && s.judge.Raised(x.Result) {
			g.cost++
		}
		return
	}
	g.calm++
	if held {
		g.held++
	}
}

func (s *scores) report(dir string) *evalReport {
	r := &evalReport{
		Kind: "eval", Dir: dir, Report: s.set.Report(s.v.fps * 3600), Sources: s.sources.Lines(), Failed: s.v.failed, Model: s.v.r.info(),
		Latency: map[string]percentiles{"decode": percentilesOf(&s.decode), "preprocess": percentilesOf(&s.prepare)},
	}
	for _, stage := range []predict.Stage{predict.Gate, predict.Localise, predict.Infer, predict.Segment} {
		if h := &s.spent[stage]; h.Count() > 0 {
			r.Latency[stage.String()] = percentilesOf(h)
		}
	}
	if g := s.gate; g.all > 0 {
		r.Gate = &gateReport{
			s.v.r.model.Gate.Threshold,
			evaluate.ShareOf(g.missed, g.due),
			evaluate.ShareOf(g.held, g.calm),
			evaluate.ShareOf(g.cost, g.all),
		}
	}
	return r
}

// boxed judges full frames with boxes.
func (v *evaluation) boxed(ctx context.Context) error {
	m := &v.r.model.Manifest
	frames, err := evaluate.ListBoxes(v.frames, m.Labels)
	if err != nil {
		return err
	}
	all := evaluate.NewFrames(m, v.r.Threshold())
	err = v.each(ctx, "frames", len(frames), func(i int) error {
		x, err := v.r.File(frames[i].Path)
		if err == nil {
			all.Add(frames[i], x.Width, x.Height, x.Result)
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.print(all.Report())
}

// masked measures a segmenter's masks.
func (v *evaluation) masked(ctx context.Context) error {
	pairs, err := evaluate.ListMasks(v.masks, v.only)
	if err != nil {
		return err
	}
	labels := v.r.MaskLabels()
	if labels == nil {
		return fmt.Errorf("judge masks: model %s: got neither a segmenter nor a model with one", v.r.model.Name)
	}
	all, err := evaluate.NewMasks(labels, v.r.MaskThreshold())
	if err != nil {
		return err
	}
	err = v.each(ctx, "masks", len(pairs), func(i int) error {
		x, err := v.r.File(pairs[i].Picture)
		if err != nil {
			return err
		}
		return all.Add(pairs[i].Mask, func(label int, h *predict.Heat) { v.r.MaskOf(x.Result, label, h) })
	})
	if err != nil {
		return err
	}
	for _, line := range all.Report() {
		if err := v.print(line); err != nil {
			return err
		}
	}
	return nil
}

// quietLine is how quiet a model is where there is nothing to report.
type quietLine struct {
	Kind  string          `json:"kind"` // "empty"
	Quiet *evaluate.Share `json:"quiet"`
}

// quiet counts reports on pictures of which none is due.
func (v *evaluation) quiet(ctx context.Context) error {
	files, skipped, errs := classify.Files([]string{v.empty})
	for _, err := range errs {
		v.warn(oneLine(err))
		v.failed++
	}
	if skipped > 0 {
		v.warn(fmt.Sprintf("%s: skipped %d file(s) that are neither JPEG nor PNG by name", v.empty, skipped))
	}
	if v.limit > 0 && len(files) > v.limit { // evenly
		for i := range v.limit {
			files[i] = files[i*len(files)/v.limit]
		}
		files = files[:v.limit]
	}
	m, n, silent := &v.r.model.Manifest, 0, 0
	err := v.each(ctx, "pictures", len(files), func(i int) error {
		x, err := v.r.File(files[i])
		if err == nil {
			n++
			if !reports(m, v.r.Threshold(), x.Result) {
				silent++
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.print(quietLine{"empty", evaluate.ShareOf(silent, n)})
}

// reports tells whether a single answer speaks for an event.
func reports(m *infer.Manifest, threshold float32, r *predict.Result) bool {
	if r.Label < 0 || r.Trigger < threshold {
		return false
	}
	if m.Alarm != nil {
		return true
	}
	label := m.Labels[r.Label]
	for _, ignored := range m.Decision.Ignore {
		if label == ignored {
			return false
		}
	}
	return label != "none"
}
