package drone

import (
	"context"
	"fmt"
	"os"
	"time"

	"emberwing/camera"
	"emberwing/camera/opencv"
	"emberwing/camera/replay"
	"emberwing/camera/synth"
	"emberwing/firmware/config"
	"emberwing/firmware/pipeline"
)

// flightLength is the length of one round of the synthetic flight.
const flightLength = 30 * time.Second

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
	return func(context.Context) (camera.Source, error) { return opencv.Open(options) }, nil
}

func openRecorded(c config.Camera) (camera.Source, error) {
	if c.Kind == config.Folder {
		return replay.Open(replay.Options{Dir: c.Source, Paced: c.Realtime, Loop: c.Loop})
	}
	return synth.New(synth.Options{Seed: c.Seed, Width: c.Width, Height: c.Height, FPS: c.FPS, Duration: flightLength, Paced: c.Realtime, Loop: c.Loop})
}
