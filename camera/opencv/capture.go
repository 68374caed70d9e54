package opencv

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

// maxEmpty is how many empty pictures in a row are passed over.
const maxEmpty = 50

// device is an open OpenCV capture. Its methods may block for ever, and no two
// of them run at the same time.
type device interface {
	// read waits for the next picture and reports whether there is one.
	read() bool
	// picture views the picture read last, with nil Pix when it is empty.
	picture() (view, error)
	// info returns what the capture says about itself.
	info() (width, height int, fps float64)
	// close frees everything.
	close()
}

// view is a picture in memory of the device, good until its next read.
type view struct {
	pix                   []byte
	width, height, stride int
	format                camera.Format
}

// opener opens the device of o; it may block for ever.
type opener func(o Options) (device, error)

// outcome is the answer to one wish for a picture.
type outcome struct {
	picture view
	at      time.Time
	err     error
}

// capture is the [camera.Source] around a device. The goroutine work owns the
// device; ReadFrame looks at the picture while work waits for the next wish.
type capture struct {
	options Options
	info    camera.Info
	open    opener

	want   chan struct{} // one wish at most
	done   chan outcome  // its answer, buffered: work never waits for a reader
	quit   chan struct{} // closed by Close
	exited chan struct{} // closed by work
	once   sync.Once

	mu        sync.Mutex // held while a picture is copied
	closed    bool       // no more copies
	freed     bool       // work has closed the device
	abandoned bool       // Close did not wait for that

	// used by ReadFrame only
	pending bool // a wish is under way
	failed  error
	seq     uint64
	start   time.Time
}

var _ camera.Source = (*capture)(nil)

// openCapture opens a device with a time limit and starts its goroutine.
func openCapture(ctx context.Context, o Options, open opener) (*capture, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("open capture: %w", err)
	}
	if err := o.checkPath(); err != nil {
		return nil, fmt.Errorf("open capture: %w", err)
	}
	o = o.withDefaults()
	d, err := openInTime(ctx, o, open)
	if err != nil {
		return nil, fmt.Errorf("open capture %s: %w", o.name(), err)
	}
	c := &capture{
		options: o, open: open, info: describe(o, d),
		want: make(chan struct{}, 1), done: make(chan outcome, 1),
		quit: make(chan struct{}), exited: make(chan struct{}),
	}
	go c.work(d)
	return c, nil
}

// openInTime waits for open until ctx ends or the time is up. A device that
// comes later is closed and counted.
func openInTime(ctx context.Context, o Options, open opener) (device, error) {
	type result struct {
		d   device
		err error
	}
	results, gone := make(chan result), make(chan struct{})
	go func() {
		d, err := open(o)
		select {
		case results <- result{d, err}:
		case <-gone:
			if err == nil {
				d.close()
			}
			o.Counters.comeBack()
		}
	}()
	timer := time.NewTimer(o.OpenTimeout)
	defer timer.Stop()
	var err error
	select {
	case r := <-results:
		return r.d, r.err
	case <-timer.C:
		err = fmt.Errorf("%w: not open after %v: %w", ErrOpen, o.OpenTimeout, os.ErrDeadlineExceeded)
	case <-ctx.Done():
		err = ctx.Err()
	}
	o.Counters.abandon()
	close(gone)
	return nil, err
}

// describe asks the device what it is; nonsense becomes 0.
func describe(o Options, d device) camera.Info {
	i := camera.Info{Kind: "opencv", Name: o.name()}
	i.Width, i.Height, i.FPS = d.info()
	if i.Width < 1 || i.Height < 1 {
		i.Width, i.Height = 0, 0
	}
	if !(i.FPS > 0 && i.FPS <= 1000) {
		i.FPS = 0
	}
	if o.isFile() && o.FPS > 0 {
		i.FPS = o.FPS
	}
	return i
}

// work reads one picture per wish until Close, then frees the device.
func (c *capture) work(d device) {
	defer close(c.exited)
	played := false // some picture since the last open
	for {
		select {
		case <-c.quit:
			c.free(d)
			return
		case <-c.want:
		}
		o := next(d)
		if o.err == io.EOF && c.options.Loop && played {
			d, o = c.rewind(d)
		}
		if o.err == io.EOF {
			o.err = c.ending(played)
		}
		played = played || o.err == nil
		c.done <- o
	}
}

