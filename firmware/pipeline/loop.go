package pipeline

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"emberwing/camera"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/predict"
	"emberwing/telemetry/latency"
)

// Slots is how many input slots a session needs for the loop: one being
// filled, one waiting, one running.
const Slots = 3

// ringFrames is how many frames can be held at once: one each in capture, the
// mailbox, prepare, the second mailbox and infer, and one to spare.
const ringFrames = 6

// MaxModels bounds the models of one loop.
const MaxModels = 8

// Model is one model on the frame path.
type Model struct {
	Predictor *predict.Predictor // with at least Slots slots; its sessions are the caller's
	Temporal  event.Rule         // decides over time
	Every     int                // run on every Nth prepared frame; 0 is 1
}

// Step is one step of an event, handed to the Sink.
type Step struct {
	Model    int // index into Config.Models
	Event    event.Event
	Scores   []float32     // calibrated, in the order of the manifest's labels
	Snapshot *camera.Frame // the frame behind the step; nil when none could be kept
	// Result is what is known of that frame, zero when no frame is behind the
	// step, and Heat the map that explains it, without cells when there is none.
	Result  *predict.Result
	Heat    *predict.Heat
	Decided time.Time
}

// Sink takes steps in order, in its own time: the frame path waits for it only
// when it is many steps behind. The step and its memory are the sink's during
// the call alone.
type Sink interface{ Handle(Step) }

// Config assembles a loop.
type Config struct {
	Open       Opener
	StallAfter time.Duration // no frame for this long is a stall
	Reopen     bool          // open the source again when it ends
	Models     []Model
	Sink       Sink
	Health     *health.Tracker
}

// Stage names one measured part of the way from camera to decision.
type Stage int

// The stages in order. Capture is from the arrival of a frame to its delivery,
// Wait the time a prepared input waits for the models, Gate, Localise and
// Segment the companions of a model, Crop the preprocessing for a model behind
// one, Total the time from capture to decision.
const (
	Capture Stage = iota
	Wait
	Preprocess
	Gate
	Localise
	Crop
	Infer
	Segment
	Decide
	Total
	numStages
)

// String returns the name used in statistics.
func (s Stage) String() string {
	return [...]string{"capture", "wait", "preprocess", "gate", "localise", "crop", "infer", "segment", "decide", "capture-decision"}[s]
}

// Optional reports whether only some models have this stage.
func (s Stage) Optional() bool { return s == Gate || s == Localise || s == Crop || s == Segment }

// spent says under which stage the time that a predictor spends is counted.
var spent = [predict.NumStages]Stage{
	predict.Preprocess: Crop, predict.Gate: Gate, predict.Localise: Localise,
	predict.Infer: Infer, predict.Segment: Segment, predict.Decide: Decide,
}

// Counts counts what became of frames since the loop was made. Gated counts
// the answers that a gate gave in place of its model.
type Counts struct{ Captured, Replaced, Inferred, Dropped, Errors, Gated uint64 }

// Loop runs the frame path. Make it with New, run it once.
type Loop struct {
	cfg      Config
	lanes    []*lane
	capturer *capturer

	ring    *camera.Ring
	spare   camera.Frame // captured into and thrown away when the ring is empty
	fresh   *Mailbox[*camera.Frame]
	ready   *Mailbox[*prepared]
	idle    chan *prepared
	steps   chan *Step
	unused  chan *Step
	asks    chan *ask
	turn    int // prepared frames, for Model.Every
	stages  [numStages]latency.Histogram
	counts  struct{ captured, inferred, dropped, failed, decided atomic.Uint64 }
	waiting atomic.Uint64 // times the frame path waited for the sink
}

// prepared is a frame together with the input slot it was written to.
type prepared struct {
	frame *camera.Frame
	slot  int
	since time.Time       // when it entered the second mailbox
	due   [MaxModels]bool // lanes whose input is filled
}

