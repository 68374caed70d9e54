package drone

import (
	"sync/atomic"
	"time"

	"emberwing/firmware/event"
	"emberwing/telemetry/wire"
)

// profile is how much telemetry the drone sends; see wire.Profiles. The zero value is normal.
// Its methods may be called from any goroutine.
type profile struct {
	index   atomic.Int32 // into wire.Profiles
	changed chan struct{}
}

func newProfile() *profile { return &profile{changed: make(chan struct{}, 1)} }

// The profiles, by their place in wire.Profiles.
const (
	profileNormal = iota
	profileNarrow
	profileDetailed
)

// set changes the profile; the name is one of wire.Profiles, which the wire has checked.
func (p *profile) set(name string) {
	for i, n := range wire.Profiles() {
		if n == name {
			p.index.Store(int32(i))
		}
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *profile) name() string { return wire.Profiles()[p.index.Load()] }

// every returns the time between two periodic messages.
func (p *profile) every(base time.Duration) time.Duration {
	switch p.index.Load() {
	case profileNarrow:
		return 6 * base
	case profileDetailed:
		return max(base/2, 50*time.Millisecond)
	}
	return base
}

// thumb reports whether an alert of this phase carries a small picture.
func (p *profile) thumb(phase event.Phase) bool {
	switch p.index.Load() {
	case profileNarrow:
		return false
	case profileDetailed:
		return true
	}
	return phase == event.Begin
}
