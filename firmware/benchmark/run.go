package benchmark

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/quant/accuracy"
	"emberwing/quant/bench"
)

// Picture is one picture with its true label.
type Picture struct {
	Path  string
	Truth int
}

// Options says what to measure.
type Options struct {
	Model      *infer.Model
	Candidates []Candidate
	Pictures   []Picture // none: the result is speed only
	Session    infer.Options
	Plan       bench.Plan // no turns: no speed is measured
	Idle       []time.Duration
	Scenarios  []bench.Scenario
	// Memory measures the peak memory of a candidate in a process of its own;
	// nil leaves it out.
	Memory func(ctx context.Context, c Candidate) (*bench.Memory, error)
	// Progress is told what is going on and how far it is, 0..1.
	Progress func(what string, done float64)
	// Warn is told of what was left out.
	Warn func(err error)
}

// maxInputs is how many preprocessed pictures the speed runs take turns with.
const maxInputs = 32

// run is one measurement under way.
type run struct {
	Options
	subjects []*subject
	memories []*bench.Memory // of each candidate
	inputs   [][]float32
	frame    camera.Frame
	sum      io.Writer
	report   *bench.Report
}

// Run opens all candidates, measures them and returns the report; the first
// candidate is the reference. It stops soon after ctx is done.
func Run(ctx context.Context, e *engine.Engine, o Options) (*bench.Report, error) {
	if len(o.Candidates) == 0 {
		return nil, errors.New("measure modes: got none, want at least one")
	}
	r := &run{Options: o}
	defer r.close()
	r.report = &bench.Report{Run: bench.Run{
		Kind: bench.KindRun, Version: bench.Version, Time: time.Now().UTC().Format(time.RFC3339),
		Model: o.Model.Name, ModelVersion: o.Model.Version, Labels: o.Model.Labels,
		Turns: o.Plan.Turns, Runs: o.Plan.Runs, Reference: o.Candidates[0].Mode,
		Environment: Environment(os.DirFS("/"), e.Runtime().Version(), o.Session.Threads),
	}}
	for _, step := range []func(context.Context, *engine.Engine) error{r.memory, r.open, r.judge, r.speed, r.idle} {
		if err := step(ctx, e); err != nil {
			return nil, err
		}
	}
	r.finish()
	return r.report, nil
}

func (r *run) close() {
	for _, s := range r.subjects {
		s.session.Close()
	}
}

// open opens every candidate and runs it a few times.
func (r *run) open(ctx context.Context, e *engine.Engine) error {
	for i, c := range r.Candidates {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Progress("opening "+c.Mode, float64(i)/float64(len(r.Candidates)))
		s, err := open(e, r.Model, c, r.Session)
		if err != nil {
			return fmt.Errorf("mode %s: %w", c.Mode, err)
		}
		r.subjects = append(r.subjects, s)
		s.line.Memory = r.memories[i]
		if err := s.warmUp(); err != nil {
			return err
		}
	}
	return nil
}

// warmRuns is the number of first runs that are reported one by one.
const warmRuns = 5

// warmUp measures the first runs, on noise.
func (s *subject) warmUp() error {
	noise(s.session.Input(0), 1)
	for range warmRuns {
		start := time.Now()
		if err := s.session.Run(0); err != nil {
			return err
		}
		s.line.WarmUp.FirstMS = append(s.line.WarmUp.FirstMS, float64(time.Since(start).Microseconds())/1e3)
	}
	if s.Emulated != "" {
		s.line.WarmUp = nil // the imitation's times mean nothing
	}
	return nil
}

// noise fills an input with uniform numbers from a fixed seed.
func noise(in []float32, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range in {
		in[i] = 2*rng.Float32() - 1
	}
}

// judge runs every mode over every picture.
func (r *run) judge(ctx context.Context, _ *engine.Engine) error {
	if len(r.Pictures) == 0 {
		r.report.Run.SpeedOnly = "no labelled pictures: name a folder with DIR/<class>/*.jpg"
		for i := range 4 {
			in := make([]float32, len(r.subjects[0].session.Input(0)))
			noise(in, uint64(i))
			r.inputs = append(r.inputs, in)
		}
		return nil
	}
	sum := sha256.New()
	r.sum = sum
	sets := make([]*accuracy.Set, len(r.subjects))
	for i, s := range r.subjects {
		var alarm []string
		if s.model.Alarm != nil {
			alarm = s.model.Alarm.Labels
		}
		sets[i] = accuracy.NewSet(s.model.Labels, alarm, s.judge.Threshold())
	}
	for i, p := range r.Pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Progress("judging pictures", float64(i)/float64(len(r.Pictures)))
		if err := r.picture(p, sets); err != nil {
			r.report.Run.Failed++
			r.Warn(err)
		}
	}
	r.report.Run.Images, r.report.Run.ImagesSHA256 = len(r.report.Run.Truth), hex.EncodeToString(sum.Sum(nil))
	if r.report.Run.Images == 0 {
		return fmt.Errorf("judge pictures: none of %d could be read", len(r.Pictures))
	}
	return r.score(sets)
}

