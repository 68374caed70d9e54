package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"emberwing/camera"
)

// The defaults of Options.
const (
	DefaultWidth  = 640
	DefaultHeight = 480
	DefaultFPS    = 15
)

// Options describes a flight. The zero value is the default demo flight with
// seed 0, at full speed, ending after 30 s of flight.
type Options struct {
	// Seed varies terrain, weather, light, wind, fire, person and pose.
	Seed uint64
	// Width and Height are in pixels, 32 to 4096; 0 means 640x480.
	Width, Height int
	// FPS is frames per second of flight, 0 means 15, at most 1000.
	FPS float64
	// Duration stretches or squeezes the script; 0 keeps its own length.
	Duration time.Duration
	// Paced delivers frames in real time; otherwise as fast as asked.
	Paced bool
	// Loop starts again after the end instead of io.EOF. Sequence numbers go
	// on counting.
	Loop bool
	// Gesture is what the person shows, one of Gestures; "" means palm.
	Gesture string
	// Script is the timeline; the zero value means DefaultScript.
	Script Script
}

// Flight is a rendered flight. It implements camera.Source; Render and Truth
// give random access. Its methods may be called concurrently.
type Flight struct {
	opt           Options
	width, height int
	fps           float64
	frames        uint64  // length of one pass
	stretch       float64 // script seconds per flight second
	seed          uint64
	gesture       string
	look          look
	script        Script
	shakes        [4][3]wave
	startX        float64
	startY        float64
	alongX        float64
	alongY        float64

	mu     sync.Mutex // guards the scratch below
	ground *terrain
	march  *marcher
	fx     *effects
	sensor *sensor
	blaze  *blaze
	person *person // nil when the gesture is "none"

	drawn    bool // whether the layers hold drawnSeq
	drawnSeq uint64

	closed    chan struct{}
	closeOnce sync.Once
	next      uint64    // the next frame to read
	start     time.Time // when the first frame was read, paced
	timer     *time.Timer
}

var _ camera.Source = (*Flight)(nil)

// New prepares a flight: it grows the terrain and shapes the person, which takes
// some 0.7 s at the default size. Faulty
// options are an error that names the option.
func New(o Options) (*Flight, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	f := &Flight{opt: o, width: o.Width, height: o.Height, fps: o.FPS, seed: o.Seed,
		gesture: o.Gesture, script: o.Script, closed: make(chan struct{})}
	f.stretch = o.Script.Duration().Seconds() / o.Duration.Seconds()
	f.frames = uint64(max(math.Round(o.Duration.Seconds()*o.FPS), 1))
	f.look = newLook(o.Seed)
	f.shakes = newShakes(o.Seed)
	f.alongX, f.alongY = float64(cos(float64(f.look.heading))), float64(sin(float64(f.look.heading)))
	site, _ := f.site()
	f.ground = newTerrain(o.Seed, f.look, site)
	f.march = newMarcher(o.Width, o.Height, o.Seed)
	f.fx = newEffects(o.Width, o.Height, o.Seed)
	f.sensor = newSensor(o.Width, o.Height, o.Seed, f.look.exposure)
	f.blaze = f.newBlaze()
	if f.gesture != "none" {
		f.person = newPerson(o.Seed, &f.look, f.gesture, o.Height)
	}
	return f, nil
}

// complete fills in defaults and checks the rest.
func (o *Options) complete() error {
	if o.Width == 0 && o.Height == 0 {
		o.Width, o.Height = DefaultWidth, DefaultHeight
	}
	if o.FPS == 0 {
		o.FPS = DefaultFPS
	}
	if len(o.Script.Phases) == 0 {
		o.Script = DefaultScript()
	}
	if o.Gesture == "" {
		o.Gesture = "palm"
	}
	if err := errors.Join(o.Script.validate(), validGesture(o.Gesture)); err != nil {
		return err
	}
	if o.Duration == 0 {
		o.Duration = o.Script.Duration()
	}
	switch {
	case min(o.Width, o.Height) < 32 || max(o.Width, o.Height) > 4096:
		return fmt.Errorf("size: got %dx%d, want 32x32 to 4096x4096", o.Width, o.Height)
	case !(o.FPS > 0 && o.FPS <= 1000):
		return fmt.Errorf("fps: got %g, want more than 0 and at most 1000", o.FPS)
	case o.Duration < 0 || o.Duration > 24*time.Hour:
		return fmt.Errorf("duration: got %v, want more than 0 and at most 24h", o.Duration)
	}
	return nil
}

