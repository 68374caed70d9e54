package drone

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"emberwing/firmware/command"
	"emberwing/firmware/health"
	"emberwing/firmware/pipeline"
	"emberwing/firmware/position"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

// flight is what periodic messages report about.
type flight interface {
	Stage(pipeline.Stage) *latency.Histogram
	Counts() pipeline.Counts
	Source() pipeline.SourceReport
}

// uplink is what they report about the link to the broker.
type uplink interface {
	State() wire.LinkState
	Delivery() wire.Delivery
	PublishLatency() *latency.Histogram
	Trouble() trouble
}

// trouble is what keeps alerts from arriving although there is a link.
type trouble struct {
	unconfirmed int           // alerts that the broker has and no station confirms
	since       time.Duration // for how long
	dead        uint64        // messages that the broker does not take
	lastDead    string
}

// periodic sends statistics and health.
type periodic struct {
	id      *identity
	flight  flight
	link    uplink
	box     box
	depth   func() outbox.Stats
	models  []wire.Model
	health  *health.Tracker
	sensors func() []wire.Sensor
	enqueue *latency.Histogram
	log     *slog.Logger
	profile *profile
	mutes   *command.Mutes
	where   position.Source
	fov     float64
	located bool          // a position is expected
	outbox  string        // path
	patient time.Duration // time that a station may take to confirm an alert

	latest  atomic.Pointer[wire.Health]
	total   map[string]*latency.Histogram // of each stage since the start; made before the flight
	period  time.Time                     // when the present statistics period began
	before  pipeline.Counts
	dropped uint64
}

// linkPatience is how long the first connection may take before it is told.
const linkPatience = 3 * time.Second

// calm is how long changes of health are collected before they are told, so
// that a condition that flaps is one message and not many.
const calm = 100 * time.Millisecond

