// Package wire defines what a drone and a ground station say to each other: the
// message types, their JSON form and the MQTT topics they travel on.
//
// It depends on the standard library only and does no I/O. SCHEMA.md documents
// every field with its unit and range; testdata/golden holds one payload per
// message. Append and Decode enforce the same rules, so a value that can be sent
// can also be received:
//
//   - a payload is one JSON object of at most MaxPayload bytes, keys in a fixed
//     order, without line breaks;
//   - unknown keys are ignored, so a newer drone can talk to an older ground;
//   - wrong types, negative counts, non-finite or absurd numbers and oversized
//     strings or lists are errors that name the field;
//   - fleet, drone and kind of the payload must be those of the topic.
//
// The version in topic and header changes only when the meaning of a field does.
package wire

// Version is the schema version, in the topic and in every header.
const Version = 1

// Limits of the schema. They bound what a hostile or broken sender can make a
// receiver hold, and leave an honest one plenty of room.
const (
	MaxPayload = 64 << 10  // bytes of one encoded message
	MaxID      = 64        // bytes of a fleet, drone or boot id
	MaxName    = 128       // bytes of a label, model name, stage name, …
	MaxText    = 512       // bytes of a text meant for people, an event id or a snapshot reference
	MaxList    = 64        // entries of a list (scores, stages, models, conditions, sensors)
	MaxThumb   = 24 << 10  // bytes of the JPEG inside an alert
	MaxPicture = 40 << 10  // bytes of the JPEG of a picture message
	MaxSeq     = 1<<53 - 1 // largest integer that survives a float64, as JavaScript readers need
	MaxMono    = 1 << 62   // ns of a monotonic clock, 146 years; JavaScript readers round it after 104 days
)

// Message is one of *Alert, *Stats, *Health, *Status, *Picture, *Command, *Result and
// *Receipt.
type Message interface {
	// Head returns the header inside the message, for reading and for filling in.
	Head() *Header
	// Topic returns where the message is published.
	Topic() Topic
	// Validate reports the first field out of its range as a *FieldError.
	Validate() error

	kind() Kind
}

// Header starts every message.
type Header struct {
	V     int    `json:"v"`     // Version; set by Append
	Kind  Kind   `json:"kind"`  // set by Append
	Fleet string `json:"fleet"` // fleet id, as in the topic
	Drone string `json:"drone"` // drone id, as in the topic
	Boot  string `json:"boot"`  // random id of one run of the daemon, see NewBoot

	// Seq numbers the messages of one drone within their lane: alerts and command
	// results count in one, statistics and health in the other. It grows by one
	// per message and continues over restarts. In the alert lane a gap means a
	// message that is missing or still under way. 0 = not numbered (status).
	Seq uint64 `json:"seq"`

	Captured  Time        `json:"captured"`  // wall time at which the frame (or the reading) was taken
	MonoNS    int64       `json:"mono_ns"`   // the same instant by the monotonic clock, ns since the daemon began
	Clock     ClockSource `json:"clock"`     // what set the wall clock
	Published Time        `json:"published"` // wall time of the latest attempt to send; set by Stamp
}

// Kind names the type of a message.
type Kind string

// The kinds of message.
const (
	KindStatus  Kind = "status"
	KindAlert   Kind = "alert"
	KindStats   Kind = "stats"
	KindHealth  Kind = "health"
	KindPicture Kind = "picture"
	KindCommand Kind = "cmd"
	KindResult  Kind = "result"
	KindReceipt Kind = "receipt"
)

// ClockSource tells how far the wall clock of a drone can be trusted.
type ClockSource string

// What set the wall clock, best first. ClockSystem is a clock that is set, by
// means the daemon cannot tell; ClockNone one that nothing has set since power-on.
const (
	ClockGPS    ClockSource = "gps"
	ClockNTP    ClockSource = "ntp"
	ClockRTC    ClockSource = "rtc"
	ClockSystem ClockSource = "system"
	ClockNone   ClockSource = "none"
)

// Head returns h itself, which makes every type that embeds Header a carrier of it.
func (h *Header) Head() *Header { return h }

func (h *Header) topic(kind Kind, sub string) Topic {
	return Topic{Fleet: h.Fleet, Drone: h.Drone, Kind: kind, Sub: sub}
}

func (h *Header) check(c *checker, kind Kind) {
	c.intRange("v", int64(h.V), Version, Version)
	c.oneOf("kind", string(h.Kind), string(kind))
	c.id("fleet", h.Fleet)
	c.id("drone", h.Drone)
	c.id("boot", h.Boot)
	c.count("seq", h.Seq)
	c.instant("captured", h.Captured)
	c.intRange("mono_ns", h.MonoNS, 0, MaxMono)
	c.oneOf("clock", string(h.Clock), string(ClockNone), string(ClockRTC), string(ClockNTP), string(ClockGPS),
		string(ClockSystem))
	c.optionalInstant("published", h.Published)
}
