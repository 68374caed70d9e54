package drone

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"emberwing/camera"
	"emberwing/camera/opencv"
	"emberwing/camera/replay"
	"emberwing/camera/synth"
	"emberwing/firmware/config"
	"emberwing/firmware/pipeline"
)

// opener returns how the configured camera is opened. What can be known to be
// wrong before the first try is an error now: a drone should not take off
// with the name of a file misspelt.
func opener(c config.Camera) (pipeline.Opener, error) {
	switch c.Kind {
	case config.Folder, config.Video:
		if _, err := os.Stat(c.Source); err != nil {
			return nil, fmt.Errorf("camera.source: %w", err)
		}
	}
	if c.Kind == config.Synthetic || c.Kind == config.Folder {
		return func(context.Context) (camera.Source, error) { return openRecorded(c) }, nil
	}
	options, err := captureOptions(c)
	if err != nil {
		return nil, err
	}
	options.Counters = new(opencv.Counters)
	return func(ctx context.Context) (camera.Source, error) {
		if n := options.Counters.Stuck(); n >= maxStuck {
			return nil, fmt.Errorf("%d captures hang inside OpenCV: restart the daemon, and nvargus-daemon for a CSI camera", n)
		}
		return opencv.OpenContext(ctx, options)
	}, nil
}

// maxStuck is how many captures may hang at a time. Each holds a thread, its
// memory and its device; more of them would only hide what is wrong.
const maxStuck = 4

// captureOptions translates the configuration for OpenCV.
func captureOptions(c config.Camera) (opencv.Options, error) {
	o := opencv.Options{Width: c.Width, Height: c.Height, FPS: c.FPS}
	switch c.Kind {
	case config.Video:
		o.URI, o.Paced, o.Loop = c.Source, c.Realtime, c.Loop
	case config.RTSP:
		o.URI = c.Source
	case config.V4L2:
		o.Device = c.Source
	case config.GStreamer:
		o.Pipeline = c.Source
	case config.CSI:
		sensor, err := sensorID(c.Source)
		if err != nil {
			return o, err
		}
		o = opencv.Options{CSI: &opencv.CSI{Sensor: sensor, Flip: c.Flip, Width: c.Width, Height: c.Height, FPS: int(c.FPS)}}
	}
	if err := o.Validate(); err != nil {
		return o, fmt.Errorf("camera: %w", err)
	}
	return o, nil
}

// sensorID reads the number of a CSI sensor; "" is the first.
func sensorID(source string) (int, error) {
	if source == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(source)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("camera.source: got %q, want the number of a CSI sensor such as 0", source)
	}
	return n, nil
}

func openRecorded(c config.Camera) (camera.Source, error) {
	if c.Kind == config.Folder {
		return replay.Open(replay.Options{Dir: c.Source, FPS: c.FPS, Paced: c.Realtime, Loop: c.Loop})
	}
	return synth.New(synth.Options{Seed: c.Seed, Width: c.Width, Height: c.Height, FPS: c.FPS, Duration: c.Length.D(), Paced: c.Realtime, Loop: c.Loop})
}
