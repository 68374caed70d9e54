//go:build opencv && cgo

package opencv

import (
	"fmt"
	"math"
	"strings"
	"time"

	"gocv.io/x/gocv"

	"emberwing/camera"
)

// Capture properties that gocv does not name, in milliseconds. FFmpeg knows
// them since OpenCV 4.5.4.
const (
	openTimeoutMsec gocv.VideoCaptureProperties = 53
	readTimeoutMsec gocv.VideoCaptureProperties = 54
)

// gocvDevice is an open capture and the one Mat it reads into.
type gocvDevice struct {
	capture *gocv.VideoCapture
	mat     gocv.Mat
}

// openDevice opens what o names.
func openDevice(o Options) (device, error) {
	capture, err := openVideo(o)
	if err != nil {
		if capture != nil { // gocv allocates it before opening
			capture.Close()
		}
		return nil, fmt.Errorf("%w: OpenCV refuses %s%s", ErrOpen, o.name(), hint(o))
	}
	if o.Device != "" {
		ask(capture, o)
	}
	return &gocvDevice{capture, gocv.NewMat()}, nil
}

// openVideo picks the backend. A file or URL goes to FFmpeg only: OpenCV's
// other backends read some names as image sequences or pipelines.
func openVideo(o Options) (*gocv.VideoCapture, error) {
	switch {
	case o.Device != "":
		return gocv.VideoCaptureFileWithAPI(o.devicePath(), gocv.VideoCaptureV4L2)
	case o.CSI != nil:
		return gocv.VideoCaptureFileWithAPI(o.CSI.Pipeline(), gocv.VideoCaptureGstreamer)
	case o.Pipeline != "":
		return gocv.VideoCaptureFileWithAPI(o.Pipeline, gocv.VideoCaptureGstreamer)
	case o.isFile():
		return gocv.VideoCaptureFileWithAPI(o.URI, gocv.VideoCaptureFFmpeg)
	}
	return gocv.VideoCaptureFileWithAPIParams(o.URI, gocv.VideoCaptureFFmpeg, []gocv.VideoCaptureProperties{
		openTimeoutMsec, milliseconds(o.OpenTimeout),
		readTimeoutMsec, milliseconds(o.ReadTimeout),
	})
}

// milliseconds makes a parameter of at least 1 ms.
func milliseconds(d time.Duration) gocv.VideoCaptureProperties {
	return gocv.VideoCaptureProperties(min(max(d.Milliseconds(), 1), math.MaxInt32))
}

// hint says what to look at when o cannot be opened.
func hint(o Options) string {
	switch {
	case o.CSI != nil:
		return "; is the camera connected? systemctl restart nvargus-daemon frees a stuck one"
	case o.Pipeline != "":
		return "; try the pipeline with gst-launch-1.0"
	case o.Device != "":
		return "; is it a capture device that nobody else has open? (v4l2-ctl --list-devices)"
	case o.isFile():
		return "; is it a video? (ffprobe)"
	}
	return "; is the host reachable and the path right?"
}

// ask sets the wishes for a device. The driver picks the nearest it can do.
func ask(capture *gocv.VideoCapture, o Options) {
	if o.FourCC != "" {
		capture.Set(gocv.VideoCaptureFOURCC, capture.ToCodec(o.FourCC))
	}
	if o.Width > 0 && o.Height > 0 {
		capture.Set(gocv.VideoCaptureFrameWidth, float64(o.Width))
		capture.Set(gocv.VideoCaptureFrameHeight, float64(o.Height))
	}
	if o.FPS > 0 {
		capture.Set(gocv.VideoCaptureFPS, o.FPS)
	}
}

func (d *gocvDevice) read() bool { return d.capture.Read(&d.mat) }

func (d *gocvDevice) picture() (view, error) {
	if d.mat.Empty() {
		return view{}, nil
	}
	v := view{width: d.mat.Cols(), height: d.mat.Rows(), stride: d.mat.Step()}
	switch kind := d.mat.Type(); kind {
	case gocv.MatTypeCV8UC3:
		v.format = camera.BGR24
	case gocv.MatTypeCV8UC1:
		v.format = camera.Gray8
	default:
		return view{}, fmt.Errorf("%w: got Mat type %v, want 8-bit BGR or grey", ErrPicture, kind)
	}
	pix, err := d.mat.DataPtrUint8()
	if err != nil {
		return view{}, fmt.Errorf("%w: %s", ErrPicture, strings.ToLower(err.Error()))
	}
	v.pix = pix
	if need := (v.height-1)*v.stride + v.width*v.format.Channels(); len(pix) < need {
		return view{}, fmt.Errorf("%w: got %d bytes, want %d", ErrPicture, len(pix), need)
	}
	return v, nil
}

func (d *gocvDevice) info() (width, height int, fps float64) {
	return int(d.capture.Get(gocv.VideoCaptureFrameWidth)), int(d.capture.Get(gocv.VideoCaptureFrameHeight)),
		d.capture.Get(gocv.VideoCaptureFPS)
}

func (d *gocvDevice) close() {
	d.capture.Close()
	d.mat.Close()
}
