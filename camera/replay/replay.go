// Package replay plays a folder of JPEG and PNG pictures as a camera: a
// recorded flight, with its recorded timing or as fast as it is asked for.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"emberwing/camera"
	"emberwing/camera/still"
)

// Errors of this package, wrapped with the details.
var (
	// ErrNoPictures reports a folder without a picture that can be played.
	ErrNoPictures = errors.New("no pictures")
	// ErrTiming reports a broken timing.csv.
	ErrTiming = errors.New("bad timing file")
	// ErrOptions reports options out of range.
	ErrOptions = errors.New("bad replay options")
)

// DefaultFPS is the frame rate of a folder without timing.csv.
const DefaultFPS = 10

// TimingFile is the name of the optional file of recorded times. Its lines are
// "file,offset_ms": a picture of the folder and when it was taken, in
// milliseconds after the start of the flight, not falling. A header line of
// these two words is allowed. The file then decides which pictures are played.
const TimingFile = "timing.csv"

// Options say what to play and how.
type Options struct {
	// Dir is the folder. Its pictures are *.jpg, *.jpeg and *.png, played in
	// natural order: 2.jpg before 10.jpg.
	Dir string
	// FPS is the rate when there is no timing.csv; 0 means DefaultFPS.
	FPS float64
	// Paced delivers each frame at its time and not before. A late reader
	// gets the frames it missed without delay. Unpaced frames come at once.
	Paced bool
	// Loop starts again at the end instead of returning io.EOF.
	Loop bool
	// Strict makes a broken picture an error; else it is skipped and counted.
	Strict bool
}

// Player is a [camera.Source]. Frames carry the file name without the folder.
type Player struct {
	options Options
	entries []entry
	info    camera.Info
	skipped atomic.Uint64
	closed  chan struct{}
	once    sync.Once

	// used by ReadFrame only
	next  int           // entry to deliver
	good  bool          // some picture of this round was played
	ready bool          // the caller's frame was decoded but is not due
	held  camera.Frame  // that frame
	seq   uint64        // its number
	start time.Time     // when the flight began
	base  time.Duration // offset of the current round
}

var _ camera.Source = (*Player)(nil)

// entry is one picture and its time after the start of the flight.
type entry struct {
	name   string
	offset time.Duration
}

// Open lists the folder; the first picture is not decoded yet. The error wraps
// [ErrNoPictures], [ErrTiming], [ErrOptions] or that of the file system.
func Open(o Options) (*Player, error) {
	p := &Player{options: o, closed: make(chan struct{})}
	if o.FPS == 0 {
		p.options.FPS = DefaultFPS
	}
	if f := p.options.FPS; !(f > 0) || f > 10_000 {
		return nil, fmt.Errorf("open replay %s: %w: got fps %v, want above 0 to 10000", o.Dir, ErrOptions, o.FPS)
	}
	if err := p.list(); err != nil {
		return nil, fmt.Errorf("open replay %s: %w", o.Dir, err)
	}
	p.info = camera.Info{Kind: "replay", Name: o.Dir, FPS: p.rate()}
	return p, nil
}

// list fills the entries from timing.csv or from the folder.
func (p *Player) list() error {
	file, err := os.Open(filepath.Join(p.options.Dir, TimingFile))
	if err == nil {
		defer file.Close()
		p.entries, err = readTiming(file)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := pictures(p.options.Dir)
	if err != nil {
		return err
	}
	for i, name := range names {
		p.entries = append(p.entries, entry{name, p.period(float64(i))})
	}
	return nil
}

// period returns the time of n frames at the nominal rate.
func (p *Player) period(n float64) time.Duration {
	return time.Duration(math.Round(n / p.options.FPS * float64(time.Second)))
}

// rate returns the mean rate of the recording.
func (p *Player) rate() float64 {
	last := len(p.entries) - 1
	span := (p.entries[last].offset - p.entries[0].offset).Seconds()
	if span <= 0 {
		return p.options.FPS
	}
	return float64(last) / span
}

// Info describes the recording; Width and Height are unknown because the
// pictures may differ.
func (p *Player) Info() camera.Info { return p.info }

// Skipped returns how many broken pictures were passed over so far.
func (p *Player) Skipped() uint64 { return p.skipped.Load() }

// Frames returns the number of pictures of one round, broken ones included.
func (p *Player) Frames() int { return len(p.entries) }

// Close ends the replay and unblocks ReadFrame.
func (p *Player) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// ReadFrame decodes the next picture into f and, when paced, waits for its
// time. A frame that was not due before ctx ended is delivered by the next
// call. Errors: io.EOF, os.ErrClosed, that of ctx, [ErrNoPictures] when no
// picture of a whole round could be decoded, and in strict mode those of
// package still.
func (p *Player) ReadFrame(ctx context.Context, f *camera.Frame) error {
	if err := p.stopped(ctx); err != nil {
		return err
	}
	if !p.ready {
		if err := p.prepare(ctx, f); err != nil {
			return err
		}
	} else {
		f.CopyFrom(&p.held)
	}
	if err := p.wait(ctx, p.due()); err != nil {
		p.hold(f)
		return err
	}
	f.Seq, f.Name = p.seq, p.entries[p.next].name
	f.Captured = time.Now()
	p.ready, p.seq, p.next, p.good = false, p.seq+1, p.next+1, true
	return nil
}

// hold keeps a decoded frame for the next call.
func (p *Player) hold(f *camera.Frame) {
	if !p.ready {
		p.held.CopyFrom(f)
	}
	p.ready = true
}

// prepare decodes the next good picture.
func (p *Player) prepare(ctx context.Context, f *camera.Frame) error {
	for {
		if p.next == len(p.entries) {
			if err := p.rewind(); err != nil {
				return err
			}
		}
		err := still.Open(filepath.Join(p.options.Dir, p.entries[p.next].name), f)
		if err == nil {
			return nil
		}
		p.next++
		p.skipped.Add(1)
		if p.options.Strict {
			return fmt.Errorf("replay: %w", err)
		}
		if err := p.stopped(ctx); err != nil {
			return err
		}
	}
}

// rewind starts the next round or reports the end.
func (p *Player) rewind() error {
	if !p.good {
		return fmt.Errorf("replay %s: %w: all %d files are broken", p.options.Dir, ErrNoPictures, len(p.entries))
	}
	if !p.options.Loop {
		return io.EOF
	}
	p.base += p.entries[len(p.entries)-1].offset + p.period(1)
	p.next, p.good = 0, false
	return nil
}

// due returns when the prepared frame is due. The flight starts with the
// first frame that is asked for.
func (p *Player) due() time.Time {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	return p.start.Add(p.base + p.entries[p.next].offset)
}

// wait blocks until the given time when the replay is paced.
func (p *Player) wait(ctx context.Context, due time.Time) error {
	delay := time.Until(due)
	if !p.options.Paced || delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.closed:
		return p.stopped(ctx)
	case <-ctx.Done():
		return p.stopped(ctx)
	}
}

// stopped returns why ReadFrame must not go on, nil when it may.
func (p *Player) stopped(ctx context.Context) error {
	select {
	case <-p.closed:
		return fmt.Errorf("replay: %w", os.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// pictures lists the pictures of a folder in natural order.
func pictures(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if !file.IsDir() && isPicture(file.Name()) {
			names = append(names, file.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: got %d files, want *.jpg, *.jpeg or *.png", ErrNoPictures, len(files))
	}
	sortNaturally(names)
	return names, nil
}

// isPicture goes by the extension. Hidden files are none.
func isPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return !strings.HasPrefix(name, ".")
	}
	return false
}
