// Package opencv captures frames through OpenCV: video files, V4L2 devices,
// network streams and GStreamer pipelines, the CSI cameras of Jetson boards
// among them.
//
// The package is empty without the build tag opencv: Open then returns
// [ErrNotBuilt]. scripts/cgo.env holds the tags and flags of the build.
//
// A read inside OpenCV cannot be interrupted, and a capture must not be closed
// under a read. So each capture has a goroutine that does nothing but open,
// read and close. A caller whose deadline passes leaves; a capture that is
// closed while a read hangs is abandoned, counted, and freed by that goroutine
// if the read ever comes back.
package opencv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"emberwing/camera"
)

// Errors of this package, wrapped with the details.
var (
	// ErrNotBuilt reports a program without OpenCV.
	ErrNotBuilt = errors.New("built without OpenCV")
	// ErrOptions reports options that contradict each other or are out of range.
	ErrOptions = errors.New("bad capture options")
	// ErrOpen reports a source that OpenCV cannot open.
	ErrOpen = errors.New("cannot open capture")
	// ErrVanished reports a live source that stopped delivering: unplugged,
	// stream ended, pipeline stopped. Reopen it.
	ErrVanished = errors.New("capture vanished")
	// ErrPicture reports pictures of a kind that is not 8 bits and 1 or 3
	// channels, or a source that delivers empty ones only.
	ErrPicture = errors.New("bad picture from capture")
)

// Defaults of the time limits.
const (
	DefaultOpenTimeout  = 10 * time.Second
	DefaultReadTimeout  = 5 * time.Second
	DefaultCloseTimeout = 250 * time.Millisecond
)

// defaultFPS paces a file that does not tell its rate.
const defaultFPS = 25

// Options say what to capture. Exactly one of URI, Device, Pipeline and CSI is
// set.
type Options struct {
	// URI is the path of a video file, or a URL such as rtsp://host/path.
	URI string
	// Device is a V4L2 device: an index ("0"), or better a path that stays
	// when devices come and go ("/dev/v4l/by-id/…").
	Device string
	// Pipeline is a GStreamer pipeline that ends in an appsink.
	Pipeline string
	// CSI is a camera behind NVIDIA's Argus, see [CSI.Pipeline].
	CSI *CSI

	// Width, Height and FPS are asked of a Device, which may choose others;
	// 0 leaves its default. FPS replaces the rate of a paced file.
	Width, Height int
	FPS           float64
	// FourCC is the pixel format asked of a Device, for instance "MJPG".
	FourCC string

	// OpenTimeout bounds Open, ReadTimeout what FFmpeg waits for a frame of a
	// network stream, CloseTimeout what Close waits for a read under way.
	// 0 means the default.
	OpenTimeout, ReadTimeout, CloseTimeout time.Duration

	// Paced plays a file at its frame rate instead of as fast as it is read.
	Paced bool
	// Loop plays a file again from its beginning at the end.
	Loop bool

	// Counters, when set, counts abandoned captures. It may be shared by all
	// captures of a program.
	Counters *Counters
}

// Counters counts captures whose read (or open) did not come back in time.
// The zero value is ready; all methods may be called on nil.
type Counters struct{ abandoned, returned atomic.Uint64 }

// Abandoned returns how many captures were left behind so far.
func (c *Counters) Abandoned() uint64 {
	if c == nil {
		return 0
	}
	return c.abandoned.Load()
}

// Stuck returns how many of those still hang. Each holds a thread, its memory
// and its device.
func (c *Counters) Stuck() uint64 {
	if c == nil {
		return 0
	}
	returned := c.returned.Load() // first: it never overtakes abandoned
	return c.abandoned.Load() - returned
}

// abandon counts a capture that is left behind.
func (c *Counters) abandon() {
	if c != nil {
		c.abandoned.Add(1)
	}
}

// comeBack counts an abandoned capture that was freed after all.
func (c *Counters) comeBack() {
	if c != nil {
		c.returned.Add(1)
	}
}

// Open is OpenContext without a way to cancel.
func Open(o Options) (camera.Source, error) { return OpenContext(context.Background(), o) }

// OpenContext opens a source. Frames are BGR24, or Gray8 for a grey camera. It
// returns at the end of ctx and after o.OpenTimeout even if OpenCV hangs. The
// error wraps [ErrNotBuilt], [ErrOptions], [ErrOpen], that of ctx, or
// [os.ErrDeadlineExceeded].
func OpenContext(ctx context.Context, o Options) (camera.Source, error) {
	c, err := openCapture(ctx, o, openDevice)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// withDefaults fills the time limits.
func (o Options) withDefaults() Options {
	if o.OpenTimeout == 0 {
		o.OpenTimeout = DefaultOpenTimeout
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = DefaultCloseTimeout
	}
	return o
}

// Validate returns nil or an error that wraps [ErrOptions].
func (o Options) Validate() error {
	set := 0
	for _, given := range []bool{o.URI != "", o.Device != "", o.Pipeline != "", o.CSI != nil} {
		if given {
			set++
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("%w: got %d of URI, Device, Pipeline and CSI, want exactly 1", ErrOptions, set)
	case o.FourCC != "" && len(o.FourCC) != 4:
		return fmt.Errorf("%w: got FourCC %q, want 4 characters such as MJPG", ErrOptions, o.FourCC)
	case o.Width < 0 || o.Height < 0 || o.Width > 1<<15 || o.Height > 1<<15:
		return fmt.Errorf("%w: got %dx%d, want 0x0 to 32768x32768", ErrOptions, o.Width, o.Height)
	case !(o.FPS >= 0 && o.FPS <= 1000):
		return fmt.Errorf("%w: got fps %v, want 0 to 1000", ErrOptions, o.FPS)
	case o.OpenTimeout < 0 || o.ReadTimeout < 0 || o.CloseTimeout < 0:
		return fmt.Errorf("%w: got a negative timeout", ErrOptions)
	case (o.Paced || o.Loop) && !o.isFile():
		return fmt.Errorf("%w: Paced and Loop are for video files", ErrOptions)
	case o.CSI != nil:
		return o.CSI.Validate()
	}
	return nil
}

// isFile reports whether the source is a video file.
func (o Options) isFile() bool { return o.URI != "" && !strings.Contains(o.URI, "://") }

// devicePath turns an index into a path.
func (o Options) devicePath() string {
	if _, err := strconv.ParseUint(o.Device, 10, 16); err == nil {
		return "/dev/video" + o.Device
	}
	return o.Device
}

// checkPath returns a clear error for a file or device that is not there.
func (o Options) checkPath() error {
	path, hint := o.URI, ""
	switch {
	case o.Device != "":
		path, hint = o.devicePath(), " (see ls /dev/v4l/by-id)"
	case !o.isFile():
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: %w%s", ErrOpen, err, hint)
	}
	if info.IsDir() {
		return fmt.Errorf("%w: %s is a folder: %w", ErrOpen, path, fs.ErrInvalid)
	}
	return nil
}

// name describes the source for logs, without credentials.
func (o Options) name() string {
	switch {
	case o.Device != "":
		return o.devicePath()
	case o.CSI != nil:
		return fmt.Sprintf("csi:%d", o.CSI.Sensor)
	case o.Pipeline != "":
		return elements(o.Pipeline)
	case o.isFile():
		return filepath.Clean(o.URI)
	}
	u, err := url.Parse(o.URI)
	if err != nil {
		return "url"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
