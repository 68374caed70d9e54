package cli

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"emberwing/telemetry/export"
	"emberwing/telemetry/ground"
)

// exports are the flags that hand events on to other systems.
type exports struct {
	targets      []string
	sender, mode string
	stale        time.Duration
}

func (x *exports) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&x.targets, "export", nil,
		"hand events on: cap=https://host/path, cot=udp://239.2.3.1:6969, geojson=file:///folder; may be repeated")
	f.StringVar(&x.sender, "export-sender", "emberwing", "who answers for exported messages, such as a domain")
	f.StringVar(&x.mode, "export-mode", string(export.Actual), "Actual, Exercise or Test")
	f.DurationVar(&x.stale, "export-stale", 10*time.Minute, "after which an exported event is no longer news")
}

func (x *exports) options() export.Options {
	return export.Options{Sender: x.sender, Mode: export.Mode(x.mode), Stale: x.stale}
}

// check finds what cannot be, before anything is started.
func (x *exports) check() error {
	for _, text := range x.targets {
		if _, err := export.ParseTarget(text); err != nil {
			return err
		}
	}
	return x.options().Validate()
}

// start runs an exporter for each target. wait returns when they have ended, which they do
// with ctx.
func (x *exports) start(ctx context.Context, s *ground.Station, log *slog.Logger) (wait func(), err error) {
	var running sync.WaitGroup
	var made []*export.Exporter
	for _, text := range x.targets {
		target, err := export.ParseTarget(text)
		if err != nil {
			return nil, err
		}
		sink, err := target.Open()
		if err != nil {
			return nil, err
		}
		made = append(made, &export.Exporter{
			Target: target, Sink: sink, Feed: s.Store(), Options: x.options(), Changed: s.Changed, Active: s.Active, Log: log})
	}
	for _, e := range made {
		s.Watch(e)
		running.Go(func() {
			defer e.Sink.Close()
			e.Run(ctx)
		})
	}
	return running.Wait, nil
}
