package wire

import (
	"fmt"
	"math"
)

// Verb is what a command asks for. Nothing on the list makes a drone fly.
type Verb string

// The verbs.
const (
	VerbAcknowledge Verb = "acknowledge" // an operator has judged an event
	VerbMute        Verb = "mute"        // alerts from somewhere do not sound for a while
	VerbThreshold   Verb = "threshold"   // the score from which a frame counts
	VerbSnapshot    Verb = "snapshot"    // send the picture of an event, or of now
	VerbProfile     Verb = "profile"     // how much telemetry the drone sends
)

// Verbs lists every verb.
func Verbs() []Verb {
	return []Verb{VerbAcknowledge, VerbMute, VerbThreshold, VerbSnapshot, VerbProfile}
}

// Verdict is what an operator decided that an event was.
type Verdict string

// The verdicts. VerdictUnknown acknowledges without deciding.
const (
	VerdictFire       Verdict = "fire"
	VerdictSmokeOther Verdict = "smoke_other" // smoke of something allowed: a stack, a campfire
	VerdictCloud      Verdict = "cloud"
	VerdictDust       Verdict = "dust"
	VerdictGlare      Verdict = "glare"
	VerdictLights     Verdict = "lights"
	VerdictReflection Verdict = "reflection"
	VerdictExercise   Verdict = "exercise"
	VerdictOther      Verdict = "other"
	VerdictUnknown    Verdict = "unknown"
)

// Verdicts lists every verdict, in the order in which people are offered them.
func Verdicts() []Verdict {
	return []Verdict{VerdictFire, VerdictSmokeOther, VerdictCloud, VerdictDust, VerdictGlare, VerdictLights,
		VerdictReflection, VerdictExercise, VerdictOther, VerdictUnknown}
}

// Profiles lists how much telemetry a drone can be told to send: as configured; little, for
// a narrow link (statistics and health six times as rare, no thumbnails); or much (twice as
// often, a thumbnail in every alert).
func Profiles() []string { return []string{"normal", "narrow", "detailed"} }

// Command asks a drone for something. Header names the drone; Boot is the drone's present
// boot id, as its status says it: it is the nonce that makes a command of yesterday
// worthless. Captured and Clock are those of the sender. Exactly the argument field that
// bears the name of the verb is set.
type Command struct {
	Header
	Verb    Verb   `json:"verb"`    // also the last level of the topic
	Counter uint64 `json:"counter"` // grows with every command signed with one key
	// ExpiresNS is the instant on the drone's monotonic clock (as in MonoNS) after which
	// the command is stale. 0 = when the drone restarts.
	ExpiresNS int64 `json:"expires_ns,omitempty"`

	Acknowledge *Acknowledge `json:"acknowledge,omitempty"`
	Mute        *Mute        `json:"mute,omitempty"`
	Threshold   *Threshold   `json:"threshold,omitempty"`
	Snapshot    *Request     `json:"snapshot,omitempty"`
	Profile     *Profile     `json:"profile,omitempty"`

	Key       string `json:"key"`       // id of the key that signed, see KeyID
	Signature []byte `json:"signature"` // see Sign
}

// Acknowledge are the arguments of VerbAcknowledge.
type Acknowledge struct {
	Event   string  `json:"event"`
	Verdict Verdict `json:"verdict"`
	By      string  `json:"by,omitempty"`   // who decided
	Note    string  `json:"note,omitempty"` // for people
}

// Mute are the arguments of VerbMute. It has exactly one of Circle, Polygon and Sector.
type Mute struct {
	ID      string  `json:"id"`                // a second mute of this id replaces the first
	Seconds int64   `json:"seconds"`           // how long, from the arrival; 0 lifts the mute
	Task    Task    `json:"task,omitempty"`    // whose alerts; absent means all
	Circle  *Circle `json:"circle,omitempty"`  // the drone is in it
	Polygon []Point `json:"polygon,omitempty"` // the drone is in it, 3 to MaxList corners
	Sector  *Sector `json:"sector,omitempty"`  // what was found lies in it, seen from the drone
}

// Circle is an area on the ground.
type Circle struct {
	Lat     float64 `json:"lat"`
	Lon     float64 `json:"lon"`
	RadiusM float64 `json:"radius_m"`
}

// Point is WGS 84.
type Point struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
}

// Sector is the range of bearings from FromDeg clockwise to ToDeg.
type Sector struct {
	FromDeg float64 `json:"from_deg"`
	ToDeg   float64 `json:"to_deg"`
}

// Threshold are the arguments of VerbThreshold. The drone refuses what its configuration
// does not allow.
type Threshold struct {
	Task  Task    `json:"task"`
	Value float64 `json:"value"` // calibrated score; 0 goes back to the configured one
}

// Request are the arguments of VerbSnapshot.
type Request struct {
	Event    string `json:"event,omitempty"`     // absent asks for what the camera sees now
	MaxBytes int    `json:"max_bytes,omitempty"` // of the JPEG; 0 is MaxPicture
}