// run sends until ctx is done, then once more.
func (p *periodic) run(ctx context.Context, statsEvery, healthEvery time.Duration) {
	p.period = time.Now()
	stats, vitals := time.NewTicker(statsEvery), time.NewTicker(healthEvery)
	defer stats.Stop()
	defer vitals.Stop()
	p.sendHealth()
	for {
		select {
		case <-p.profile.changed:
			stats.Reset(p.profile.every(statsEvery))
			vitals.Reset(p.profile.every(healthEvery))
			p.sendHealth()
		case <-stats.C:
			p.sendStats()
		case <-vitals.C:
			p.sendHealth()
		case <-p.health.Changed():
			if !sleep(ctx, calm) {
				continue
			}
			p.sendHealth()
		case <-ctx.Done():
			p.sendStats()
			p.sendHealth()
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *periodic) send(m wire.Message) {
	if err := p.box.Put(m); err != nil {
		p.log.Warn("periodic message not queued", "error", err)
	}
}

// sendStats reports the period since the last call and begins the next.
func (p *periodic) sendStats() {
	now := time.Now()
	length := now.Sub(p.period)
	counts := p.flight.Counts()
	frames := wire.Frames{
		Captured: counts.Captured - p.before.Captured, Replaced: counts.Replaced - p.before.Replaced,
		Inferred: counts.Inferred - p.before.Inferred, Dropped: counts.Dropped - p.before.Dropped, Errors: counts.Errors - p.before.Errors,
	}
	p.before, p.period = counts, now
	m := &wire.Stats{Header: p.id.head(now), PeriodMS: length.Milliseconds(), Frames: frames, Models: p.models, Telemetry: p.link.Delivery()}
	if length > 0 {
		m.FPS = float64(frames.Inferred) / length.Seconds()
	}
	for _, s := range pipeline.Stages() {
		if h := p.flight.Stage(s); !s.Optional() || h.Count() > 0 {
			m.Stages = append(m.Stages, p.stage(s.String(), h))
		}
	}
	m.Stages = append(m.Stages, p.stage("enqueue", p.enqueue), p.stage("publish", p.link.PublishLatency()))
	p.send(m)
}

// framesOf puts the counts of the frame path in the terms of the messages.
func framesOf(c pipeline.Counts) wire.Frames {
	return wire.Frames{Captured: c.Captured, Replaced: c.Replaced, Inferred: c.Inferred, Dropped: c.Dropped, Errors: c.Errors}
}

// makeTotals prepares the sums over all periods.
func makeTotals() map[string]*latency.Histogram {
	total := make(map[string]*latency.Histogram)
	for _, name := range stageNames() {
		total[name] = new(latency.Histogram)
	}
	return total
}

// stage takes what h has counted in this period and adds it to the total.
func (p *periodic) stage(name string, h *latency.Histogram) wire.Stage {
	var taken latency.Histogram
	h.SwapInto(&taken)
	if sum := p.total[name]; sum != nil {
		sum.Merge(&taken)
	}
	return wire.Stage{Name: name, Histogram: taken.Wire()}
}

// sendHealth reports what holds now.
func (p *periodic) sendHealth() {
	link := p.link.State()
	p.watchTelemetry(link)
	worst, conditions := p.health.Conditions()
	m := &wire.Health{
		Header: p.id.head(time.Now()), State: stateOf(worst), Conditions: []wire.Condition{}, Models: p.models,
		Source: sourceState(p.flight.Source()), Link: &link, Telemetry: p.link.Delivery(),
	}
	for _, c := range conditions {
		m.Conditions = append(m.Conditions, wire.Condition{Code: string(c.Code), Severity: severityOf(c.Severity), Text: clip(c.Text), Since: wire.At(c.Since)})
	}
	if p.sensors != nil {
		m.Sensors = p.sensors()
	}
	m.Memory, m.Disk = readMemory(), readDisk(p.outbox, p.depth().FileBytes)
	p.watchDisk(m.Disk)
	m.Profile, m.Mutes = p.profile.name(), p.mutes.List(time.Now())
	fix := p.where.Fix(time.Now())
	m.Position, m.View = fix.Position, position.View(fix, p.fov, 0.5)
	p.watchPosition(fix)
	p.send(m)
	p.latest.Store(m)
}

// lowDisk is the free space under which alerts are at risk, bytes.
const lowDisk = 64 << 20

// watchDisk raises the alarm of a disk that is nearly full; it shows in the next message.
func (p *periodic) watchDisk(d *wire.Disk) {
	if d != nil && d.FreeBytes < lowDisk {
		p.health.Raise(health.DiskLow, health.Alarm, fmt.Sprintf("%d MB free where alerts wait; free some space", d.FreeBytes>>20))
		return
	}
	p.health.Clear(health.DiskLow)
}

// watchPosition raises the loss of a position that should be there.
func (p *periodic) watchPosition(f position.Fix) {
	if p.located && f.Position == nil {
		p.health.Raise(health.PositionLost, health.Warning, "the position is unknown; check [position] source, the flight controller and its GPS")
		return
	}
	p.health.Clear(health.PositionLost)
}

// watchReceipts raises what keeps alerts from arriving although there is a link.
func (p *periodic) watchReceipts(t trouble) {
	if t.unconfirmed > 0 && t.since > p.patient {
		p.health.Raise(health.NoReceipt, health.Alarm, fmt.Sprintf(
			"%d alert(s) reach the broker and no ground station confirms them; start emberwing ground with a key of commands.keys, or set mqtt.ack", t.unconfirmed))
	} else {
		p.health.Clear(health.NoReceipt)
	}
	if t.dead > 0 {
		p.health.Raise(health.MessageDead, health.Alarm, fmt.Sprintf("%d message(s) set aside; %s", t.dead, t.lastDead))
	}
}

// watchTelemetry raises and clears what concerns the link and the outbox.
func (p *periodic) watchTelemetry(link wire.LinkState) {
	switch {
	case link.Connected:
		p.health.Clear(health.LinkDown)
	case link.Failures > 0 || time.Since(p.id.started) > linkPatience:
		p.health.Raise(health.LinkDown, health.Warning, "no connection to the broker; alerts wait on the drone")
	}
	p.watchReceipts(p.link.Trouble())
	p.watchOutbox(p.depth())
}

// watchOutbox raises and clears what is wrong with the place where alerts wait.
func (p *periodic) watchOutbox(s outbox.Stats) {
	if s.FilesMoved > 0 || s.BadRecords > 0 {
		p.health.Raise(health.OutboxDamaged, health.Alarm, damage(s))
	}
	if s.AlertsLost > 0 {
		p.health.Raise(health.AlertsLost, health.Alarm, fmt.Sprintf("%d alert(s) gave way because disk and memory were full", s.AlertsLost))
	}
	if s.BulkDropped > p.dropped {
		p.health.Raise(health.BulkDropped, health.Info, fmt.Sprintf("%d statistics or health messages gave way to newer ones", s.BulkDropped))
		p.dropped = s.BulkDropped
	}
	if s.Err != nil {
		p.health.Raise(health.OutboxDegraded, health.Alarm, fmt.Sprintf("%d alert(s) in memory only: %v; free or repair the disk", s.MemoryAlerts, s.Err))
		return
	}
	p.health.Clear(health.OutboxDegraded)
}

// damage says what was wrong with the file of the outbox. It holds until the end of the flight.
func damage(s outbox.Stats) string {
	text := "the outbox file was damaged"
	if s.BadRecords > 0 {
		text += fmt.Sprintf(", %d alert(s) in it cannot be read", s.BadRecords)
	}
	if s.FilesMoved > 0 {
		text += "; what was intact has been saved, the damaged file is " + s.MovedTo
	}
	return clip(text + "; look at the disk before the next flight")
}

func sourceState(r pipeline.SourceReport) *wire.SourceState {
	name := r.Name
	if name == "" {
		name = "camera"
	}
	return &wire.SourceState{Name: name, State: string(r.State), Gaps: r.Gaps, GapMS: r.Gap.Milliseconds(), Missed: r.Missed, Reopens: r.Reopens}
}

func stateOf(s health.Severity) wire.HealthState {
	switch s {
	case health.Alarm:
		return wire.HealthAlarm
	case health.Warning:
		return wire.HealthDegraded
	}
	return wire.HealthOK
}

func severityOf(s health.Severity) wire.Severity {
	switch s {
	case health.Alarm:
		return wire.SeverityAlarm
	case health.Warning:
		return wire.SeverityWarning
	}
	return wire.SeverityInfo
}

// clip fits text into the schema: no control characters, bounded length.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= wire.MaxText {
		return text
	}
	return strings.ToValidUTF8(text[:wire.MaxText-3], "") + "…"
}