// next reads until there is a picture that is not empty.
func next(d device) outcome {
	for range maxEmpty {
		if !d.read() {
			return outcome{err: io.EOF}
		}
		at := time.Now()
		picture, err := d.picture()
		if err != nil || picture.pix != nil {
			return outcome{picture, at, err}
		}
	}
	return outcome{err: fmt.Errorf("%w: got %d empty pictures in a row", ErrPicture, maxEmpty)}
}

// rewind opens the file again and reads its first picture. The old device is
// freed first, so that there is one at most; without a new one an empty device
// stands in.
func (c *capture) rewind(d device) (device, outcome) {
	d.close()
	d, err := c.open(c.options)
	if err != nil {
		return nothing{}, outcome{err: fmt.Errorf("rewind: %w", err)}
	}
	return d, next(d)
}

// nothing is the device of a capture that could not be rewound.
type nothing struct{}

func (nothing) read() bool                { return false }
func (nothing) picture() (view, error)    { return view{}, nil }
func (nothing) info() (int, int, float64) { return 0, 0, 0 }
func (nothing) close()                    {}

// ending says what it means that a device has no more pictures.
func (c *capture) ending(played bool) error {
	switch {
	case !c.options.isFile():
		return fmt.Errorf("%w: %s", ErrVanished, c.info.Name)
	case !played:
		return fmt.Errorf("%w: no picture in %s", ErrPicture, c.info.Name)
	}
	return io.EOF
}

// free closes the device after the last copy.
func (c *capture) free(d device) {
	c.mu.Lock() // waits for a copy under way; closed keeps others out
	c.mu.Unlock()
	d.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.freed = true
	if c.abandoned {
		c.options.Counters.comeBack()
	}
}

// Info describes the capture as it was opened.
func (c *capture) Info() camera.Info { return c.info }

// Close ends the capture and unblocks ReadFrame. It waits for a read under way
// until the close timeout, then abandons the capture.
func (c *capture) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		close(c.quit)
		timer := time.NewTimer(c.options.CloseTimeout)
		defer timer.Stop()
		select {
		case <-c.exited:
		case <-timer.C:
			c.abandon()
		}
	})
	return nil
}

// abandon counts the capture unless it was freed at the last moment.
func (c *capture) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.freed {
		c.abandoned = true
		c.options.Counters.abandon()
	}
}

// ReadFrame delivers the next picture. A read that outlasts ctx goes on, and
// its picture is delivered by the next call with the time it arrived. After an
// error other than that of ctx, the same error is returned again.
func (c *capture) ReadFrame(ctx context.Context, f *camera.Frame) error {
	if err := c.stopped(ctx); err != nil {
		return err
	}
	if c.failed != nil {
		return c.failed
	}
	if err := c.pace(ctx); err != nil {
		return err
	}
	if !c.pending {
		c.want <- struct{}{}
		c.pending = true
	}
	select {
	case o := <-c.done:
		c.pending = false
		return c.deliver(o, f)
	case <-c.quit:
	case <-ctx.Done():
	}
	return c.stopped(ctx)
}

// deliver copies the picture into f.
func (c *capture) deliver(o outcome, f *camera.Frame) error {
	if o.err != nil {
		c.failed = o.err
		if !errors.Is(o.err, io.EOF) {
			c.failed = fmt.Errorf("capture: %w", o.err)
		}
		return c.failed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("capture: %w", os.ErrClosed)
	}
	p := o.picture
	f.Resize(p.width, p.height, p.format)
	for y := range p.height {
		copy(f.Row(y), p.pix[y*p.stride:])
	}
	f.Seq, f.Captured, f.Name = c.seq, o.at, ""
	c.seq++
	return nil
}

// pace waits until the next picture of a paced file is due. The first one
// starts the clock.
func (c *capture) pace(ctx context.Context) error {
	if !c.options.Paced || c.pending {
		return nil
	}
	if c.start.IsZero() {
		c.start = time.Now()
	}
	timer := time.NewTimer(time.Until(c.start.Add(c.offset())))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.quit:
	case <-ctx.Done():
	}
	return c.stopped(ctx)
}

// offset returns when the next picture is due after the first.
func (c *capture) offset() time.Duration {
	fps := c.info.FPS
	if fps == 0 {
		fps = defaultFPS
	}
	return time.Duration(math.Round(float64(c.seq) / fps * float64(time.Second)))
}

// stopped returns why ReadFrame must not go on, nil when it may.
func (c *capture) stopped(ctx context.Context) error {
	select {
	case <-c.quit:
		return fmt.Errorf("capture: %w", os.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}