// Profile are the arguments of VerbProfile.
type Profile struct {
	Name string `json:"name"` // of Profiles
}

// Topic implements Message.
func (m *Command) Topic() Topic { return m.topic(KindCommand, string(m.Verb)) }

func (m *Command) kind() Kind { return KindCommand }

// argument is what each verb has one of.
type argument interface{ check(*checker) }

// arguments returns what is set, by verb.
func (m *Command) arguments() map[Verb]argument {
	set := make(map[Verb]argument, 1)
	if m.Acknowledge != nil {
		set[VerbAcknowledge] = m.Acknowledge
	}
	if m.Mute != nil {
		set[VerbMute] = m.Mute
	}
	if m.Threshold != nil {
		set[VerbThreshold] = m.Threshold
	}
	if m.Snapshot != nil {
		set[VerbSnapshot] = m.Snapshot
	}
	if m.Profile != nil {
		set[VerbProfile] = m.Profile
	}
	return set
}

// Validate implements Message. It checks the form of the signature, not the signature.
func (m *Command) Validate() error {
	var c checker
	m.Header.check(&c, KindCommand)
	oneOf(&c, "verb", m.Verb, Verbs())
	c.count("counter", m.Counter)
	c.intRange("expires_ns", m.ExpiresNS, 0, MaxMono)
	set := m.arguments()
	if args, ok := set[m.Verb]; !ok || len(set) != 1 {
		c.fail(clipName(m.Verb), fmt.Sprintf("the arguments of %d verbs", len(set)), "those of the verb and no others")
	} else {
		c.in(string(m.Verb), args.check)
	}
	if len(m.Signature) == 0 {
		c.fail("signature", "none", "a signed command")
	}
	c.signature(m.Key, m.Signature)
	return c.err
}

// clipName makes a verb that is not on the list fit to be a field name.
func clipName(v Verb) string {
	if len(v) > MaxID {
		return string(v[:MaxID])
	}
	return string(v)
}

func oneOf[T ~string](c *checker, field string, got T, want []T) {
	texts := make([]string, len(want))
	for i, w := range want {
		texts[i] = string(w)
	}
	c.oneOf(field, string(got), texts...)
}

func (a *Acknowledge) check(c *checker) {
	if a.Event == "" {
		c.fail("event", `""`, "an event id")
	}
	c.text("event", a.Event, MaxText)
	oneOf(c, "verdict", a.Verdict, Verdicts())
	c.text("by", a.By, MaxName)
	c.text("note", a.Note, MaxText)
}

func (m *Mute) check(c *checker) {
	c.id("id", m.ID)
	c.intRange("seconds", m.Seconds, 0, math.MaxInt32)
	if m.Task != "" {
		c.oneOf("task", string(m.Task), string(TaskFire), string(TaskGesture))
	}
	shapes := 0
	for _, has := range []bool{m.Circle != nil, m.Polygon != nil, m.Sector != nil} {
		if has {
			shapes++
		}
	}
	if shapes != 1 && (m.Seconds > 0 || shapes > 1) {
		c.fail("circle", fmt.Sprintf("%d of circle, polygon and sector", shapes), "exactly one")
	}
	m.checkShape(c)
}

func (m *Mute) checkShape(c *checker) {
	if m.Circle != nil {
		c.in("circle", m.Circle.check)
	}
	if m.Polygon != nil && len(m.Polygon) < 3 {
		c.fail("polygon", fmt.Sprintf("%d corners", len(m.Polygon)), "3 or more")
	}
	c.list("polygon", len(m.Polygon))
	for i := range m.Polygon {
		c.in(fmt.Sprintf("polygon[%d]", i), m.Polygon[i].check)
	}
	if m.Sector != nil {
		c.in("sector", m.Sector.check)
	}
}

func (s *Circle) check(c *checker) {
	c.floatRange("lat", s.Lat, -90, 90)
	c.floatRange("lon", s.Lon, -180, 180)
	c.floatRange("radius_m", s.RadiusM, 1, 1e6)
}

func (p *Point) check(c *checker) {
	c.floatRange("lat", p.Lat, -90, 90)
	c.floatRange("lon", p.Lon, -180, 180)
}

func (s *Sector) check(c *checker) {
	c.degrees("from_deg", s.FromDeg)
	c.degrees("to_deg", s.ToDeg)
}

func (t *Threshold) check(c *checker) {
	c.oneOf("task", string(t.Task), string(TaskFire), string(TaskGesture))
	if t.Value == 1 {
		c.fail("value", "1", "less than 1")
	}
	c.unit("value", t.Value)
}

func (r *Request) check(c *checker) {
	c.text("event", r.Event, MaxText)
	c.intRange("max_bytes", int64(r.MaxBytes), 0, MaxPicture)
}

func (p *Profile) check(c *checker) { c.oneOf("name", p.Name, Profiles()...) }
