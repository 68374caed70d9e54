package ground

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"emberwing/telemetry/gaps"
	"emberwing/telemetry/wire"
)

// Drone is what the receiver knows of one drone.
type Drone struct {
	Fleet, Drone string
	Boot         string       // of the latest message
	Status       *wire.Status // nil until one was received; must not be changed
	Health       *wire.Health // latest received, of a Station; must not be changed
	Work         *wire.Stats  // the same
	LastSeen     time.Time    // arrival of the latest message that was not retained, with a monotonic reading
	Alerts       uint64       // alerts and results received, without repetitions
	LastAlertSeq uint64       // highest number in the alert lane
	Missing      uint64       // numbers missing below it
	GivenUp      uint64       // missing numbers no longer waited for, because there were too many gaps
}

// fleet remembers a bounded number of drones.
type fleet struct {
	maxDrones, remember int
	drones              map[[2]string]*list.Element // of *drone
	heard               *list.List                  // most recently heard first
}

func newFleet(maxDrones, remember int) fleet {
	return fleet{maxDrones: maxDrones, remember: remember, drones: make(map[[2]string]*list.Element), heard: list.New()}
}

// drone returns the entry for the sender of a message, and makes it if need be.
func (f *fleet) drone(h *wire.Header) *drone {
	key := [2]string{h.Fleet, h.Drone}
	if e, ok := f.drones[key]; ok {
		f.heard.MoveToFront(e)
		return e.Value.(*drone)
	}
	if f.heard.Len() >= f.maxDrones {
		gone := f.heard.Remove(f.heard.Back()).(*drone)
		delete(f.drones, [2]string{gone.Fleet, gone.Drone.Drone})
	}
	d := &drone{Drone: Drone{Fleet: h.Fleet, Drone: h.Drone}, seen: newRecent(f.remember)}
	f.drones[key] = f.heard.PushFront(d)
	return d
}

// find returns the entry of a drone if there is one.
func (f *fleet) find(fleet, name string) (*drone, bool) {
	e, ok := f.drones[[2]string{fleet, name}]
	if !ok {
		return nil, false
	}
	return e.Value.(*drone), true
}

func (f *fleet) list() []Drone {
	out := make([]Drone, 0, f.heard.Len())
	for e := f.heard.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*drone).snapshot())
	}
	slices.SortFunc(out, func(a, b Drone) int {
		return cmp.Or(cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Drone, b.Drone))
	})
	return out
}

// FleetCount says how a fleet is, however large.
type FleetCount struct {
	Known   int
	Offline int // by their status
	Silent  int // of the others, not heard for a minute
}

const silentAfter = time.Minute

func (f *fleet) count(now time.Time) (c FleetCount) {
	for e := f.heard.Front(); e != nil; e = e.Next() {
		d := e.Value.(*drone)
		c.Known++
		switch {
		case d.Status != nil && d.Status.State == wire.Offline:
			c.Offline++
		case d.age(now) < 0 || d.age(now) > silentAfter:
			c.Silent++
		}
	}
	return c
}

// age is for how long nothing was heard of the drone; negative when that is not known: never,
// or before the clock of the station was set back, by a time that was read from the store.
func (d *Drone) age(now time.Time) time.Duration {
	if d.LastSeen.IsZero() {
		return -1
	}
	return now.Sub(d.LastSeen)
}

type verdict int

const (
	fresh verdict = iota
	duplicate
	staleWill
)

type drone struct {
	Drone
	seen   *recent
	alerts gaps.Sequence
	bulk   gaps.Sequence // of statistics, health and pictures; merging leaves gaps in it
	clock  droneClock
}

// droneClock estimates the monotonic clock of a drone from below: a message is at least as
// old as it says, so the one that was least under way says most. No wall clock has a part.
type droneClock struct {
	boot  string
	ahead time.Duration // of the drone's clock before that of the station
	known bool
}

// note takes in a message that came at a time of the station's monotonic clock.
func (c *droneClock) note(h *wire.Header, at time.Duration) {
	ahead := time.Duration(h.MonoNS) - at
	switch {
	case h.MonoNS == 0 || c.known && c.boot == h.Boot && ahead <= c.ahead:
		return
	case c.known && c.boot != h.Boot: // a new run counts from the start
		*c = droneClock{}
	}
	c.boot, c.ahead, c.known = h.Boot, ahead, true
}

// at returns the drone's clock at a time of the station's, in a run of the drone.
func (c *droneClock) at(boot string, now time.Duration) (mono time.Duration, ok bool) {
	if !c.known || c.boot != boot {
		return 0, false
	}
	return now + c.ahead, true
}

func (d *drone) snapshot() Drone {
	out := d.Drone
	out.LastAlertSeq, out.Missing, out.GivenUp = d.alerts.High, d.alerts.Count(), d.alerts.GivenUp
	return out
}

// judge decides whether a message is news and takes note of it.
func (d *drone) judge(m wire.Message, now time.Time) verdict {
	switch m := m.(type) {
	case *wire.Status:
		return d.judgeStatus(m, now)
	case *wire.Alert:
		if !d.seen.add(alertKey(m)) {
			return duplicate
		}
		d.noteAlert(m.Head())
	case *wire.Result:
		if !d.seen.add(resultKey(m)) {
			return duplicate
		}
		d.noteAlert(m.Head())
	}
	d.heardFrom(m.Head(), now)
	return fresh
}

func (d *drone) noteAlert(h *wire.Header) {
	d.alerts.Note(h.Boot, h.Seq)
	d.Alerts++
}

func (d *drone) heardFrom(h *wire.Header, now time.Time) {
	d.LastSeen, d.Boot = now, h.Boot
}

// judgeStatus drops the repetition of a status that the broker retained, and wills of
// connections that have been replaced. A will is not a sign of life.
func (d *drone) judgeStatus(s *wire.Status, now time.Time) verdict {
	known := d.Status
	if known != nil && known.State == s.State && known.Boot == s.Boot && known.Generation == s.Generation {
		return duplicate
	}
	if !s.Supersedes(known) {
		return staleWill
	}
	d.Status = s
	if s.State == wire.Online {
		d.heardFrom(s.Head(), now)
	}
	return fresh
}

// key stands for an alert; 128 bits of SHA-256 make a confusion of two practically
// impossible whatever a sender tries.
type key [16]byte

func alertKey(a *wire.Alert) key {
	return messageKey("alert", a.Boot, a.Event, uint64(a.Revision))
}

func resultKey(r *wire.Result) key { return messageKey("result", r.Boot, r.Verb, r.Seq) }

func messageKey(kind, boot, name string, n uint64) (k key) {
	b := append([]byte(kind+"/"+boot+"/"+name), 0) // none of them contains a 0
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, n))
	copy(k[:], sum[:])
	return k
}

// recent is a set of the latest keys.
type recent struct {
	limit int
	set   map[key]struct{}
	order []key // ring once it is full
	next  int   // oldest entry of a full ring
}

func newRecent(limit int) *recent { return &recent{limit: limit, set: make(map[key]struct{})} }

// add returns false when k is in the set.
func (r *recent) add(k key) bool {
	if _, ok := r.set[k]; ok {
		return false
	}
	r.set[k] = struct{}{}
	if len(r.order) < r.limit {
		r.order = append(r.order, k)
		return true
	}
	delete(r.set, r.order[r.next])
	r.order[r.next] = k
	r.next = (r.next + 1) % r.limit
	return true
}