// picture lets every mode answer for one picture. Either all answers count or
// none, so that answers stay in step.
func (r *run) picture(p Picture, sets []*accuracy.Set) error {
	if err := still.Open(p.Path, &r.frame); err != nil {
		return err
	}
	samples := make([]accuracy.Sample, len(r.subjects))
	for i, s := range r.subjects {
		x, err := s.judge.Frame(&r.frame)
		if err != nil {
			return fmt.Errorf("%s: mode %s: %w", p.Path, s.Mode, err)
		}
		samples[i] = accuracy.Sample{Truth: p.Truth, Best: x.Label, Score: append([]float32(nil), x.Scores...),
			Alarm: x.Alarm}
	}
	for i, s := range r.subjects {
		if err := sets[i].Add(samples[i]); err != nil {
			return err
		}
		s.line.Answers = append(s.line.Answers, samples[i].Best)
		s.right = append(s.right, samples[i].Best == p.Truth)
	}
	r.report.Run.Truth = append(r.report.Run.Truth, p.Truth)
	r.sum.Write(r.frame.Pix)
	fmt.Fprintf(r.sum, "%d", p.Truth)
	if len(r.inputs) < maxInputs {
		r.inputs = append(r.inputs, append([]float32(nil), r.subjects[0].session.Input(0)...))
	}
	return nil
}

// score turns the counts into accuracies and drops.
func (r *run) score(sets []*accuracy.Set) error {
	for i, s := range r.subjects {
		a := sets[i].Report(0)
		s.line.Accuracy = &bench.Accuracy{
			Accuracy: a.Accuracy, Interval: bench.Interval(a.Interval), Classes: a.Classes, LogLoss: a.LogLoss, Alarm: a.Alarm,
		}
		if i > 0 {
			d := bench.Paired(r.subjects[0].right, s.right)
			s.line.Accuracy.Drop = &d
		}
	}
	return nil
}

// measured returns the modes whose speed means something.
func (r *run) measured() []*subject {
	var out []*subject
	for _, s := range r.subjects {
		if s.Emulated == "" {
			out = append(out, s)
		}
	}
	return out
}

// subjectOf adapts a mode to the speed runs.
func (r *run) subjectOf(s *subject) bench.Subject {
	in := s.session.Input(0)
	return bench.Subject{
		Name:    s.Mode,
		Prepare: func(i int) { copy(in, r.inputs[i%len(r.inputs)]) },
		Run:     func() error { return s.session.Run(0) },
	}
}

// speed lets the modes take turns.
func (r *run) speed(ctx context.Context, e *engine.Engine) error {
	modes := r.measured()
	if r.Plan.Turns == 0 || len(modes) == 0 {
		return nil
	}
	subjects := make([]bench.Subject, len(modes))
	for i, s := range modes {
		subjects[i] = r.subjectOf(s)
	}
	clock := bench.Clock(bench.ThreadTime)
	if r.Session.Threads != 1 {
		clock = bench.ProcessTime
	}
	all, err := bench.Interleave(ctx, subjects, r.Plan, clock, func(done float64) { r.Progress("taking turns", done) })
	if err != nil {
		return err
	}
	for i, s := range modes {
		s.line.Latency = bench.LatencyOf(all[i])
		if s.SpeedOnly == "" {
			s.line.SpeedOnly = r.report.Run.SpeedOnly
		}
		if i > 0 && modes[0] == r.subjects[0] {
			wall := bench.Ratios(modes[0].Mode, all[0].Wall.Medians(), all[i].Wall.Medians())
			cpu := bench.Ratios(modes[0].Mode, all[0].CPU.Medians(), all[i].CPU.Medians())
			s.line.Ratio, s.line.CPURatio = &wall, &cpu
		}
	}
	return r.scenarios(ctx, e, modes, all, clock)
}

// pausesOf is how often a pause is repeated: long ones once.
func pausesOf(pause time.Duration) int {
	if pause > 2*time.Second {
		return 1
	}
	return 3
}

// idle measures the first picture after each pause.
func (r *run) idle(ctx context.Context, _ *engine.Engine) error {
	if r.Plan.Turns == 0 {
		return nil
	}
	modes := r.measured()
	for i, s := range modes {
		for k, pause := range r.Idle {
			if pause <= 0 {
				continue
			}
			done := (float64(i) + float64(k)/float64(len(r.Idle))) / float64(len(modes))
			r.Progress(fmt.Sprintf("%s after a pause of %v", s.Mode, pause), done)
			took, err := bench.Idle(ctx, r.subjectOf(s), pause, pausesOf(pause))
			if err != nil {
				return err
			}
			s.line.Idle = append(s.line.Idle, bench.IdleGapOf(pause, took))
		}
	}
	return nil
}

// memory measures each candidate in a process of its own.
func (r *run) memory(ctx context.Context, _ *engine.Engine) error {
	r.memories = make([]*bench.Memory, len(r.Candidates))
	for i, c := range r.Candidates {
		if r.Memory == nil || c.Emulated != "" {
			continue
		}
		r.Progress("memory of "+c.Mode, float64(i)/float64(len(r.Candidates)))
		m, err := r.Memory(ctx, c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.Warn(err)
		default:
			r.memories[i] = m
		}
	}
	return nil
}

// finish completes the environment and collects the lines.
func (r *run) finish() {
	r.report.Run.Environment.CelsiusEnd = Celsius(os.DirFS("/"))
	for _, s := range r.subjects {
		r.report.Modes = append(r.report.Modes, s.line)
	}
}
