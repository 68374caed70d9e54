package opencv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emberwing/camera"
	"emberwing/camera/cameratest"
)

// fake is a device of n pictures, 4x3 pixels with 5 bytes of padding a row.
type fake struct {
	n       int           // pictures; -1 for no end
	took    int           // pictures read
	empty   int           // empty pictures before each one
	hang    chan struct{} // read waits for it before picture hangAt
	hangAt  int
	err     error // of picture
	busy    atomic.Bool
	closed  atomic.Int32
	trouble atomic.Pointer[string]
	pix     []byte
	left    int
}

// enter notes calls that overlap and calls after close.
func (d *fake) enter() func() {
	if d.busy.Swap(true) || d.closed.Load() > 0 {
		text := "call during another call or after close"
		d.trouble.Store(&text)
	}
	return func() { d.busy.Store(false) }
}

func (d *fake) read() bool {
	defer d.enter()()
	if d.hang != nil && d.took == d.hangAt {
		<-d.hang
	}
	if d.took == d.n {
		return false
	}
	if d.left > 0 {
		d.left--
		d.pix = nil
		return true
	}
	d.left = d.empty
	d.pix = bytes.Repeat([]byte{byte(d.took)}, 3*17)
	d.took++
	return true
}

func (d *fake) picture() (view, error) {
	defer d.enter()()
	return view{d.pix, 4, 3, 17, camera.BGR24}, d.err
}

func (d *fake) info() (int, int, float64) { return 4, 3, 20 }

func (d *fake) close() {
	defer d.enter()()
	for i := range d.pix {
		d.pix[i] = 0xdb
	}
	d.closed.Add(1)
}

// check wants the device closed once and never misused.
func (d *fake) check(t testing.TB) {
	t.Helper()
	if p := d.trouble.Load(); p != nil {
		t.Error(*p)
	}
	if n := d.closed.Load(); n != 1 {
		t.Errorf("device closed %d times, want once", n)
	}
}

// live are options that reach no file system.
var live = Options{Pipeline: "fake ! appsink"}

// openFake opens a capture of d.
func openFake(t testing.TB, o Options, d *fake) *capture {
	t.Helper()
	c, err := openCapture(t.Context(), o, func(Options) (device, error) { return d, nil })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// emptyFile is a path that passes the check for existence.
func emptyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flight.avi")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContractFake(t *testing.T) {
	path := emptyFile(t)
	for name, o := range map[string]Options{
		"live": live, "file": {URI: path}, "paced": {URI: path, Paced: true, FPS: 200}, "loop": {URI: path, Loop: true},
	} {
		t.Run(name, func(t *testing.T) {
			cameratest.TestSource(t, func(t testing.TB) camera.Source {
				open := func(Options) (device, error) {
					if !o.isFile() {
						return &fake{n: -1, empty: 2}, nil
					}
					return &fake{n: 7}, nil
				}
				c, err := openCapture(t.Context(), o, open)
				if err != nil {
					t.Fatal(err)
				}
				return c
			})
		})
	}
}

// TestHang lets the third read hang: the caller comes back at its deadline,
// Close after its timeout, the device is closed when the read returns and not
// before.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counters Counters
		o := live
		o.Counters = &counters
		d := &fake{n: -1, hang: make(chan struct{}), hangAt: 2}
		c := openFake(t, o, d)
		var f camera.Frame
		for range 2 {
			if err := c.ReadFrame(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second call waits for the same read
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begin := time.Now()
			if err := c.ReadFrame(ctx, &f); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*time.Second {
				t.Errorf("got %v after %v", err, time.Since(begin))
			}
			cancel()
		}
		begin := time.Now()
		if err := c.Close(); err != nil || time.Since(begin) != DefaultCloseTimeout {
			t.Errorf("close: got %v after %v", err, time.Since(begin))
		}
		if counters.Abandoned() != 1 || counters.Stuck() != 1 || d.closed.Load() != 0 {
			t.Errorf("got %d abandoned, %d stuck, closed %d times", counters.Abandoned(), counters.Stuck(), d.closed.Load())
		}
		close(d.hang)
		synctest.Wait()
		d.check(t)
		if counters.Abandoned() != 1 || counters.Stuck() != 0 {
			t.Errorf("got %d abandoned, %d stuck", counters.Abandoned(), counters.Stuck())
		}
	})
}

// TestLateFrame reads with a deadline that passes; the picture comes with the
// next call and its own time.
func TestLateFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fake{n: -1, hang: make(chan struct{})}
		c := openFake(t, live, d)
		var f camera.Frame
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.ReadFrame(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(d.hang)
		synctest.Wait()
		arrived := time.Now()
		<-time.After(time.Minute)
		if err := c.ReadFrame(t.Context(), &f); err != nil || f.Seq != 0 || !f.Captured.Equal(arrived) || f.Pix[0] != 0 {
			t.Errorf("got frame %d of %v, %v", f.Seq, f.Captured, err)
		}
		c.Close()
		d.check(t)
	})
}

