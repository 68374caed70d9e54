package wire

import "fmt"

// HealthState sums up the conditions of a drone.
type HealthState string

// HealthOK has no condition, HealthDegraded works with less, HealthAlarm needs a person.
const (
	HealthOK       HealthState = "ok"
	HealthDegraded HealthState = "degraded"
	HealthAlarm    HealthState = "alarm"
)

// Severity of one condition.
type Severity string

// The severities. Info does not change the state, Warning makes it degraded, Alarm alarm.
const (
	SeverityInfo    Severity = "info"
	SeverityWarning Severity = "warning"
	SeverityAlarm   Severity = "alarm"
)

// Health reports what is wrong with a drone, or that nothing is.
type Health struct {
	Header
	State      HealthState  `json:"state"`
	Conditions []Condition  `json:"conditions"` // [] when State is ok
	Source     *SourceState `json:"source,omitempty"`
	Link       *LinkState   `json:"link,omitempty"`
	Models     []Model      `json:"models"`
	Telemetry  Delivery     `json:"telemetry"`
	Sensors    []Sensor     `json:"sensors,omitempty"`
	Memory     *Memory      `json:"memory,omitempty"`
	Disk       *Disk        `json:"disk,omitempty"`
	Position   *Position    `json:"position,omitempty"` // where the drone is, when known
	View       *View        `json:"view,omitempty"`     // where its camera looks; bearing is that of the heading
	Profile    string       `json:"profile,omitempty"`  // of telemetry, see Profiles
	Mutes      []Mute       `json:"mutes,omitempty"`    // in force now, with the seconds that remain
}

// Memory of the board and of the daemon.
type Memory struct {
	AvailableBytes uint64 `json:"available_bytes"`
	TotalBytes     uint64 `json:"total_bytes"`
	ProcessBytes   uint64 `json:"process_bytes"` // resident memory of the daemon
}

// Disk is the file system that holds the outbox.
type Disk struct {
	FreeBytes   uint64 `json:"free_bytes"` // for the daemon's user
	TotalBytes  uint64 `json:"total_bytes"`
	OutboxBytes uint64 `json:"outbox_bytes"` // size of the outbox file
}

// Condition is one thing that is wrong now.
type Condition struct {
	Code     string   `json:"code"` // stable, for programs: "source-stalled", "provider-fallback", …
	Severity Severity `json:"severity"`
	Text     string   `json:"text"` // for people: what, and what to do
	Since    Time     `json:"since"`
}

// SourceState describes the camera or whatever stands in for it.
type SourceState struct {
	Name    string `json:"name"`
	State   string `json:"state"`  // "ok", "stalled", "reopening", "ended"
	Gaps    uint64 `json:"gaps"`   // interruptions since the daemon started
	GapMS   int64  `json:"gap_ms"` // length of the latest interruption, of the present one while it lasts, ms
	Missed  uint64 `json:"missed"` // frames missing in the sequence since the daemon started
	Reopens uint64 `json:"reopens"`
}

// LinkState describes the connection to the broker as the drone sees it.
type LinkState struct {
	Connected  bool   `json:"connected"`
	Generation uint64 `json:"generation"` // connections made since the daemon started
	Failures   uint64 `json:"failures"`   // connections refused or lost
	LastError  string `json:"last_error,omitempty"`
}

// Sensor is one reading of the board.
type Sensor struct {
	Name  string  `json:"name"` // as the board calls it: "CPU-therm"
	Kind  string  `json:"kind"` // "temperature", "power", "frequency", …
	Unit  string  `json:"unit"` // "celsius", "watt", "hertz", …
	Value float64 `json:"value"`
}

// Topic implements Message.
func (h *Health) Topic() Topic { return h.topic(KindHealth, "") }

func (h *Health) kind() Kind { return KindHealth }

func (h *Health) fillLists() {
	h.Conditions, h.Models = notNil(h.Conditions), notNil(h.Models)
}

// Validate implements Message.
func (h *Health) Validate() error {
	var c checker
	h.Header.check(&c, KindHealth)
	c.oneOf("state", string(h.State), string(HealthOK), string(HealthDegraded), string(HealthAlarm))
	c.list("conditions", len(h.Conditions))
	for i := range h.Conditions {
		c.in(fmt.Sprintf("conditions[%d]", i), h.Conditions[i].check)
	}
	if h.Source != nil {
		c.in("source", h.Source.check)
	}
	if h.Link != nil {
		c.in("link", h.Link.check)
	}
	c.models(h.Models)
	c.in("telemetry", h.Telemetry.check)
	c.list("sensors", len(h.Sensors))
	for i := range h.Sensors {
		c.in(fmt.Sprintf("sensors[%d]", i), h.Sensors[i].check)
	}
	h.checkState(&c)
	return c.err
}

func (h *Health) checkState(c *checker) {
	if h.Memory != nil {
		c.in("memory", h.Memory.check)
	}
	if h.Disk != nil {
		c.in("disk", h.Disk.check)
	}
	if h.Position != nil {
		c.in("position", h.Position.check)
	}
	if h.View != nil {
		c.in("view", h.View.check)
	}
	c.text("profile", h.Profile, MaxName)
	c.list("mutes", len(h.Mutes))
	for i := range h.Mutes {
		c.in(fmt.Sprintf("mutes[%d]", i), h.Mutes[i].check)
	}
}

func (m *Memory) check(c *checker) {
	c.count("available_bytes", m.AvailableBytes)
	c.count("total_bytes", m.TotalBytes)
	c.count("process_bytes", m.ProcessBytes)
}

func (d *Disk) check(c *checker) {
	c.count("free_bytes", d.FreeBytes)
	c.count("total_bytes", d.TotalBytes)
	c.count("outbox_bytes", d.OutboxBytes)
}

func (d *Condition) check(c *checker) {
	c.name("code", d.Code)
	c.oneOf("severity", string(d.Severity), string(SeverityInfo), string(SeverityWarning), string(SeverityAlarm))
	c.text("text", d.Text, MaxText)
	c.instant("since", d.Since)
}

func (s *SourceState) check(c *checker) {
	c.name("name", s.Name)
	c.oneOf("state", s.State, "ok", "stalled", "reopening", "ended")
	c.count("gaps", s.Gaps)
	c.intRange("gap_ms", s.GapMS, 0, MaxSeq)
	c.count("missed", s.Missed)
	c.count("reopens", s.Reopens)
}

func (l *LinkState) check(c *checker) {
	c.count("generation", l.Generation)
	c.count("failures", l.Failures)
	c.text("last_error", l.LastError, MaxText)
}

func (s *Sensor) check(c *checker) {
	c.name("name", s.Name)
	c.name("kind", s.Kind)
	c.name("unit", s.Unit)
	c.floatRange("value", s.Value, -1e12, 1e12)
}
