package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"emberwing/firmware/config"
	"emberwing/firmware/drone"
	"emberwing/firmware/engine"
	"emberwing/telemetry/broker"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
)

func demoCommand(s Streams) *cobra.Command {
	var d demo
	c := &cobra.Command{
		Use: "demo", Short: "the whole system on one machine", Args: cobra.NoArgs,
		Long: `demo flies a rendered flight over a landscape with a fire and a person who
signals, on this machine: camera, quantised models, alerts, an embedded MQTT
broker, and a receiver that prints what comes back from the broker.

The flight is synthetic and says so; the models, the broker and the whole path
are the real ones.`,
		Example: "  emberwing demo\n  emberwing demo --seconds 30 --headless --json",
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c.Context(), s) },
	}
	f := c.Flags()
	f.IntVar(&d.seconds, "seconds", 0, "end after this long; 0 goes on until Ctrl-C")
	f.BoolVar(&d.headless, "headless", false, "serve no live page")
	f.BoolVar(&d.json, "json", false, "print one JSON object a message, and the summary as the last")
	f.StringVar(&d.precision, "precision", "int8", "fp32, fp16 or int8")
	f.Uint64Var(&d.seed, "seed", 1, "seed of the flight")
	f.Float64Var(&d.fps, "fps", 15, "frames per second of the flight")
	f.StringVar(&d.listen, "listen", "127.0.0.1:8780", "address of the live page; loopback unless you say otherwise")
	f.StringVar(&d.library, "library", "", "path of libonnxruntime; found beside the program by default")
	return c
}

type demo struct {
	seconds   int
	headless  bool
	json      bool
	precision string
	seed      uint64
	fps       float64
	listen    string
	library   string
}

// round is the length of one round of the flight; the last second of a timed
// demo is for events to end in.
func (d *demo) round() time.Duration {
	const shortest, longest = 20, 30
	if d.seconds == 0 {
		return longest * time.Second
	}
	return time.Duration(min(max(d.seconds, shortest), longest))*time.Second - time.Second
}

func (d *demo) run(ctx context.Context, s Streams) error {
	if d.seconds < 0 {
		return fmt.Errorf("demo: got --seconds %d, want 0 or more", d.seconds)
	}
	dir, err := os.MkdirTemp("", "emberwing-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	b, err := broker.Start(ctx, broker.Options{StoreDir: filepath.Join(dir, "broker"), Log: log})
	if err != nil {
		return err
	}
	defer b.Close()
	cfg, err := d.config(dir, b.URL())
	if err != nil {
		return err
	}
	fly, err := drone.New(cfg, log)
	if err != nil {
		return err
	}
	defer fly.Close()
	return d.show(ctx, s, fly, b.URL(), cfg.Snapshot.Dir, log)
}

// config is a drone that flies the synthetic flight with the best provider
// that this machine has.
func (d *demo) config(dir, url string) (config.Config, error) {
	e, err := engine.New(d.library)
	if err != nil {
		return config.Config{}, err
	}
	defer e.Close()
	cfg := config.Default()
	cfg.Inference.Library = d.library
	cfg.Inference.Providers = nil
	for _, p := range e.Runtime().Providers() {
		cfg.Inference.Providers = append(cfg.Inference.Providers, string(p))
	}
	cfg.Drone = config.Drone{Fleet: "demo", ID: "demo-1"}
	cfg.Camera.Seed, cfg.Camera.FPS, cfg.Camera.Length = d.seed, d.fps, config.Duration(d.round())
	cfg.Fire.Precision, cfg.Gesture.Precision = d.precision, d.precision
	cfg.Fire.Update, cfg.Gesture.Update = config.Duration(time.Second), config.Duration(time.Second)
	cfg.MQTT.Broker = url
	cfg.MQTT.Ack = config.AckBroker // the receiver below prints and stores nothing
	cfg.Outbox.Path = filepath.Join(dir, "outbox.db")
	cfg.Snapshot.Dir = filepath.Join(dir, "pictures")
	cfg.Telemetry.StatsEvery = config.Duration(time.Second)
	return cfg, nil
}

// show flies and prints what comes back from the broker, then the summary.
func (d *demo) show(ctx context.Context, s Streams, fly *drone.Drone, url, pictures string, log *slog.Logger) error {
	summary := newSummary(fly.Boot(), fly.Started())
	feed := newPrinter(s.Out, d.json)
	handlers := fanOut{summary, &alertsOnly{feed, d.json}}
	if !d.headless {
		page, address, stop, err := servePage(d.listen, pictures, "Synthetic flight: rendered pictures, no real fire")
		if err != nil {
			return err
		}
		defer stop()
		fmt.Fprintf(s.Err, "live page: %s\n", address)
		handlers = append(handlers, page)
	}
	r, err := ground.New(ground.Options{Broker: mqtt.Broker{URL: url}, Handler: handlers, Log: log})
	if err != nil {
		return err
	}
	flight, land := context.WithCancel(ctx)
	defer land()
	if d.seconds > 0 {
		flight, land = context.WithTimeout(ctx, time.Duration(d.seconds)*time.Second)
		defer land()
	}
	start := time.Now()
	flown, err := d.fly(flight, fly, r, summary)
	if err == nil {
		err = feed.err
	}
	if err != nil {
		return err
	}
	summary.models = fly.Models()
	if err := summary.print(s.Out, d.json, flown.Sub(start)); err != nil {
		return err
	}
	if complete := d.seconds >= int(d.round().Seconds()); complete && ctx.Err() == nil {
		return summary.complete()
	}
	return nil
}

// fly runs receiver and drone until the flight ends and its last message is
// back, and returns when the flight ended.
func (d *demo) fly(ctx context.Context, fly *drone.Drone, r *ground.Receiver, s *summary) (time.Time, error) {
	receiving, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var feed error
	wg.Go(func() { feed = r.Run(receiving) })
	defer wg.Wait()
	defer stop()
	if err := waitConnected(ctx, r); err != nil {
		return time.Time{}, err
	}
	err := fly.Run(ctx)
	ended := time.Now()
	s.waitLanded(2 * time.Second)
	stop()
	wg.Wait()
	return ended, errors.Join(err, feed)
}

// waitConnected polls until the receiver is subscribed, so that nothing of the
// flight is missed.
func waitConnected(ctx context.Context, r *ground.Receiver) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !r.Stats().Connected {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fanOut hands each message to several handlers in turn.
type fanOut []ground.Handler

// Handle implements ground.Handler.
func (f fanOut) Handle(r ground.Received) {
	for _, h := range f {
		h.Handle(r)
	}
}

// alertsOnly spares people everything of the feed but alerts; in JSON it passes
// all but the periodic messages.
type alertsOnly struct {
	next *printer
	json bool
}

// Handle implements ground.Handler.
func (a *alertsOnly) Handle(r ground.Received) {
	switch r.Message.Head().Kind {
	case "alert", "status":
		a.next.Handle(r)
	case "health":
		if !a.json {
			a.next.Handle(r)
		}
	}
}