// TestOpenHang gives up opening by time and by context; the device that comes
// later is closed.
func TestOpenHang(t *testing.T) {
	for name, want := range map[string]error{"time": os.ErrDeadlineExceeded, "context": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var counters Counters
				o := live
				o.Counters, o.OpenTimeout = &counters, 3*time.Second
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "context" {
					time.AfterFunc(time.Second, cancel)
				}
				d, release := &fake{}, make(chan struct{})
				_, err := openCapture(ctx, o, func(Options) (device, error) { <-release; return d, nil })
				if !errors.Is(err, want) || counters.Stuck() != 1 {
					t.Errorf("got %v, %d stuck, want %v", err, counters.Stuck(), want)
				}
				close(release)
				synctest.Wait()
				d.check(t)
				if counters.Stuck() != 0 {
					t.Errorf("got %d stuck", counters.Stuck())
				}
			})
		})
	}
}

// TestEndings distinguishes the end of a file from everything else, and says
// the same thing again when asked again.
func TestEndings(t *testing.T) {
	path, broken := emptyFile(t), errors.New("not for us")
	for name, c := range map[string]struct {
		o    Options
		d    *fake
		n    int
		want error
	}{
		"file":          {Options{URI: path}, &fake{n: 2}, 2, io.EOF},
		"file of none":  {Options{URI: path}, &fake{}, 0, ErrPicture},
		"loop of none":  {Options{URI: path, Loop: true}, &fake{}, 0, ErrPicture},
		"unplugged":     {live, &fake{n: 2}, 2, ErrVanished},
		"some empty":    {live, &fake{n: 2, empty: maxEmpty - 1}, 2, ErrVanished},
		"only empty":    {live, &fake{n: 2, empty: maxEmpty}, 1, ErrPicture},
		"wrong picture": {live, &fake{n: -1, err: broken}, 0, broken},
	} {
		t.Run(name, func(t *testing.T) {
			s := openFake(t, c.o, c.d)
			var f camera.Frame
			for i := range c.n {
				if err := s.ReadFrame(t.Context(), &f); err != nil || f.Pix[0] != byte(i) || f.Seq != uint64(i) {
					t.Fatalf("frame %d: got level %d, number %d, %v", i, f.Pix[0], f.Seq, err)
				}
			}
			for range 2 {
				if err := s.ReadFrame(t.Context(), &f); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
			s.Close()
			c.d.check(t)
		})
	}
}

// TestLoop opens the file again at its end, and reports when that fails.
func TestLoop(t *testing.T) {
	var opened []*fake
	gone := errors.New("card pulled out")
	open := func(Options) (device, error) {
		if len(opened) == 2 {
			return nil, gone
		}
		opened = append(opened, &fake{n: 2})
		return opened[len(opened)-1], nil
	}
	c, err := openCapture(t.Context(), Options{URI: emptyFile(t), Loop: true}, open)
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	for i := range 4 {
		if err := c.ReadFrame(t.Context(), &f); err != nil || f.Pix[0] != byte(i%2) || f.Seq != uint64(i) {
			t.Errorf("frame %d: got level %d, %v", i, f.Pix[0], err)
		}
	}
	if err := c.ReadFrame(t.Context(), &f); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	c.Close()
	for _, d := range opened {
		d.check(t)
	}
}

// TestPaced plays a file at its own rate and at another.
func TestPaced(t *testing.T) {
	path := emptyFile(t)
	for fps, want := range map[float64]time.Duration{0: 450 * time.Millisecond, 5: 1800 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := openFake(t, Options{URI: path, Paced: true, FPS: fps}, &fake{n: 10})
			defer c.Close()
			var f camera.Frame
			begin := time.Now()
			for range 10 {
				if err := c.ReadFrame(t.Context(), &f); err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(begin); got != want {
				t.Errorf("fps %v: tenth frame after %v, want %v", fps, got, want)
			}
		})
	}
}

// TestCloseWhileReading closes under readers many times; the fake notices a
// close during a read and a copy from a closed device shows its poison.
func TestCloseWhileReading(t *testing.T) {
	for i := range 500 {
		d := &fake{n: -1}
		c := openFake(t, live, d)
		done := make(chan error)
		go func() {
			var f camera.Frame
			for {
				if err := c.ReadFrame(context.Background(), &f); err != nil {
					done <- err
					return
				}
				if want := byte(f.Seq); f.Pix[0] != want || f.Pix[len(f.Pix)-1] != want {
					done <- fmt.Errorf("got level %d, want %d", f.Pix[0], want)
					return
				}
				if f.Seq == uint64(i%5) {
					done <- nil
				}
			}
		}()
		<-done
		c.Close()
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
		d.check(t)
	}
}

