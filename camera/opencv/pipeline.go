package opencv

import (
	"fmt"
	"strings"
)

// CSI is a camera on a CSI connector of a Jetson, read through
// nvarguscamerasrc, scaled and flipped by the image processor.
type CSI struct {
	// Sensor is the connector, 0 or 1 (CAM0, CAM1), up to 7.
	Sensor int
	// Width, Height and FPS choose the sensor mode; 0 means 1280x720 at 30.
	Width, Height, FPS int
	// OutWidth and OutHeight are the size of the frames; 0 means that of the
	// sensor mode.
	OutWidth, OutHeight int
	// Flip is nvvidconv's flip-method: 0 none, 1 90° counter-clockwise, 2
	// 180°, 3 90° clockwise, 4 horizontal, 5 upper-right diagonal, 6
	// vertical, 7 upper-left diagonal.
	Flip int
}

// Validate returns nil or an error that wraps [ErrOptions].
func (c CSI) Validate() error {
	switch {
	case c.Sensor < 0 || c.Sensor > 7:
		return fmt.Errorf("%w: got CSI sensor %d, want 0 to 7", ErrOptions, c.Sensor)
	case c.Flip < 0 || c.Flip > 7:
		return fmt.Errorf("%w: got CSI flip %d, want 0 to 7", ErrOptions, c.Flip)
	case c.FPS < 0 || c.FPS > 1000:
		return fmt.Errorf("%w: got CSI fps %d, want 0 to 1000", ErrOptions, c.FPS)
	}
	for _, side := range []int{c.Width, c.Height, c.OutWidth, c.OutHeight} {
		if side < 0 || side > 1<<14 {
			return fmt.Errorf("%w: got CSI side %d, want 0 to %d", ErrOptions, side, 1<<14)
		}
	}
	return nil
}

// withDefaults fills what is 0.
func (c CSI) withDefaults() CSI {
	if c.Width == 0 || c.Height == 0 {
		c.Width, c.Height = 1280, 720
	}
	if c.FPS == 0 {
		c.FPS = 30
	}
	if c.OutWidth == 0 || c.OutHeight == 0 {
		c.OutWidth, c.OutHeight = c.Width, c.Height
	}
	return c
}

// Pipeline returns the GStreamer pipeline. Its appsink keeps one frame and
// drops older ones, so that a slow reader sees the newest picture.
func (c CSI) Pipeline() string {
	c = c.withDefaults()
	return fmt.Sprintf("nvarguscamerasrc sensor-id=%d"+
		" ! video/x-raw(memory:NVMM), width=(int)%d, height=(int)%d, framerate=(fraction)%d/1"+
		" ! nvvidconv flip-method=%d"+
		" ! video/x-raw, width=(int)%d, height=(int)%d, format=(string)BGRx"+
		" ! videoconvert ! video/x-raw, format=(string)BGR"+
		" ! appsink drop=true max-buffers=1 sync=false",
		c.Sensor, c.Width, c.Height, c.FPS, c.Flip, c.OutWidth, c.OutHeight)
}

// elements names the elements of a pipeline without their properties, which
// may hold passwords.
func elements(pipeline string) string {
	var names []string
	for part := range strings.SplitSeq(pipeline, "!") {
		if words := strings.Fields(part); len(words) > 0 && !strings.Contains(words[0], "/") {
			names = append(names, words[0])
		}
	}
	return strings.Join(names, " ! ")
}
