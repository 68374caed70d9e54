package drone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/firmware/command"
	"emberwing/firmware/config"
	"emberwing/firmware/health"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// controls is what commands may change on the frame path.
type controls interface {
	SetThreshold(model int, threshold float32) error
	Frame(ctx context.Context, dst *camera.Frame) error
}

// orders does what commands ask for and answers each with a result.
type orders struct {
	id       *identity
	desk     *command.Desk
	limits   config.Commands
	box      box
	flight   controls
	tasks    []wire.Task // of the models of the flight
	mutes    *command.Mutes
	profile  *profile
	pictures *snapshots
	health   *health.Tracker
	log      *slog.Logger

	running  sync.WaitGroup // pictures being taken
	taking   taking
	refusals budget
}

// The outcomes of a command, as in wire.Result.
const (
	done    = "done"
	refused = "refused"
	failed  = "failed"
)

// pictureTime is how long a picture may take to come from the camera.
const pictureTime = 5 * time.Second

// openOrders opens the desk. Without keys it returns nil: no commands are taken.
func (d *Drone) openOrders(tasks []wire.Task, pictures *snapshots) *orders {
	if len(d.id.trusted) == 0 {
		return nil
	}
	desk, err := command.Open(command.Options{Boot: d.id.boot, Started: d.id.started, Trusted: d.id.trusted, State: d.cfg.Commands.State})
	if err != nil {
		d.log.Warn("counters of commands start anew", "error", err)
	}
	return &orders{
		id: &d.id, desk: desk, limits: d.cfg.Commands, box: d.box, flight: d.loop, tasks: tasks,
		mutes: d.mutes, profile: d.profile, pictures: pictures, health: d.health, log: d.log,
	}
}

// take handles one command. It is called by the goroutine of the link, which must not wait.
func (o *orders) take(t wire.Topic, m mqtt.Message) {
	c, err := o.desk.Check(m.Topic, m.Payload, m.Retained, time.Now())
	if c == nil { // not even readable: say what the topic tells
		c = &wire.Command{Verb: wire.Verb(t.Sub)}
	}
	if err != nil {
		o.refuse(c, err)
		return
	}
	o.log.Info("command", "verb", c.Verb, "counter", c.Counter, "key", c.Key)
	text, err := o.do(c)
	switch {
	case errors.Is(err, errLater):
	case errors.Is(err, command.ErrRefused):
		o.answer(c, refused, err.Error())
	case err != nil:
		o.answer(c, failed, err.Error())
	default:
		o.answer(c, done, text)
	}
}

// refuse answers what is not taken, within a budget: results are kept on disk until they
// have arrived, and anybody on the broker can send nonsense.
func (o *orders) refuse(c *wire.Command, err error) {
	n := o.refusals.spend(time.Now())
	o.health.Raise(health.CommandsRefused, health.Warning, fmt.Sprintf("%d command(s) refused, the latest: %v", n, err))
	if o.refusals.empty() {
		return
	}
	o.log.Warn("command refused", "verb", c.Verb, "error", err)
	o.answer(c, refused, err.Error())
}

func (o *orders) answer(c *wire.Command, outcome, text string) {
	r := &wire.Result{Header: o.id.head(time.Now()), Verb: string(c.Verb), Counter: c.Counter, Outcome: outcome, Text: clip(text), Key: c.Key}
	if err := o.box.Put(r); err != nil {
		o.log.Warn("result not kept", "verb", c.Verb, "error", err)
	}
}

// errLater says that the answer comes from another goroutine.
var errLater = errors.New("later")

// do executes a command; the text goes with the result.
func (o *orders) do(c *wire.Command) (text string, err error) {
	switch c.Verb {
	case wire.VerbAcknowledge:
		return o.acknowledge(c)
	case wire.VerbMute:
		if err := o.mutes.Set(*c.Mute, time.Now(), o.limits.MuteMax.D()); err != nil {
			return "", fmt.Errorf("%w: mute: %w", command.ErrRefused, err)
		}
		return "", nil
	case wire.VerbThreshold:
		return o.threshold(c.Threshold)
	case wire.VerbSnapshot:
		return "", o.snapshot(c)
	case wire.VerbProfile:
		o.profile.set(c.Profile.Name)
		return "", nil
	}
	return "", fmt.Errorf("%w: verb %q", command.ErrRefused, c.Verb) // not reached: the wire knows the same verbs
}

