package store

import (
	"time"

	"emberwing/telemetry/gaps"
	"emberwing/telemetry/wire"
)

// Arrival is a message as it came in.
type Arrival struct {
	Message wire.Message // *wire.Alert or *wire.Result
	Payload []byte       // as received
	At      time.Time
}

// Fate is what became of an Arrival.
type Fate int

// The fates. All of them are durable: the sender may forget the message.
const (
	Stored    Fate = iota // new
	Duplicate             // known already
	Conflict              // contradicts what is stored under the same key; kept aside
)

// Outcome is the fate of one Arrival.
type Outcome struct {
	Fate    Fate
	Entry   *Entry // of Stored
	Missing uint64 // numbers missing in the alert lane of this drone
}

// EntryKind says what a row of the feed is about.
type EntryKind string

// The kinds of a row.
const (
	EntryAlert   EntryKind = "alert"
	EntryVerdict EntryKind = "verdict"
	EntryResult  EntryKind = "result"
	EntryPicture EntryKind = "picture"
)

// Entry is one row of the feed.
type Entry struct {
	Row     int64        `json:"row"`
	Kind    EntryKind    `json:"kind"`
	At      wire.Time    `json:"at"`              // stored, by the clock of the station
	Event   *Event       `json:"event,omitempty"` // as it is when the entry is read; nil when it concerns none
	Alert   *wire.Alert  `json:"alert,omitempty"`
	Verdict *Verdict     `json:"verdict,omitempty"`
	Result  *wire.Result `json:"result,omitempty"`
}

// Event is an event with everything known of it.
type Event struct {
	ID       int64            `json:"id"`  // in this store
	Row      int64            `json:"row"` // latest of the feed that concerns it
	Fleet    string           `json:"fleet"`
	Drone    string           `json:"drone"`
	Boot     string           `json:"boot"`
	Event    string           `json:"event"`
	Task     wire.Task        `json:"task"`
	Label    string           `json:"label"`
	Phase    wire.Phase       `json:"phase"`
	Revision int              `json:"revision"` // highest received
	Steps    int              `json:"steps"`    // alerts received
	Started  wire.Time        `json:"started"`
	Ended    wire.Time        `json:"ended,omitzero"`
	First    wire.Time        `json:"first_received"`
	Last     wire.Time        `json:"last_received"`
	Late     bool             `json:"late,omitempty"` // the latest alert had waited on the drone
	Clock    wire.ClockSource `json:"clock"`
	Peak     float64          `json:"peak"` // highest calibrated score, 0..1
	Latest   *wire.Alert      `json:"latest"`
	Verdict  *Verdict         `json:"verdict,omitempty"` // nil until acknowledged
	Picture  *Picture         `json:"picture,omitempty"`
}

// Step is one alert of an event.
type Step struct {
	Row      int64       `json:"row"`
	Received wire.Time   `json:"received"`
	Alert    *wire.Alert `json:"alert"`
}

// Verdict is what an operator made of an event.
type Verdict struct {
	Verdict  string    `json:"verdict"` // of the list in package wire
	Note     string    `json:"note,omitempty"`
	Operator string    `json:"operator"`
	Station  string    `json:"station"`
	At       wire.Time `json:"at"`
	Command  int64     `json:"command,omitempty"` // that tells the drone; 0 none
	Delivery string    `json:"delivery,omitempty"`
}

// Picture describes the picture of an event.
type Picture struct {
	Type   string `json:"type"`  // "image/jpeg"
	Bytes  int    `json:"bytes"` //
	Width  int    `json:"width"`
	Height int    `json:"height"`
	SHA256 string `json:"sha256"` // of the bytes kept, lower-case hexadecimal
}

// Query selects events. The zero value selects the newest of all.
type Query struct {
	Fleet, Drone   string
	Task           wire.Task
	Text           string // part of drone, label, event id or verdict, in any case
	Unacknowledged bool
	Acknowledged   bool
	Open           bool      // not ended
	Since, Until   time.Time // by the first receipt; zero for no limit
	Before         int64     // event ids below, for the next page; 0 from the newest
	Limit          int       // 200; at most 5000
}

// Drone is what the store remembers of one.
type Drone struct {
	Fleet, Drone string
	Sequence     gaps.Sequence
	Alerts       uint64
	Heard        time.Time // arrival of the latest stored message
}
