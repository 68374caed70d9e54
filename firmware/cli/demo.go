package cli

import (
	"context"
	"crypto/ed25519"
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
	"emberwing/telemetry/page"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

func demoCommand(s Streams) *cobra.Command {
	var d demo
	c := &cobra.Command{
		Use: "demo", Short: "the whole system on one machine", Args: cobra.NoArgs,
		Long: `demo flies a rendered flight over a landscape with a fire and a person who
signals, on this machine: camera, quantised models, alerts, an embedded MQTT
broker, and a ground station that stores each alert before it signs a receipt,
shows it on the live page, and prints what came back from the broker. Answers
given on the page go back to the drone as signed commands.

The flight is synthetic and says so; the models, the broker and the whole path
are the real ones.`,
		Example: "  emberwing demo\n  emberwing demo --seconds 30 --headless --json",
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c.Context(), s) },
	}
	f := c.Flags()
	f.IntVar(&d.seconds, "seconds", 0, "end after this long; 0 goes on until Ctrl-C")
	f.BoolVar(&d.headless, "headless", false, "serve no live page to others; the demo still reads it to measure how fast it is")
	f.BoolVar(&d.json, "json", false, "print one JSON object a message, and the summary as the last")
	f.StringVar(&d.precision, "precision", "int8", "fp32, fp16 or int8")
	f.Uint64Var(&d.seed, "seed", 1, "seed of the flight")
	f.Float64Var(&d.fps, "fps", 15, "frames per second of the flight")
	d.web.flags(f)
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
	web       web
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
	key, err := ground.LoadKey(filepath.Join(dir, "ground.key"))
	if err != nil {
		return err
	}
	cfg, err := d.config(dir, b.URL(), key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	fly, err := drone.New(cfg, log)
	if err != nil {
		return err
	}
	defer fly.Close()
	db, err := store.Open(filepath.Join(dir, "ground.db"), store.Options{Log: log})
	if err != nil {
		return err
	}
	defer db.Close()
	return d.show(ctx, s, fly, cfg.Snapshot.Dir, ground.StationOptions{
		Broker: mqtt.Broker{URL: b.URL()}, Name: "demo-ground", Store: db, Key: key, Log: log,
	})
}

// config is a drone that flies the synthetic flight with the best provider
// that this machine has.
func (d *demo) config(dir, url string, station ed25519.PublicKey) (config.Config, error) {
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
	cfg.Outbox.Path = filepath.Join(dir, "outbox.db")
	cfg.Snapshot.Dir = filepath.Join(dir, "pictures")
	cfg.Telemetry.StatsEvery, cfg.Telemetry.HealthEvery = config.Duration(time.Second), config.Duration(2*time.Second)
	cfg.Commands.Keys, cfg.Commands.State = []string{wire.FormatKey(station)}, filepath.Join(dir, "commands.json")
	cfg.Position = config.Position{Kind: config.Simulated, Lat: 44.0921, Lon: 6.2358, AltM: 640, UncertaintyM: 12, HeadingDeg: 40, FOVDeg: 62}
	return cfg, nil
}

// show flies in front of a ground station and prints what comes back, then the summary.
func (d *demo) show(ctx context.Context, s Streams, fly *drone.Drone, pictures string, opts ground.StationOptions) error {
	summary, feed := newSummary(fly.Boot(), fly.Started()), newPrinter(s.Out, d.json)
	g, err := d.openGround(s, pictures, opts, fanOut{summary, &alertsOnly{feed, d.json}})
	if err != nil {
		return err
	}
	defer g.close()
	if !d.headless {
		fmt.Fprintf(s.Err, "live page: %s\n", g.url)
	}
	flight, land := context.WithCancel(ctx)
	defer land()
	if d.seconds > 0 {
		flight, land = context.WithTimeout(ctx, time.Duration(d.seconds)*time.Second)
		defer land()
	}
	start := time.Now()
	flown, err := d.fly(flight, fly, g, summary)
	if err == nil {
		err = feed.err
	}
	if err != nil {
		return err
	}
	if err := summary.close(context.WithoutCancel(ctx), fly.Raised(), opts.Store); err != nil {
		return err
	}
	if err := summary.print(s.Out, d.json, flown.Sub(start)); err != nil {
		return err
	}
	if complete := d.seconds >= int(d.round().Seconds()); complete && ctx.Err() == nil {
		return summary.complete()
	}
	return summary.balanced()
}

// demoGround is the ground station of the demo with its page.
type demoGround struct {
	station *ground.Station
	page    *page.Page
	url     string
	token   string
	close   func()
}

// openGround serves the page of a station: on --listen, or, when nobody is to look, where
// only the demo itself finds it.
func (d *demo) openGround(s Streams, pictures string, opts ground.StationOptions, feed fanOut) (*demoGround, error) {
	w := d.web
	if d.headless {
		w = web{listen: "127.0.0.1:0"}
	}
	root, err := os.OpenRoot(pictures)
	if err != nil {
		return nil, fmt.Errorf("open pictures: %w", err)
	}
	pageOptions, closeMap, err := w.options(s.Err)
	if err != nil {
		root.Close()
		return nil, err
	}
	pageOptions.Banner, pageOptions.Pictures = "Synthetic flight: rendered pictures, no real fire", root.FS()
	var join stationPage
	g := &demoGround{page: page.New(join.options(pageOptions, opts.Store)), token: pageOptions.Token}
	opts.Handler = append(feed, g.page)
	g.station, err = ground.NewStation(opts)
	join.station = g.station
	stop := func() {}
	if err == nil {
		g.url, stop, err = w.serve(g.page.Guard(stationMux(g.station, g.page)))
	}
	if err != nil {
		root.Close()
		closeMap()
		return nil, err
	}
	g.close = func() { g.page.Close(); stop(); closeMap(); root.Close() }
	return g, nil
}

// fly runs station, a reader of the page and drone until the flight ends and its last
// message is back, and returns when the flight ended.
func (d *demo) fly(ctx context.Context, fly *drone.Drone, g *demoGround, s *summary) (time.Time, error) {
	receiving, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var feed, reader error
	wg.Go(func() { feed = g.station.Run(receiving) })
	wg.Go(func() { reader = s.readPage(receiving, g.url, g.token) })
	defer wg.Wait()
	defer stop()
	if err := waitConnected(ctx, g.station); err != nil {
		return time.Time{}, err
	}
	err := fly.Run(ctx)
	ended := time.Now()
	s.waitLanded(2 * time.Second)
	s.visible.wait(time.Second)
	stop()
	wg.Wait()
	return ended, errors.Join(err, feed, reader)
}

// waitConnected polls until the station is subscribed, so that nothing of the
// flight is missed.
func waitConnected(ctx context.Context, s *ground.Station) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.Stats().Connected {
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
	if r.Message == nil { // an answer or a picture
		return
	}
	switch r.Message.Head().Kind {
	case "alert", "status":
		a.next.Handle(r)
	case "health":
		if !a.json {
			a.next.Handle(r)
		}
	}
}