// Info describes the flight.
func (f *Flight) Info() camera.Info {
	return camera.Info{Kind: "synth", Name: fmt.Sprintf("seed %d", f.seed), Width: f.width, Height: f.height, FPS: f.fps}
}

// Frames is the number of frames of one pass over the script.
func (f *Flight) Frames() uint64 { return f.frames }

// Close ends the flight and unblocks ReadFrame. It may be called twice.
func (f *Flight) Close() error {
	f.closeOnce.Do(func() { close(f.closed) })
	return nil
}

// ReadFrame renders the next frame into fr. When paced it waits until the
// frame is due; a reader that falls behind finds the sequence numbers of the
// frames it missed gone. It returns io.EOF at the end unless Loop is set,
// os.ErrClosed after Close and the error of ctx when that ends the wait.
// The capture time is when the frame is complete.
func (f *Flight) ReadFrame(ctx context.Context, fr *camera.Frame) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	if f.next >= f.frames && !f.opt.Loop {
		return io.EOF
	}
	seq := f.next
	if err := f.Render(seq, fr); err != nil {
		return err
	}
	f.next = seq + 1
	fr.Captured = time.Now()
	return nil
}

// wait blocks until the next frame is due and skips the frames that a late
// reader has missed.
func (f *Flight) wait(ctx context.Context) error {
	select {
	case <-f.closed:
		return os.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if !f.opt.Paced {
		return nil
	}
	if f.timer == nil {
		f.start, f.timer = time.Now(), time.NewTimer(0)
	} else {
		f.skip(time.Since(f.start))
		f.timer.Reset(f.due(f.next) - time.Since(f.start))
	}
	defer f.timer.Stop()
	select {
	case <-f.closed:
		return os.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-f.timer.C:
		return nil
	}
}

// due is when a frame is shown, after the first one.
func (f *Flight) due(seq uint64) time.Duration {
	return time.Duration(float64(seq) / f.fps * float64(time.Second))
}

// skip moves on to the newest frame that is already due.
func (f *Flight) skip(elapsed time.Duration) {
	newest := uint64(max(elapsed.Seconds(), 0) * f.fps)
	if !f.opt.Loop {
		newest = min(newest, f.frames)
	}
	f.next = max(f.next, newest)
}

// Render draws frame seq into fr as RGB24, reusing its memory, and sets Seq.
// Sequence numbers past one pass wrap to its start.
func (f *Flight) Render(seq uint64, fr *camera.Frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fr.Resize(f.width, f.height, camera.RGB24)
	fr.Seq, fr.Name = seq, ""
	v := f.viewAt(f.moment(seq))
	f.drawLayers(&v)
	f.drawn, f.drawnSeq = true, seq
	f.sensor.gather(f.march.cols, f.width, f.height, v.blurX)
	if f.person != nil {
		f.person.show(f.sensor.rows, &v, f.shake(v.t))
	}
	f.sensor.develop(fr, f.fx, seq)
	return nil
}

// drawLayers draws terrain, smoke and flames.
func (f *Flight) drawLayers(v *view) {
	f.march.draw(f.ground, &f.look, v)
	f.fx.reset()
	list := f.blaze.gather(f, v)
	if len(list) > 0 {
		f.march.layDepth()
	}
	for i := range list {
		f.fx.draw(&list[i], f.march)
	}
}

// moment is the script time of a frame in seconds.
func (f *Flight) moment(seq uint64) float64 {
	return float64(float64(seq%f.frames) / f.fps * f.stretch)
}
