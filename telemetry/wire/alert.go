package wire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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
	Late     bool     `json:"late,omitempty"`     // set by a receiver, see Header.Delay; never sent by a drone
	Exercise bool     `json:"exercise,omitempty"` // a drill: every export has to say so
	Muted    bool     `json:"muted,omitempty"`    // raised where a command muted: store it, do not sound it
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
	View       *View     `json:"view,omitempty"`     // where the camera looked, when known
	OOD        *OOD      `json:"ood,omitempty"`      // how far the frame is from what the model was trained on
	Area       float64   `json:"area,omitempty"`     // share of the frame that shows flame or smoke, 0..1; 0 is unknown
	Box        *Box      `json:"box,omitempty"`      // the part of the frame that decided
	Thumb      []byte    `json:"thumb,omitempty"`    // JPEG with the explanation drawn in, at most MaxThumb bytes
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

// View is a direction, degrees clockwise from true north, 0 <= d < 360.
type View struct {
	HeadingDeg float64 `json:"heading_deg"` // where the middle of the frame looks
	BearingDeg float64 `json:"bearing_deg"` // where what was found lies, seen from the drone
	FOVDeg     float64 `json:"fov_deg"`     // horizontal field of view of the camera, degrees
}

// OOD is an out-of-distribution score. Above Limit the model does not know what it sees.
type OOD struct {
	Score float64 `json:"score"`
	Limit float64 `json:"limit"`
}

// Box is a part of the frame as shares of its width and height, from the upper left
// corner. Its JSON form is [x, y, w, h].
type Box struct{ X, Y, W, H float64 }

// MarshalJSON writes [x,y,w,h], rounded to six decimals.
func (b Box) MarshalJSON() ([]byte, error) {
	return json.Marshal([4]float64{round(b.X), round(b.Y), round(b.W), round(b.H)})
}

// UnmarshalJSON reads exactly four numbers.
func (b *Box) UnmarshalJSON(text []byte) error {
	var v []float64
	if err := json.Unmarshal(text, &v); err != nil || len(v) != 4 {
		return &FieldError{Field: "evidence.box", Got: clip(string(text)), Want: "four numbers: x, y, w, h"}
	}
	*b = Box{v[0], v[1], v[2], v[3]}
	return nil
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
	e.checkSight(c)
}

// checkSight checks what says where in the frame and in the world the finding is.
func (e *Evidence) checkSight(c *checker) {
	if e.View != nil {
		c.in("view", e.View.check)
	}
	if e.OOD != nil {
		c.floatRange("ood.score", e.OOD.Score, -1e9, 1e9)
		c.floatRange("ood.limit", e.OOD.Limit, -1e9, 1e9)
	}
	c.unit("area", e.Area)
	if e.Box != nil {
		c.in("box", e.Box.check)
	}
	c.jpeg("thumb", e.Thumb, MaxThumb, true)
}

func (v *View) check(c *checker) {
	c.degrees("heading_deg", v.HeadingDeg)
	c.degrees("bearing_deg", v.BearingDeg)
	c.floatRange("fov_deg", v.FOVDeg, 0, 360)
}

func (b *Box) check(c *checker) {
	const slack = 1e-5 // of rounding
	c.unit("x", b.X)
	c.unit("y", b.Y)
	c.floatRange("w", b.W, 0, 1-b.X+slack)
	c.floatRange("h", b.H, 0, 1-b.Y+slack)
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