// verdict is one line of the file of verdicts, beside the counters.
type verdict struct {
	At       wire.Time `json:"at"`
	Snapshot string    `json:"snapshot,omitempty"` // file name of the picture, when there is one
	Key      string    `json:"key"`
	wire.Acknowledge
}

// acknowledge keeps the verdict for the next training.
func (o *orders) acknowledge(c *wire.Command) (string, error) {
	v := verdict{At: wire.At(time.Now()), Key: c.Key, Acknowledge: *c.Acknowledge}
	if p, ok := o.pictures.of(c.Acknowledge.Event); ok {
		v.Snapshot = p.ref
	}
	path := filepath.Join(filepath.Dir(o.limits.State), "verdicts.jsonl")
	if err := command.Append(path, v); err != nil {
		return "", fmt.Errorf("keep verdict: %w", err)
	}
	return "", nil
}

// threshold changes every model of the task, within the configured limits.
func (o *orders) threshold(t *wire.Threshold) (string, error) {
	if t.Value != 0 && (t.Value < o.limits.ThresholdMin || t.Value > o.limits.ThresholdMax) {
		return "", fmt.Errorf("%w: threshold: got %v, want %v to %v", command.ErrRefused, t.Value, o.limits.ThresholdMin, o.limits.ThresholdMax)
	}
	changed := false
	for i, task := range o.tasks {
		if task != t.Task {
			continue
		}
		if err := o.flight.SetThreshold(i, float32(t.Value)); err != nil {
			return "", err
		}
		changed = true
	}
	if !changed {
		return "", fmt.Errorf("%w: threshold: no model looks for %s", command.ErrRefused, t.Task)
	}
	return "", nil
}

// taking is the picture being taken, and whom to answer: a station that has no answer yet
// asks again.
type taking struct {
	mu      sync.Mutex
	request wire.Request
	askers  []*wire.Command
}

// join adds an asker. first says that nothing is being taken, so that the asker has to start
// it; ok is false when something else is.
func (t *taking) join(c *wire.Command) (first, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.askers) > 0 && (t.request != *c.Snapshot || len(t.askers) == burst) {
		return false, false
	}
	t.request = *c.Snapshot
	t.askers = append(t.askers, c)
	return len(t.askers) == 1, true
}

// end returns the askers and forgets them.
func (t *taking) end() []*wire.Command {
	t.mu.Lock()
	defer t.mu.Unlock()
	askers := t.askers
	t.askers = nil
	return askers
}

// snapshot takes a picture beside the work of the link, one at a time.
func (o *orders) snapshot(c *wire.Command) error {
	first, ok := o.taking.join(c)
	switch {
	case !ok:
		return fmt.Errorf("%w: snapshot: another one is being taken", command.ErrRefused)
	case !first:
		return errLater
	}
	o.running.Go(func() {
		outcome, text := done, ""
		if err := o.send(c); err != nil {
			outcome, text = failed, err.Error()
		}
		for _, asker := range o.taking.end() {
			o.answer(asker, outcome, text)
		}
	})
	return errLater
}

// send finds the picture, makes it fit and puts it into the bulk lane.
func (o *orders) send(c *wire.Command) error {
	var f camera.Frame
	m := &wire.Picture{Header: o.id.head(time.Now()), Event: c.Snapshot.Event, Counter: c.Counter}
	if c.Snapshot.Event == "" {
		ctx, cancel := context.WithTimeout(context.Background(), pictureTime)
		defer cancel()
		if err := o.flight.Frame(ctx, &f); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	} else {
		p, ok := o.pictures.of(c.Snapshot.Event)
		if !ok {
			return fmt.Errorf("snapshot: no picture of event %s is kept here", c.Snapshot.Event)
		}
		if err := still.Open(o.pictures.path(p.ref), &f); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		m.Revision = p.revision
	}
	limit := c.Snapshot.MaxBytes
	if limit == 0 {
		limit = wire.MaxPicture
	}
	s, err := fit(&f, limit)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	m.JPEG, m.Width, m.Height = s.jpeg, s.width, s.height
	return o.box.Put(m)
}

// budget lets through ten at once and one a second. The zero value is full.
type budget struct {
	spent float64
	at    time.Time
	total int
}

const burst = 10

// spend takes one and returns how many were taken in all.
func (b *budget) spend(now time.Time) int {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds())
	b.at = now
	b.spent = min(b.spent+1, burst+1)
	b.total++
	return b.total
}

// empty reports whether the one just taken was too much.
func (b *budget) empty() bool { return b.spent > burst }
