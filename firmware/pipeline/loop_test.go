package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/camera"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/infer/infertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manifest is a fire model of 8x8 pixels.
var manifest = infer.Manifest{
	Name: "fire", Task: infer.TaskFire, Version: "1", Labels: []string{"nofire", "smoke", "fire"},
	Input:    infer.Input{Name: "input", Shape: []int64{1, 3, 8, 8}, DType: "float32", Layout: "nchw", Order: "rgb", Fit: "stretch", Std: [3]float32{1, 1, 1}},
	Output:   infer.Output{Name: "logits", Shape: []int64{1, 3}, Kind: "logits"},
	Alarm:    &infer.Alarm{Labels: []string{"smoke", "fire"}},
	Variants: []infer.Variant{{Precision: infer.FP32, File: "x.onnx", Temperature: 1, Threshold: 0.6}},
}

// redness answers fire for red pictures, smoke for grey ones, nothing for black.
func redness(in, logits []float32) error {
	n := len(in) / 3
	red, blue := in[0], in[2*n]
	logits[0], logits[1], logits[2] = 3, 10*blue, 10*(red-blue)
	return nil
}

func newFake(t testing.TB, compute infertest.Compute) *infertest.Fake {
	t.Helper()
	f, err := infertest.NewFake(&manifest, infer.Options{Slots: Slots}, compute)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var temporal = event.Rule{Window: 5, Agree: 3, Threshold: 0.6, Release: 0.4, Update: time.Second, MaxGap: 5 * time.Second}

func model(s infer.Session) Model {
	p, err := predict.New(predict.Parts{Main: predict.Part{Manifest: &manifest, Session: s}}, predict.Options{})
	if err != nil {
		panic(err) // the manifest above is at fault
	}
	return Model{Predictor: p, Temporal: temporal}
}

// colours is a source that shows one letter a frame, 100 ms apart: R red,
// G grey, . black, ! stalls for ever, x fails, and then ends.
type colours struct {
	script string
	pos    int
	base   uint64
	closed atomic.Bool
	fast   bool
}

func (c *colours) Info() camera.Info { return camera.Info{Kind: "test", Name: "colours"} }

func (c *colours) Close() error { c.closed.Store(true); return nil }

var errUnplugged = errors.New("device vanished")

func (c *colours) ReadFrame(ctx context.Context, f *camera.Frame) error {
	if !c.fast && !pause(ctx, 100*time.Millisecond) {
		return ctx.Err()
	}
	if c.pos == len(c.script) {
		return io.EOF
	}
	letter := c.script[c.pos]
	c.pos++
	switch letter {
	case '!':
		<-ctx.Done()
		return ctx.Err()
	case 'x':
		return errUnplugged
	}
	paint(f, letter)
	f.Seq, f.Captured = c.base+uint64(c.pos), time.Now()
	return nil
}

func paint(f *camera.Frame, letter byte) {
	f.Resize(16, 12, camera.RGB24)
	rgb := map[byte][3]byte{'R': {255, 0, 0}, 'G': {200, 200, 200}, '.': {}}[letter]
	for i := range f.Pix {
		f.Pix[i] = rgb[i%3]
	}
}

// sink remembers steps and their pictures.
type sink struct {
	mu    sync.Mutex
	steps []string
	red   []byte // first byte of each picture
}

func (s *sink) Handle(x Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, fmt.Sprintf("%v %s", x.Event.Phase, manifest.Labels[x.Event.Label]))
	if len(x.Snapshot.Pix) > 0 {
		s.red = append(s.red, x.Snapshot.Pix[0])
	}
}

// fly runs a loop over the scripts, one source after the other.
func fly(t *testing.T, cfg Config, scripts ...string) (*Loop, *sink) {
	t.Helper()
	var s sink
	opened := 0
	cfg.Open = func(context.Context) (camera.Source, error) {
		if opened == len(scripts) {
			return &colours{}, nil
		}
		opened++
		if scripts[opened-1] == "unavailable" {
			return nil, errUnplugged
		}
		return &colours{script: scripts[opened-1], base: uint64(100 * opened)}, nil
	}
	cfg.Sink = &s
	if cfg.Health == nil {
		cfg.Health = health.NewTracker()
	}
	cfg.StallAfter = 1500 * time.Millisecond
	if cfg.Models == nil {
		cfg.Models = []Model{model(newFake(t, redness))}
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Run(t.Context())
	return l, &s
}

func TestLoopTellsAnEventFromBeginningToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := fly(t, Config{}, "...GGGGRRRRRRRRRRRR.........")
		want := []string{"begin smoke", "update fire", "end fire"}
		if diff := cmp.Diff(want, s.steps); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]byte{200, 255, 0}, s.red); diff != "" {
			t.Errorf("pictures of the wrong frames (-want +got):\n%s", diff)
		}
		if got, want := l.Counts(), (Counts{Captured: 28, Inferred: 28}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if r := l.Source(); r.State != SourceEnded || r.Missed != 0 || r.Gaps != 0 {
			t.Errorf("got %+v, want an ended source without gaps", r)
		}
	})
}

func TestLoopEndsActiveEventsAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := fly(t, Config{}, "RRRRR")
		if diff := cmp.Diff([]string{"begin fire", "end fire"}, s.steps); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestStallIsNoticedWithinTwoSecondsAndReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health.NewTracker()
		start := time.Now()
		told := make(chan time.Duration, 1)
		go func() {
			for range h.Changed() {
				if _, list := h.Conditions(); len(list) == 1 && list[0].Code == health.SourceStalled {
					told <- time.Since(start)
					return
				}
			}
		}()
		l, _ := fly(t, Config{Health: h}, "...!", "...")
		if noticed := <-told; noticed < 1500*time.Millisecond || noticed > 2*time.Second {
			t.Errorf("noticed after %v, want within 2s", noticed)
		}
		r := l.Source()
		if r.Gaps != 1 || r.Reopens != 1 || r.Gap < 1500*time.Millisecond || r.Gap > 2500*time.Millisecond {
			t.Errorf("got %+v, want one gap of stall and backoff", r)
		}
		if _, list := h.Conditions(); len(list) != 1 || list[0].Code != health.SourceEnded {
			t.Errorf("got %v, want the stall cleared by the next frame", list)
		}
	})
}

func TestSourceThatVanishesIsOpenedAgainWithGrowingJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l, s := fly(t, Config{}, "..x", "unavailable", "unavailable", "RRRRR")
		if r := l.Source(); r.Gaps != 1 || r.Reopens != 3 {
			t.Errorf("got %+v, want one gap and three reopenings", r)
		}
		if most := time.Since(start); most > 3*time.Second {
			t.Errorf("took %v, want at most 0.25+0.5+1 s of backoff", most)
		}
		if len(s.steps) != 2 {
			t.Errorf("got %v, want the event after the gap", s.steps)
		}
	})
}

func TestJitterStaysUnderItsBound(t *testing.T) {
	for attempt := range 20 {
		bound := min(backoffFirst<<min(attempt, 10), backoffLast)
		seen := map[time.Duration]bool{}
		for range 50 {
			d := jitter(attempt)
			if d <= 0 || d > bound {
				t.Fatalf("attempt %d: got %v, want 0..%v", attempt, d, bound)
			}
			seen[d] = true
		}
		if len(seen) < 25 {
			t.Errorf("attempt %d: got %d different waits of 50, want jitter", attempt, len(seen))
		}
	}
}

// TestSlowModelSeesFreshFrames: with a model ten times slower than the camera
// frames are replaced and counted, never queued.
func TestSlowModelSeesFreshFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newFake(t, func(in, out []float32) error {
			time.Sleep(time.Second)
			return redness(in, out)
		})
		script := make([]byte, 100)
		for i := range script {
			script[i] = '.'
		}
		l, _ := fly(t, Config{Models: []Model{model(slow)}}, string(script))
		c := l.Counts()
		if c.Captured != 100 || c.Inferred+c.Replaced != 100 || c.Inferred < 9 || c.Inferred > 12 {
			t.Errorf("got %+v, want about ten frames inferred and the rest replaced", c)
		}
		if oldest := l.Stage(Total).Max(); oldest > 2200*time.Millisecond {
			t.Errorf("a decision was %v old, want at most one waiting frame", oldest)
		}
	})
}

func TestInferenceFaultIsCountedRaisedAndCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health.NewTracker()
		f := newFake(t, redness)
		f.FailRun(2, errors.New("out of memory"))
		l, s := fly(t, Config{Health: h, Models: []Model{model(f)}}, "RRRRRR")
		if got := l.Counts(); got.Errors != 1 || got.Inferred != 5 {
			t.Errorf("got %+v, want one error", got)
		}
		if worst, list := h.Conditions(); worst != health.Info {
			t.Errorf("got %v, want the fault cleared by the next frame", list)
		}
		if len(s.steps) != 2 {
			t.Errorf("got %v, want the event all the same", s.steps)
		}
	})
}

func TestPoisonedOutputNeverDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health.NewTracker()
		f := newFake(t, redness)
		f.Poison(true)
		l, s := fly(t, Config{Health: h, Models: []Model{model(f)}}, "RRRRRR")
		if len(s.steps) != 0 || l.Counts().Errors != 6 {
			t.Errorf("got steps %v and %+v of NaN logits", s.steps, l.Counts())
		}
		if worst, _ := h.Conditions(); worst != health.Alarm {
			t.Errorf("got %v, want an alarm", worst)
		}
	})
}