// New checks cfg and allocates everything the frame path will need.
func New(cfg Config) (*Loop, error) {
	if len(cfg.Models) == 0 || len(cfg.Models) > MaxModels {
		return nil, fmt.Errorf("make loop: got %d models, want 1..%d", len(cfg.Models), MaxModels)
	}
	l := &Loop{
		cfg: cfg, ring: camera.NewRing(ringFrames),
		fresh: NewMailbox[*camera.Frame](), ready: NewMailbox[*prepared](), idle: make(chan *prepared, Slots),
		asks: make(chan *ask, 1),
	}
	for _, m := range cfg.Models {
		ln, err := newLane(m, cfg.Health)
		if err != nil {
			return nil, err
		}
		l.lanes = append(l.lanes, ln)
	}
	for slot := range Slots {
		l.idle <- &prepared{slot: slot}
	}
	l.makeSteps()
	l.capturer = &capturer{open: cfg.Open, stall: cfg.StallAfter, reopen: cfg.Reopen, health: cfg.Health, frames: l}
	return l, nil
}

// stepsInFlight is how many steps the sink may be behind before the frame path
// waits for it.
const stepsInFlight = 8

func (l *Loop) makeSteps() {
	l.steps, l.unused = make(chan *Step, stepsInFlight), make(chan *Step, stepsInFlight)
	for range stepsInFlight {
		l.unused <- &Step{Snapshot: new(camera.Frame), Result: new(predict.Result), Heat: new(predict.Heat)}
	}
}

// Run carries frames until ctx is done or the source ends. It returns when
// every goroutine it started has ended and every step has been handled; active
// events are ended first.
func (l *Loop) Run(ctx context.Context) {
	prepareCtx, stopPrepare := context.WithCancel(context.Background())
	inferCtx, stopInfer := context.WithCancel(context.Background())
	defer stopPrepare()
	defer stopInfer()
	var prepare, infer, sink sync.WaitGroup
	prepare.Go(func() { l.prepareLoop(prepareCtx) })
	infer.Go(func() { l.inferLoop(inferCtx) })
	sink.Go(func() { l.sinkLoop() })

	l.capturer.run(ctx)
	stopPrepare()
	prepare.Wait()
	stopInfer()
	infer.Wait()
	l.endEvents("shutdown")
	close(l.steps)
	sink.Wait()
}

// borrow implements frameStore.
func (l *Loop) borrow() *camera.Frame {
	if f, ok := l.ring.Borrow(); ok {
		return f
	}
	return &l.spare
}

// deliver implements frameStore: it measures, checks and posts one frame.
func (l *Loop) deliver(f *camera.Frame) {
	l.stages[Capture].Since(f.Captured)
	l.counts.captured.Add(1)
	if f == &l.spare || f.Check() != nil {
		l.counts.dropped.Add(1)
		l.giveBack(f)
		return
	}
	if old, replaced := l.fresh.Put(f); replaced {
		l.giveBack(old)
	}
}

// giveBack implements frameStore.
func (l *Loop) giveBack(f *camera.Frame) {
	if f != &l.spare {
		l.ring.Release(f) // counted by the ring when it is not its own
	}
}

// prepareLoop turns the newest frame into the newest input.
func (l *Loop) prepareLoop(ctx context.Context) {
	for {
		f, ok := l.fresh.Take(ctx)
		if !ok {
			if f, ok = l.fresh.TryTake(); !ok {
				return
			}
		}
		p := <-l.idle // never waits: one of three is neither waiting nor running
		if !l.prepare(f, p) {
			l.recycle(p)
			continue
		}
		if old, replaced := l.ready.Put(p); replaced {
			l.recycle(old)
		}
	}
}

// prepare writes f into the inputs of slot p that are due. It reports whether
// any was filled.
func (l *Loop) prepare(f *camera.Frame, p *prepared) bool {
	start := time.Now()
	p.frame = f
	due, filled := false, false
	for i, ln := range l.lanes {
		p.due[i] = l.turn%ln.every == 0
		due = due || p.due[i]
		p.due[i] = p.due[i] && ln.fill(p.slot, f)
		filled = filled || p.due[i]
	}
	if due && !filled {
		l.counts.failed.Add(1)
	}
	l.turn++
	l.answerAsks(f)
	p.since = time.Now()
	l.stages[Preprocess].Record(p.since.Sub(start))
	return filled
}

func (l *Loop) recycle(p *prepared) {
	l.giveBack(p.frame)
	p.frame = nil
	l.idle <- p
}

