package pipeline_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"emberwing/camera"
	"emberwing/camera/synth"
	"emberwing/firmware/engine"
	"emberwing/firmware/event"
	"emberwing/firmware/firmwaretest"
	"emberwing/firmware/health"
	"emberwing/firmware/pipeline"
	"emberwing/firmware/predict"
	"emberwing/infer"
)

// open opens a shipped model with all around it on the CPU, as the daemon
// would.
func open(b testing.TB, name string, p infer.Precision) (*engine.Loaded, pipeline.Model) {
	b.Helper()
	e, err := engine.New(firmwaretest.NeedRuntime(b))
	if err != nil {
		b.Fatal(err)
	}
	l, err := e.Load(name, infer.Options{Precision: p, Providers: []infer.Provider{infer.CPU}, Slots: pipeline.Slots}, predict.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		l.Close()
		e.Close()
	})
	d := l.Model.Decision
	return l, pipeline.Model{Predictor: l.Predictor, Temporal: event.Rule{
		Window: d.Window, Agree: d.Agree, Threshold: l.Threshold(), Release: d.Release, Update: time.Second,
	}}
}

// renderFlight renders frames of the synthetic flight ahead of time: a camera
// does not cost the processor what rendering does.
func renderFlight(b *testing.B, n int) []camera.Frame {
	b.Helper()
	f, err := synth.New(synth.Options{Seed: 1, FPS: 15})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	frames := make([]camera.Frame, n)
	for i := range frames {
		if err := f.Render(f.Frames()*uint64(i)/uint64(n), &frames[i]); err != nil {
			b.Fatal(err)
		}
	}
	return frames
}

// recorded plays rendered frames at a fixed rate.
type recorded struct {
	frames []camera.Frame
	tick   *time.Ticker
	seq    uint64
}

func (r *recorded) Info() camera.Info { return camera.Info{Kind: "test", Name: "rendered flight"} }

func (r *recorded) Close() error { r.tick.Stop(); return nil }

func (r *recorded) ReadFrame(ctx context.Context, f *camera.Frame) error {
	select {
	case <-r.tick.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.CopyFrom(&r.frames[r.seq%uint64(len(r.frames))])
	r.seq++
	f.Seq, f.Captured = r.seq, time.Now()
	return nil
}

type nowhere struct{}

func (nowhere) Handle(pipeline.Step) {}

// slice is how long each side of a comparison runs before the other has its
// turn: short enough that a noisy machine disturbs both alike.
const slice = 400 * time.Millisecond

// bareRate runs the session alone, on an input that stays as it is.
func bareRate(b *testing.B, s infer.Session) float64 {
	runs := 0
	start := time.Now()
	for ; time.Since(start) < slice; runs++ {
		if err := s.Run(0); err != nil {
			b.Fatal(err)
		}
	}
	return float64(runs) / time.Since(start).Seconds()
}

// loopRate runs the whole loop: capture, resize, infer, decide. The rate is that
// of a loop under way, without its start and its end.
func loopRate(b *testing.B, m pipeline.Model, frames []camera.Frame, fps float64) float64 {
	open := func(context.Context) (camera.Source, error) {
		return &recorded{frames: frames, tick: time.NewTicker(time.Duration(float64(time.Second) / fps))}, nil
	}
	l, err := pipeline.New(pipeline.Config{Open: open, StallAfter: time.Second, Models: []pipeline.Model{m}, Sink: nowhere{}, Health: health.NewTracker()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	for l.Counts().Inferred < 3 {
		runtime.Gosched()
	}
	start, before := time.Now(), l.Counts().Inferred
	<-time.After(slice)
	rate := float64(l.Counts().Inferred-before) / time.Since(start).Seconds()
	stop()
	running.Wait()
	return rate
}

// BenchmarkLoop compares the frame rate of the loop on the synthetic flight
// with that of the bare session on the same model. Both run in turns; the
// median of the ratios is printed with its range. The camera is a tenth faster
// than the bare session, so that frames are never what is missing.
func BenchmarkLoop(b *testing.B) {
	for _, p := range []infer.Precision{infer.FP32, infer.INT8} {
		b.Run(string(p), func(b *testing.B) {
			l, m := open(b, "fire", p)
			frames := renderFlight(b, 16)
			bareRate(b, l.Session()) // warm up
			var ratios, bare []float64
			for b.Loop() {
				for range 5 {
					alone := bareRate(b, l.Session())
					bare = append(bare, alone)
					ratios = append(ratios, loopRate(b, m, frames, 1.1*alone)/alone)
				}
			}
			slices.Sort(ratios)
			slices.Sort(bare)
			b.ReportMetric(ratios[len(ratios)/2], "loop/bare")
			b.ReportMetric(ratios[0], "loop/bare-min")
			b.ReportMetric(ratios[len(ratios)-1], "loop/bare-max")
			b.ReportMetric(bare[len(bare)/2], "bare-fps")
			b.ReportMetric(float64(runtime.NumCPU()), "cores")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkStage measures each stage by itself.
func BenchmarkStage(b *testing.B) {
	frames := renderFlight(b, 4)
	b.Run("capture", func(b *testing.B) {
		f, err := synth.New(synth.Options{Seed: 1, Loop: true})
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var frame camera.Frame
		b.ReportAllocs()
		for b.Loop() {
			if err := f.ReadFrame(b.Context(), &frame); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, p := range []infer.Precision{infer.FP32, infer.INT8} {
		for _, name := range []string{"fire", "gesture"} {
			b.Run(name+"/"+string(p), func(b *testing.B) {
				l, m := open(b, name, p)
				benchmarkModel(b, l, m.Temporal, frames)
			})
		}
	}
}

func benchmarkModel(b *testing.B, l *engine.Loaded, rule event.Rule, frames []camera.Frame) {
	b.Run("prepare", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := l.Prepare(0, &frames[i%len(frames)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := l.Session().Run(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("frame", func(b *testing.B) { benchmarkFrame(b, l, rule, frames) })
}

// benchmarkFrame is all that happens to a frame, companions included.
func benchmarkFrame(b *testing.B, l *engine.Loaded, rule event.Rule, frames []camera.Frame) {
	tracker, err := event.New(rule)
	if err != nil {
		b.Fatal(err)
	}
	var r predict.Result
	var spent [predict.NumStages]time.Duration
	b.ReportAllocs()
	runs := 0
	for ; b.Loop(); runs++ {
		f := &frames[runs%len(frames)]
		if err := errors.Join(l.Prepare(0, f), l.Run(0, f, &r)); err != nil {
			b.Fatal(err)
		}
		for s, d := range r.Spent {
			spent[s] += d
		}
		tracker.Observe(event.Observation{At: time.Now(), Label: r.Label, Score: r.Trigger, Raw: r.Raw})
	}
	for s, d := range spent {
		if d > 0 {
			b.ReportMetric(float64(d.Nanoseconds())/float64(runs), predict.Stage(s).String()+"-ns/op")
		}
	}
}