// TestFrameThatFitsNoModelIsCountedAndTold: a frame beyond what preprocessing
// takes is an error and a condition, which the next good frame clears.
func TestFrameThatFitsNoModelIsCountedAndTold(t *testing.T) {
	h := health.NewTracker()
	l, err := New(Config{Models: []Model{model(newFake(t, redness))}, Health: h, Sink: &sink{}, StallAfter: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var wide, good camera.Frame
	wide.Resize(100<<20+1, 1, camera.Gray8)
	paint(&good, '.')
	p := <-l.idle
	for range 2 {
		if l.prepare(&wide, p) {
			t.Fatal("a frame of 100 million pixels a side was prepared")
		}
	}
	if worst, list := h.Conditions(); worst != health.Alarm || len(list) != 1 || l.Counts().Errors != 2 {
		t.Errorf("got %v and %d errors, want an alarm and two", list, l.Counts().Errors)
	}
	if !l.prepare(&good, p) {
		t.Fatal("a good frame was not prepared")
	}
	if worst, list := h.Conditions(); worst != health.OK {
		t.Errorf("got %v after a good frame", list)
	}
}

func TestEveryRunsOnEachNthFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newFake(t, redness), newFake(t, redness)
		m := model(second)
		m.Every = 3
		fly(t, Config{Models: []Model{model(first), m}}, "............")
		if first.Runs() != 12 || second.Runs() != 4 {
			t.Errorf("got %d and %d runs, want 12 and 4", first.Runs(), second.Runs())
		}
	})
}

// TestSlowSinkLosesNothing: with a sink far behind, the frame path waits and
// every step still arrives, in order.
func TestSlowSinkLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowSink{}
		rule := temporal
		rule.Window, rule.Agree = 1, 1
		m := model(newFake(t, redness))
		m.Temporal = rule
		l, err := New(Config{
			Open: func(context.Context) (camera.Source, error) {
				return &colours{script: "R.R.R.R.R.R.R.R.R.R.R.R.R.R.R."}, nil
			},
			StallAfter: time.Second, Models: []Model{m}, Sink: slow, Health: health.NewTracker(),
		})
		if err != nil {
			t.Fatal(err)
		}
		l.Run(t.Context())
		if slow.begun == 0 || slow.begun != slow.ended {
			t.Errorf("got %d begun and %d ended", slow.begun, slow.ended)
		}
		if l.waiting.Load() == 0 {
			t.Error("the frame path never waited: the sink was not slow enough to show anything")
		}
	})
}

type slowSink struct{ begun, ended int }

func (s *slowSink) Handle(x Step) {
	time.Sleep(2 * time.Second)
	switch x.Event.Phase {
	case event.Begin:
		s.begun++
	case event.End:
		s.ended++
	}
}

func TestMailboxToDecisionAllocatesNothing(t *testing.T) {
	l, err := New(Config{Models: []Model{model(newFake(t, redness))}, Health: health.NewTracker(), Sink: &sink{}, StallAfter: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	frame := func() {
		f := l.borrow()
		paint(f, '.')
		f.Captured = time.Now()
		l.deliver(f)
		f, _ = l.fresh.TryTake()
		p := <-l.idle
		if !l.prepare(f, p) {
			t.Fatal("frame was not prepared")
		}
		l.ready.Put(p)
		p, _ = l.ready.TryTake()
		l.decide(p)
		l.recycle(p)
	}
	frame() // plans and buffers are made for the first frame of a geometry
	if got := testing.AllocsPerRun(200, frame); got != 0 {
		t.Errorf("got %v allocations a frame, want 0", got)
	}
	if got := l.Counts(); got.Inferred == 0 || got.Inferred != got.Captured {
		t.Errorf("got %+v, want every frame decided", got)
	}
}

func TestNewRefuses(t *testing.T) {
	few, err := infertest.NewFake(&manifest, infer.Options{Slots: 1}, redness)
	if err != nil {
		t.Fatal(err)
	}
	noWindow := model(newFake(t, redness))
	noWindow.Temporal.Window = 0
	for name, models := range map[string][]Model{"no models": nil, "too few slots": {model(few)}, "no window": {noWindow}, "too many": make([]Model, MaxModels+1)} {
		if _, err := New(Config{Models: models, Health: health.NewTracker()}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestCommandsReachTheFramePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *Loop
		s := &sink{}
		var err error
		l, err = New(Config{
			Open:   func(context.Context) (camera.Source, error) { return &colours{script: "RRRRRRRRRR"}, nil },
			Models: []Model{model(newFake(t, redness))}, Sink: s, Health: health.NewTracker(), StallAfter: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.SetThreshold(0, 0.9999); err != nil { // above what red frames get
			t.Fatal(err)
		}
		var f camera.Frame
		asked := make(chan error, 1)
		go func() { asked <- l.Frame(t.Context(), &f) }()
		l.Run(t.Context())
		if err := <-asked; err != nil || len(f.Pix) == 0 || f.Pix[0] != 255 {
			t.Errorf("got %v and a frame of %d bytes, want a red one", err, len(f.Pix))
		}
		if len(s.steps) > 0 {
			t.Errorf("got %v, want no event under a threshold that nothing reaches", s.steps)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Frame(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v without frames, want the deadline", err)
		}
		for _, bad := range []float32{-0.1, 1} {
			if l.SetThreshold(0, bad) == nil || l.SetThreshold(7, 0.5) == nil {
				t.Errorf("threshold %v or a model that is not there was taken", bad)
			}
		}
	})
}