// inferLoop runs the models on the newest input. It keeps its thread: moved
// between threads, and so between cores, a session finds its caches cold, which
// BenchmarkLoop shows as a tenth of the frame rate.
func (l *Loop) inferLoop(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		p, ok := l.ready.Take(ctx)
		if !ok {
			if p, ok = l.ready.TryTake(); !ok {
				return
			}
		}
		l.stages[Wait].Since(p.since)
		l.decide(p)
		l.recycle(p)
	}
}

// decide runs every model whose input is due and hands on what it causes.
func (l *Loop) decide(p *prepared) {
	good := false
	for i, ln := range l.lanes {
		if p.due[i] {
			good = l.decideLane(i, ln, p) || good
		}
	}
	if !good {
		l.counts.failed.Add(1)
		return
	}
	l.counts.inferred.Add(1)
	l.stages[Total].Since(p.frame.Captured)
}

func (l *Loop) decideLane(i int, ln *lane, p *prepared) bool {
	if ln.failed(ln.predictor.Run(p.slot, p.frame, &ln.result)) {
		return false
	}
	ln.followThreshold()
	start := time.Now()
	e, stepped := ln.tracker.Observe(ln.observation(p.frame))
	ln.result.Spent[predict.Decide] += time.Since(start)
	l.measure(&ln.result)
	l.counts.decided.Add(1)
	if stepped {
		l.post(i, e, p.frame)
	}
	return true
}

// measure adds the times of one answer to the histograms of the stages that it
// went through.
func (l *Loop) measure(r *predict.Result) {
	for stage, d := range r.Spent {
		if d > 0 {
			l.stages[spent[stage]].Record(d)
		}
	}
}

// post hands a step to the sink with a copy of its frame. An event is never
// dropped: with the sink too far behind, the frame path waits.
func (l *Loop) post(i int, e event.Event, f *camera.Frame) {
	var s *Step
	select {
	case s = <-l.unused:
	default:
		l.waiting.Add(1)
		s = <-l.unused
	}
	s.Model, s.Event, s.Decided = i, e, time.Now()
	ln := l.lanes[i]
	s.Scores = append(s.Scores[:0], ln.result.Scores...)
	s.Snapshot.Resize(0, 0, camera.RGB24)
	s.Result.CopyFrom(&predict.Result{})
	s.Heat.CopyFrom(&predict.Heat{})
	if f != nil {
		s.Snapshot.CopyFrom(f)
		s.Result.CopyFrom(&ln.result)
		ln.predictor.Explain(&ln.result, e.Label, s.Heat)
	}
	l.steps <- s
}

func (l *Loop) sinkLoop() {
	for s := range l.steps {
		l.cfg.Sink.Handle(*s)
		l.unused <- s
	}
}

// endEvents ends what is still active, when no more frames will come.
func (l *Loop) endEvents(reason string) {
	for i, ln := range l.lanes {
		if e, ok := ln.tracker.Close(reason); ok {
			l.post(i, e, nil)
		}
	}
}

// Source returns what is known about the source of frames.
func (l *Loop) Source() SourceReport { return l.capturer.Report() }

// Stage returns the latency histogram of s. It may be read and swapped while
// the loop runs.
func (l *Loop) Stage(s Stage) *latency.Histogram { return &l.stages[s] }

// Stages lists all stages in order.
func Stages() []Stage {
	all := make([]Stage, numStages)
	for i := range all {
		all[i] = Stage(i)
	}
	return all
}

// Counts returns the counters.
func (l *Loop) Counts() Counts {
	gated := uint64(0)
	for _, ln := range l.lanes {
		gated += ln.predictor.Counts().Gated
	}
	return Counts{
		Gated: gated, Captured: l.counts.captured.Load(), Replaced: l.fresh.Replaced() + l.ready.Replaced(),
		Inferred: l.counts.inferred.Load(), Dropped: l.counts.dropped.Load(), Errors: l.counts.failed.Load(),
	}
}

// Progress returns the counters that a watchdog should see moving.
func (l *Loop) Progress() map[string]health.Progress {
	return map[string]health.Progress{"capture": &l.counts.captured, "decide": &l.counts.decided}
}
