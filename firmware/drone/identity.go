package drone

import (
	"crypto/ed25519"
	"time"

	"golang.org/x/sys/unix"

	"emberwing/telemetry/wire"
)

// identity says who sends a message and by which clock. One lives as long as
// one run of the daemon.
type identity struct {
	fleet, drone, boot string
	software, board    string
	started            time.Time
	ack                wire.AckMode
	exercise           bool
	trusted            []ed25519.PublicKey // whose commands and receipts count
}

// keyIDs names the trusted keys.
func (id *identity) keyIDs() (ids []string) {
	for _, k := range id.trusted {
		ids = append(ids, wire.KeyID(k))
	}
	return ids
}

// head starts a message about the instant at.
func (id *identity) head(at time.Time) wire.Header {
	return wire.Header{
		Fleet: id.fleet, Drone: id.drone, Boot: id.boot,
		Captured: wire.At(at), MonoNS: max(0, at.Sub(id.started).Nanoseconds()), Clock: clockSource(time.Now()),
	}
}

// status is what the daemon says of itself while it is connected.
func (id *identity) status() *wire.Status {
	return &wire.Status{
		Header: id.head(time.Now()), State: wire.Online,
		Software: id.software, Board: id.board, Started: wire.At(id.started),
		Ack: id.ack, Keys: id.keyIDs(),
	}
}

// builtAfter is a time that no set clock can be before: this code is younger.
var builtAfter = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clockSource says how far the wall clock can be trusted. The kernel knows
// whether a time daemon disciplines it; a clock before this program was
// written has never been set.
func clockSource(now time.Time) wire.ClockSource {
	if now.Before(builtAfter) {
		return wire.ClockNone
	}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err == nil && t.Status&unix.STA_UNSYNC == 0 {
		return wire.ClockNTP
	}
	return wire.ClockSystem
}
