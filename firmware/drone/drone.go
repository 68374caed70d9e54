package drone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"emberwing/boards"
	"emberwing/firmware/command"
	"emberwing/firmware/config"
	"emberwing/firmware/engine"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/pipeline"
	"emberwing/firmware/position"
	"emberwing/firmware/predict"
	"emberwing/firmware/version"
	"emberwing/infer"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// Drone is one flying system. Make it with New, run it once, close it.
type Drone struct {
	cfg      config.Config
	log      *slog.Logger
	id       identity
	board    boards.Detection
	engine   *engine.Engine
	loaded   []*engine.Loaded
	health   *health.Tracker
	box      *timedBox
	link     link
	loop     *pipeline.Loop
	reporter *reporter
	periodic *periodic
	light    indicator
	where    position.Source
	mutes    *command.Mutes
	profile  *profile
	orders   *orders // nil when no commands are taken
}

// maxGap is how long frames may stay away before what was seen before no
// longer counts.
const maxGap = 5 * time.Second

// New opens everything that can be opened before the flight: models, outbox,
// indicator. Camera and broker are opened by Run and opened again whenever they
// are lost. On an error nothing stays open.
func New(cfg config.Config, log *slog.Logger) (*Drone, error) {
	d := &Drone{cfg: cfg, log: log, health: health.NewTracker(), mutes: new(command.Mutes), profile: newProfile()}
	err := d.identify()
	if err == nil {
		err = d.open()
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// open opens everything in the order in which it is needed.
func (d *Drone) open() error {
	models, reports, err := d.openModels()
	if err != nil {
		return err
	}
	if err := d.openOutputs(); err != nil {
		return err
	}
	return d.assemble(models, reports)
}

// identify finds out which board this is and starts a boot.
func (d *Drone) identify() error {
	d.board, _ = boards.Detect(os.DirFS("/")) // usable even with an error; doctor reports it
	d.id = identity{
		fleet: d.cfg.Drone.Fleet, drone: d.cfg.Drone.ID, boot: wire.NewBoot(),
		software: "emberwing " + version.String(), board: d.board.Board.ID, started: time.Now(),
		ack: wire.AckMode(d.cfg.MQTT.Ack), exercise: d.cfg.Drone.Exercise,
	}
	for _, text := range d.cfg.Commands.Keys {
		key, err := wire.ParseKey(text)
		if err != nil {
			return fmt.Errorf("commands.keys: %w", err)
		}
		d.id.trusted = append(d.id.trusted, key)
	}
	return nil
}

// SessionOptions are the options that the daemon opens a model with.
func SessionOptions(in config.Inference, task config.Task) infer.Options {
	o := infer.Options{
		Precision: infer.Precision(task.Precision), Strict: in.Strict, Threads: in.Threads,
		Slots: pipeline.Slots, CacheDir: in.CacheDir,
	}
	for _, p := range in.Providers {
		o.Providers = append(o.Providers, infer.Provider(p))
	}
	return o
}

// openModels opens a session for each enabled task. A fallback is an alarm for
// as long as the session runs.
func (d *Drone) openModels() (models []pipeline.Model, reports []reported, err error) {
	if d.engine, err = engine.New(d.cfg.Inference.Library); err != nil {
		return nil, nil, err
	}
	for _, task := range []config.Task{d.cfg.Fire, d.cfg.Gesture} {
		if !task.Enabled {
			continue
		}
		l, err := d.engine.Load(task.Model, SessionOptions(d.cfg.Inference, task), predict.Options{})
		if err != nil {
			return nil, nil, fmt.Errorf("open model %s: %w", task.Model, err)
		}
		d.loaded = append(d.loaded, l)
		for _, r := range l.Reports() {
			d.tellModel(r)
		}
		lane, err := laneOf(l, task)
		if err != nil {
			return nil, nil, err
		}
		models, reports = append(models, lane), append(reports, newReported(&l.Model.Manifest, l.Reports()[0]))
	}
	if len(models) == 0 {
		return nil, nil, errors.New("open models: got none enabled, want fire.enabled or gesture.enabled")
	}
	return models, reports, nil
}

// tellModel logs what an open session runs and raises a fallback.
func (d *Drone) tellModel(r infer.Report) {
	d.log.Info("model", "name", r.Model, "precision", r.Precision, "provider", r.Provider, "library", r.Library, "threads", r.Threads, "load", r.LoadTime.Round(time.Millisecond))
	if r.Fallback != "" {
		d.health.Raise(health.Fallback.For(r.Model), health.Alarm, fmt.Sprintf("asked for %s on %s, runs %s on %s: %s",
			r.RequestedPrecision, r.RequestedProvider, r.Precision, r.Provider, r.Fallback))
	}
}

// laneOf joins a model with its temporal rule: what the configuration leaves
// at zero comes from the manifest.
func laneOf(l *engine.Loaded, task config.Task) (pipeline.Model, error) {
	rule := temporal(l.Model.Decision, l.Threshold(), task)
	if err := rule.Validate(); err != nil {
		return pipeline.Model{}, fmt.Errorf("model %s: %w", l.Model.Name, err)
	}
	return pipeline.Model{Predictor: l.Predictor, Temporal: rule, Every: task.Every}, nil
}

// temporal lays the configuration over the manifest's decision. A release
// above a lowered threshold follows it down.
func temporal(d infer.Decision, threshold float32, task config.Task) event.Rule {
	r := event.Rule{
		Window: d.Window, Agree: d.Agree, Threshold: threshold, Release: d.Release,
		Dwell: d.Dwell.Duration(), Update: task.Update.D(), MaxGap: maxGap,
	}
	if task.Window > 0 {
		r.Window = task.Window
		r.Agree = min(r.Agree, r.Window)
	}
	if task.Agree > 0 {
		r.Agree = task.Agree
	}
	if task.Threshold > 0 {
		r.Threshold = float32(task.Threshold)
	}
	if task.Release > 0 {
		r.Release = float32(task.Release)
	}
	r.Release = min(r.Release, r.Threshold)
	if task.Dwell > 0 {
		r.Dwell = task.Dwell.D()
	}
	return r
}

// openOutputs opens what alerts leave through.
func (d *Drone) openOutputs() error {
	box, err := outbox.Open(outbox.Options{Path: d.cfg.Outbox.Path, BulkBytes: d.cfg.Outbox.BulkBytes, MaxFileBytes: d.cfg.Outbox.MaxBytes})
	if err != nil {
		return err
	}
	if s := box.Stats(); s.FilesMoved > 0 || s.BadRecords > 0 {
		d.log.Error("outbox damaged", "what", damage(s))
	}
	d.box = newTimedBox(box)
	if d.light, err = openIndicator(d.cfg.Indicator); err != nil { // fly without it
		d.health.Raise(health.IndicatorFailed, health.Warning, err.Error())
		d.log.Warn("no indicator", "error", err)
	}
	if d.where, err = openPosition(d.cfg.Position, d.id.started); err != nil {
		return err
	}
	d.link, err = openLink(d.cfg.MQTT, d.box, d)
	return err
}

// assemble joins the parts into the frame path and its reports.
func (d *Drone) assemble(models []pipeline.Model, reports []reported) error {
	pictures, err := newSnapshots(d.cfg.Snapshot.Dir, d.cfg.Snapshot.Quality, d.cfg.Snapshot.Keep)
	if err != nil { // fly without them: alerts matter more
		d.health.Raise(health.SnapshotFailing, health.Warning, err.Error())
		d.log.Warn("no snapshots", "error", err)
	}
	open, err := opener(d.cfg.Camera)
	if err != nil {
		return err
	}
	d.reporter = &reporter{id: &d.id, models: reports, box: d.box, pictures: pictures, health: d.health, log: d.log, indicate: d.indicate,
		mutes: d.mutes, profile: d.profile, where: d.where, fov: d.cfg.Position.FOVDeg, thumb: d.cfg.Snapshot.ThumbBytes}
	d.loop, err = pipeline.New(pipeline.Config{
		Open: open, StallAfter: d.cfg.Camera.StallAfter.D(), Reopen: d.cfg.Camera.Loop,
		Models: models, Sink: d.reporter, Health: d.health,
	})
	if err != nil {
		return err
	}
	d.periodic = &periodic{id: &d.id, flight: d.loop, link: d.link, box: d.box, depth: d.box.Stats, health: d.health,
		sensors: readSensors, enqueue: &d.reporter.enqueue, log: d.log,
		profile: d.profile, mutes: d.mutes, where: d.where, fov: d.cfg.Position.FOVDeg,
		located: d.cfg.Position.Kind != config.NoPosition, outbox: d.cfg.Outbox.Path, patient: 3 * d.cfg.MQTT.ReceiptTimeout.D(), total: makeTotals()}
	var tasks []wire.Task
	for _, r := range reports {
		d.periodic.models = append(d.periodic.models, r.model)
		tasks = append(tasks, r.task)
	}
	d.orders = d.openOrders(tasks, pictures)
	return nil
}

// flushTime is how long the end of a flight waits for alerts to leave.
const flushTime = 450 * time.Millisecond

// Run flies until ctx is done or the camera ends. Before it returns, active
// events are ended, and what waits is sent for as long as flushTime allows; the
// rest is on disk for the next flight.
func (d *Drone) Run(ctx context.Context) error {
	stopMetrics, err := d.serveMetrics()
	if err != nil {
		return err
	}
	defer stopMetrics()
	linkCtx, unlink := context.WithCancel(context.Background())
	defer unlink()
	reportCtx, endReports := context.WithCancel(context.Background())
	defer endReports()
	var uplink, reports sync.WaitGroup
	uplink.Go(func() { d.link.pipe.Run(linkCtx) })
	reports.Go(func() { d.periodic.run(reportCtx, d.cfg.Telemetry.StatsEvery.D(), d.cfg.Telemetry.HealthEvery.D()) })
	reports.Go(func() { watch(reportCtx, d.loop.Progress()) })
	d.log.Info("flying", "fleet", d.id.fleet, "drone", d.id.drone, "boot", d.id.boot, "board", d.id.board, "camera", d.cfg.Camera.Kind, "broker", d.cfg.MQTT.Broker)

	d.loop.Run(ctx)
	endReports()
	reports.Wait()
	if d.orders != nil {
		d.orders.running.Wait()
	}
	flushCtx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	err = d.link.pipe.Flush(flushCtx)
	unlink()
	uplink.Wait()
	left := d.box.Stats().AlertDepth
	if left == 0 { // statistics that did not leave are no reason to call a flight failed
		return nil
	}
	return fmt.Errorf("end flight: %d alert(s) stay in %s for the next: %w", left, d.cfg.Outbox.Path, err)
}

// Boot returns the id of this run, as every message carries it.
func (d *Drone) Boot() string { return d.id.boot }

// Started returns the instant that MonoNS of every message counts from.
func (d *Drone) Started() time.Time { return d.id.started }

// Models returns what messages say about the models.
func (d *Drone) Models() []wire.Model { return d.periodic.models }

// Raised counts the alerts that went into the outbox since New.
func (d *Drone) Raised() uint64 {
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	return d.box.raised
}

// Close releases what New opened.
func (d *Drone) Close() error {
	var errs []error
	for _, l := range d.loaded {
		errs = append(errs, l.Close())
	}
	if d.engine != nil {
		errs = append(errs, d.engine.Close())
	}
	if d.light != nil {
		errs = append(errs, d.light.Close())
	}
	if d.where != nil {
		errs = append(errs, d.where.Close())
	}
	if d.box != nil {
		errs = append(errs, d.box.Close())
	}
	return errors.Join(errs...)
}