// TestNoAllocation reads into one frame.
func TestNoAllocation(t *testing.T) {
	d := &constant{fake{pix: make([]byte, 3*17)}}
	c, err := openCapture(t.Context(), live, func(Options) (device, error) { return d, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var f camera.Frame
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if err := c.ReadFrame(ctx, &f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a frame, want 0", n)
	}
}

// constant is a fake that always has the same picture.
type constant struct{ fake }

func (d *constant) read() bool             { return true }
func (d *constant) picture() (view, error) { return view{d.pix, 4, 3, 17, camera.BGR24}, nil }

func TestOptionErrors(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		o    Options
		want error
		text string
	}{
		"nothing":       {Options{}, ErrOptions, "got 0 of"},
		"two":           {Options{URI: "a", Device: "0"}, ErrOptions, "got 2 of"},
		"fourcc":        {Options{Device: "0", FourCC: "JPG"}, ErrOptions, `"JPG"`},
		"width":         {Options{Device: "0", Width: 1 << 16}, ErrOptions, "65536"},
		"fps":           {Options{Device: "0", FPS: -1}, ErrOptions, "-1"},
		"timeout":       {Options{Device: "0", OpenTimeout: -1}, ErrOptions, "negative"},
		"looped stream": {Options{URI: "rtsp://host/", Loop: true}, ErrOptions, "files"},
		"paced device":  {Options{Device: "0", Paced: true}, ErrOptions, "files"},
		"csi sensor":    {Options{CSI: &CSI{Sensor: 8}}, ErrOptions, "got CSI sensor 8"},
		"csi flip":      {Options{CSI: &CSI{Flip: -1}}, ErrOptions, "got CSI flip -1"},
		"csi fps":       {Options{CSI: &CSI{FPS: 1001}}, ErrOptions, "1001"},
		"csi side":      {Options{CSI: &CSI{OutHeight: -2}}, ErrOptions, "-2"},
		"no file":       {Options{URI: filepath.Join(dir, "none.mp4")}, fs.ErrNotExist, "none.mp4"},
		"folder":        {Options{URI: dir}, fs.ErrInvalid, "folder"},
		"no device":     {Options{Device: "/dev/v4l/by-id/none"}, fs.ErrNotExist, "ls /dev/v4l/by-id"},
		"no index":      {Options{Device: "65535"}, fs.ErrNotExist, "/dev/video65535"},
	} {
		_, err := Open(c.o)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: got %v, want %v with %q", name, err, c.want, c.text)
		}
	}
}

// TestNames keeps credentials out of names.
func TestNames(t *testing.T) {
	for want, o := range map[string]Options{
		"rtsp://cam:554/live":           {URI: "rtsp://admin:secret@cam:554/live?token=secret"},
		"flight/a.mp4":                  {URI: "flight//a.mp4"},
		"/dev/video3":                   {Device: "3"},
		"/dev/v4l/by-id/usb-cam":        {Device: "/dev/v4l/by-id/usb-cam"},
		"csi:1":                         {CSI: &CSI{Sensor: 1}},
		"rtspsrc ! decodebin ! appsink": {Pipeline: "rtspsrc user-pw=secret location=x ! decodebin ! video/x-raw,format=BGR ! appsink"},
	} {
		if got := o.name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCSIPipeline(t *testing.T) {
	for want, c := range map[string]CSI{
		"nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=(int)1280, height=(int)720, framerate=(fraction)30/1 ! " +
			"nvvidconv flip-method=0 ! video/x-raw, width=(int)1280, height=(int)720, format=(string)BGRx ! " +
			"videoconvert ! video/x-raw, format=(string)BGR ! appsink drop=true max-buffers=1 sync=false": {},
		"nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=(int)1920, height=(int)1080, framerate=(fraction)60/1 ! " +
			"nvvidconv flip-method=2 ! video/x-raw, width=(int)960, height=(int)540, format=(string)BGRx ! " +
			"videoconvert ! video/x-raw, format=(string)BGR ! appsink drop=true max-buffers=1 sync=false": {
			Sensor: 1, Width: 1920, Height: 1080, FPS: 60, OutWidth: 960, OutHeight: 540, Flip: 2},
	} {
		if got := c.Pipeline(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestNilCounters may be called without counters.
func TestNilCounters(t *testing.T) {
	var c *Counters
	c.abandon()
	c.comeBack()
	if c.Abandoned() != 0 || c.Stuck() != 0 {
		t.Error("nil counters count")
	}
}
