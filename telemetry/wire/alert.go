package wire

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
)

// Task is what a model looks for.
type Task string

// The tasks that raise alerts.
const (
	TaskFire    Task = "fire"
	TaskGesture Task = "gesture"
)

// Phase is the step in the life of an event that an alert reports.
type Phase string

// An event begins once, is updated any number of times, and ends once.
const (
	PhaseBegin  Phase = "begin"
	PhaseUpdate Phase = "update"
	PhaseEnd    Phase = "end"
)

// Alert reports one step of one event. (Drone, Boot, Event, Revision) is unique:
// a receiver that has seen it drops the repetition.
type Alert struct {
	Header
	Event    string   `json:"event"`    // same for all steps, see EventID
	Task     Task     `json:"task"`     // also the last level of the topic
	Phase    Phase    `json:"phase"`    //
	Revision int      `json:"revision"` // 0 for begin, then one more with each step
	Label    string   `json:"label"`    // label of the model that won
	Started  Time     `json:"started"`  // capture time of the frame that began the event
	Ended    Time     `json:"ended,omitzero"`
	Late     bool     `json:"late,omitempty"` // set by a receiver, see Header.Delay; never sent by a drone
	Evidence Evidence `json:"evidence"`
}

// Evidence is why the alert was raised.
type Evidence struct {
	Agree      int       `json:"agree"`              // frames of the window above the threshold
	Window     int       `json:"window"`             // frames in the window
	Score      float64   `json:"score"`              // raw score of the latest frame, before calibration
	Calibrated float64   `json:"calibrated"`         // calibrated score of the latest frame, 0..1
	Peak       float64   `json:"peak"`               // highest calibrated score of the event so far, 0..1
	Threshold  float64   `json:"threshold"`          // calibrated score from which a frame agrees, 0..1
	Release    float64   `json:"release"`            // calibrated score below which a frame disagrees again, 0..1
	DwellMS    int64     `json:"dwell_ms"`           // how long the decision has held, ms
	Scores     Scores    `json:"scores"`             // calibrated score of each label, in the order of the model
	Model      Model     `json:"model"`              // who decided
	Snapshot   *Snapshot `json:"snapshot,omitempty"` // where the picture can be had
	Position   *Position `json:"position,omitempty"` // where the drone was, when known
}

// Model says which network ran, how it was asked to run and how it really ran.
type Model struct {
	Name               string `json:"name"`
	SHA256             string `json:"sha256"` // of the ONNX file, lower-case hexadecimal
	RequestedPrecision string `json:"requested_precision"`
	EffectivePrecision string `json:"effective_precision"`
	RequestedProvider  string `json:"requested_provider"`
	EffectiveProvider  string `json:"effective_provider"`
	Fallback           string `json:"fallback,omitempty"` // why effective differs from requested
}

// Snapshot points to the picture that belongs to an alert.
type Snapshot struct {
	Ref    string `json:"ref"`    // file name or URL, meaningful to the drone
	Width  int    `json:"width"`  // pixels
	Height int    `json:"height"` // pixels
	SHA256 string `json:"sha256,omitempty"`
}

// Position is WGS 84.
type Position struct {
	Lat          float64 `json:"lat"`           // degrees, north positive
	Lon          float64 `json:"lon"`           // degrees, east positive
	AltM         float64 `json:"alt_m"`         // metres above mean sea level
	UncertaintyM float64 `json:"uncertainty_m"` // metres, horizontal, 95 %
}

// NewBoot returns a fresh boot id, 16 hexadecimal digits. The daemon makes one per
// run; it needs neither a clock nor a disk.
func NewBoot() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime ends the program instead
	return hex.EncodeToString(b[:])
}

// EventID names an event after the message that begins it.
func EventID(drone, boot string, seq uint64) string {
	return drone + "-" + boot + "-" + strconv.FormatUint(seq, 10)
}

// Topic implements Message.
func (a *Alert) Topic() Topic { return a.topic(KindAlert, string(a.Task)) }

func (a *Alert) kind() Kind { return KindAlert }

// Validate implements Message.
func (a *Alert) Validate() error {
	var c checker
	a.Header.check(&c, KindAlert)
	if a.Event == "" {
		c.fail("event", `""`, "an event id")
	}
	c.text("event", a.Event, MaxText)
	c.oneOf("task", string(a.Task), string(TaskFire), string(TaskGesture))
	c.oneOf("phase", string(a.Phase), string(PhaseBegin), string(PhaseUpdate), string(PhaseEnd))
	c.intRange("revision", int64(a.Revision), 0, math.MaxInt32)
	c.name("label", a.Label)
	c.instant("started", a.Started)
	c.optionalInstant("ended", a.Ended)
	c.in("evidence", a.Evidence.check)
	return c.err
}

func (e *Evidence) check(c *checker) {
	c.intRange("window", int64(e.Window), 1, 1<<16)
	c.intRange("agree", int64(e.Agree), 0, int64(e.Window))
	c.floatRange("score", e.Score, -1e9, 1e9)
	c.unit("calibrated", e.Calibrated)
	c.unit("peak", e.Peak)
	c.unit("threshold", e.Threshold)
	c.unit("release", e.Release)
	c.intRange("dwell_ms", e.DwellMS, 0, MaxSeq)
	c.list("scores", len(e.Scores))
	for _, s := range e.Scores {
		c.name("scores", s.Label)
		c.unit("scores."+s.Label, s.Score)
	}
	c.in("model", e.Model.check)
	if e.Snapshot != nil {
		c.in("snapshot", e.Snapshot.check)
	}
	if e.Position != nil {
		c.in("position", e.Position.check)
	}
}

func (m *Model) check(c *checker) {
	c.name("name", m.Name)
	c.sha256("sha256", m.SHA256, false)
	c.name("requested_precision", m.RequestedPrecision)
	c.name("effective_precision", m.EffectivePrecision)
	c.name("requested_provider", m.RequestedProvider)
	c.name("effective_provider", m.EffectiveProvider)
	c.text("fallback", m.Fallback, MaxText)
}

func (s *Snapshot) check(c *checker) {
	if s.Ref == "" {
		c.fail("ref", `""`, "a file name or URL")
	}
	c.text("ref", s.Ref, MaxText)
	c.intRange("width", int64(s.Width), 1, 1<<16)
	c.intRange("height", int64(s.Height), 1, 1<<16)
	c.sha256("sha256", s.SHA256, true)
}

func (p *Position) check(c *checker) {
	c.floatRange("lat", p.Lat, -90, 90)
	c.floatRange("lon", p.Lon, -180, 180)
	c.floatRange("alt_m", p.AltM, -1e4, 1e5)
	c.floatRange("uncertainty_m", p.UncertaintyM, 0, 1e7)
}

// String is for logs and error texts.
func (a *Alert) String() string {
	return fmt.Sprintf("%s %s %s r%d", a.Task, a.Phase, a.Event, a.Revision)
}
