package page

import (
	"container/list"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// The kinds of entries.
const (
	kindDrone  = "drone"
	kindHealth = "health"
	kindStats  = "stats"
	kindEvent  = "event"
)

// droneView is the link of a drone as the browser gets it.
type droneView struct {
	Fleet    string           `json:"fleet"`
	Drone    string           `json:"drone"`
	Boot     string           `json:"boot"`
	Heard    *wire.Time       `json:"heard"`     // arrival of its latest message; null when only a retained status is
	PeriodMS int64            `json:"period_ms"` // it reports this often, ms; 0 not known
	State    wire.StatusState `json:"state"`     // what its status says; "" when there was none
	Reason   string           `json:"reason"`    // of offline
	Software string           `json:"software"`
	Board    string           `json:"board"`
	Started  wire.Time        `json:"started,omitzero"`
	Clock    wire.ClockSource `json:"clock"`
	Missing  uint64           `json:"missing"` // alerts missing in the sequence

	AlertDepth *uint64 `json:"alert_depth"` // alerts that wait on the drone; null when it has not said
	BulkDepth  uint64  `json:"bulk_depth"`  // other messages that wait on it
	Dropped    uint64  `json:"dropped"`     // of them, given up since its start

	Position *wire.Position `json:"position"` // null when not known
	View     *wire.View     `json:"view"`     // where its camera looks
	Snapshot *snapshotView  `json:"snapshot"` // null until one was asked for
}

// healthView is the latest health of a drone.
type healthView struct {
	Fleet      string            `json:"fleet"`
	Drone      string            `json:"drone"`
	Received   wire.Time         `json:"received"`
	State      wire.HealthState  `json:"state"`
	Conditions []wire.Condition  `json:"conditions"`
	Source     *wire.SourceState `json:"source"`
	Link       *wire.LinkState   `json:"link"`
	Sensors    []wire.Sensor     `json:"sensors"`
	Memory     *wire.Memory      `json:"memory"`
	Disk       *wire.Disk        `json:"disk"`
	Profile    string            `json:"profile"`
	Mutes      []wire.Mute       `json:"mutes"`
}

// drone is what the page knows of one drone.
type drone struct {
	id     string // fleet/drone; neither contains a slash
	link   droneView
	stats  *flightStats
	delays latency.Histogram // capture to arrival of alerts
	series ring[sample]
	track  ring[[2]float64] // latitude, longitude

	picture []byte   // JPEG of link.Snapshot; must not be changed
	hottest *float64 // °C, of the latest health; nil when no sensor says
}

// fleet folds messages into entries of the board.
type fleet struct {
	board     *board
	maxDrones int
	drones    map[string]*list.Element // of *drone
	heard     *list.List               // most recently heard first
	events    events
	forgotten uint64
	crowded   bool // drones were forgotten
	unseen    int  // times that an event that waits for an answer was forgotten
	unstored  int  // of them, those that the archive did not have then
	scratch   latency.Histogram
}

func newFleet(maxDrones, maxEvents int) *fleet {
	return &fleet{
		board: newBoard(maxEvents + maxDrones), maxDrones: maxDrones,
		drones: make(map[string]*list.Element), heard: list.New(),
		events: events{max: maxEvents, byKey: make(map[string]*event)},
	}
}

func (f *fleet) handle(r ground.Received) {
	if r.Message == nil {
		if r.Entry.Event != nil {
			f.stored(r.Entry.Event)
		}
		return
	}
	_, urgent := r.Message.(*wire.Alert)
	d := f.drone(r.Message.Head(), urgent)
	if d == nil {
		return
	}
	switch m := r.Message.(type) {
	case *wire.Status:
		f.status(d, m)
	case *wire.Alert:
		f.alert(d, m, r)
	case *wire.Stats:
		f.setBoot(d, m.Boot)
		f.stats(d, m, r)
	case *wire.Health:
		f.setBoot(d, m.Boot)
		f.health(d, m, r)
	case *wire.Picture:
		d.snapshot(m)
		if r.Entry != nil && r.Entry.Event != nil {
			f.stored(r.Entry.Event)
		}
	case *wire.Result:
		if r.Entry != nil && r.Entry.Event != nil {
			f.stored(r.Entry.Event)
		}
	}
	f.heardFrom(d, r)
}

// storedDrone takes in a drone as the archive knows it.
func (f *fleet) storedDrone(s *store.Drone) {
	d := f.drone(&wire.Header{Fleet: s.Fleet, Drone: s.Drone}, false)
	if d == nil {
		return
	}
	if !s.Heard.IsZero() {
		at := wire.At(s.Heard)
		d.link.Heard = &at
	}
	d.link.Missing = min(s.Sequence.Count(), wire.MaxSeq)
	f.board.put(key{kindDrone, d.id}, &d.link)
}

// drone returns the entry for the sender of a message, and makes it if need be. When there
// are too many, only one with an alert gets in, for which one without goes; else it is nil.
// So a large fleet does not chase itself out of the page, and who falls silent stays on it.
func (f *fleet) drone(h *wire.Header, urgent bool) *drone {
	id := h.Fleet + "/" + h.Drone
	if e, ok := f.drones[id]; ok {
		f.heard.MoveToFront(e)
		return e.Value.(*drone)
	}
	if f.heard.Len() >= f.maxDrones {
		f.crowded = true
		if !urgent {
			return nil
		}
		f.forgetDrone(f.heard.Remove(f.leastUrgent()).(*drone))
	}
	d := &drone{id: id, link: droneView{Fleet: h.Fleet, Drone: h.Drone}}
	f.drones[id] = f.heard.PushFront(d)
	return d
}

// leastUrgent returns the drone not heard for longest among those without an event on the
// page, or among all.
func (f *fleet) leastUrgent() *list.Element {
	busy := make(map[string]bool)
	for _, e := range f.events.ordered {
		busy[e.drone] = true
	}
	for e := f.heard.Back(); e != nil; e = e.Prev() {
		if !busy[e.Value.(*drone).id] {
			return e
		}
	}
	return f.heard.Back()
}

func (f *fleet) forgetDrone(d *drone) {
	delete(f.drones, d.id)
	f.forgotten++
	for _, kind := range []string{kindDrone, kindHealth, kindStats} {
		f.board.remove(key{kind, d.id})
	}
}

// heardFrom notes a sign of life. A retained status and a will are none.
func (f *fleet) heardFrom(d *drone, r ground.Received) {
	s, isStatus := r.Message.(*wire.Status)
	if !r.Retained && !(isStatus && s.State == wire.Offline) {
		at := wire.At(r.At)
		d.link.Heard = &at
	}
	d.link.Clock, d.link.Missing = r.Message.Head().Clock, min(r.Missing, wire.MaxSeq)
	f.board.put(key{kindDrone, d.id}, &d.link)
}

func (f *fleet) status(d *drone, s *wire.Status) {
	f.setBoot(d, s.Boot)
	d.link.State, d.link.Reason = s.State, s.Reason
	d.link.Software, d.link.Board, d.link.Started = s.Software, s.Board, s.Started
}

// setBoot notes which run of the daemon is the present one. Events of an earlier run
// that have not ended may never do so. Alerts do not tell: they may have waited on disk.
func (f *fleet) setBoot(d *drone, boot string) {
	if d.link.Boot == boot {
		return
	}
	d.link.Boot = boot
	for _, e := range f.events.ordered {
		if e.drone == d.id {
			f.markCutOff(e, boot)
		}
	}
}

func (f *fleet) health(d *drone, h *wire.Health, r ground.Received) {
	f.board.put(key{kindHealth, d.id}, &healthView{
		Fleet: h.Fleet, Drone: h.Drone, Received: wire.At(r.At), State: h.State,
		Conditions: listOf(h.Conditions), Source: h.Source, Link: h.Link, Sensors: listOf(h.Sensors),
		Memory: h.Memory, Disk: h.Disk, Profile: h.Profile, Mutes: listOf(h.Mutes),
	})
	d.moved(h.Position, h.View)
	d.queues(h.Telemetry)
	d.hottest = hottest(h.Sensors)
}

// moved notes where a drone is and where its camera looks.
func (d *drone) moved(p *wire.Position, v *wire.View) {
	if p == nil {
		return
	}
	d.link.Position, d.link.View = p, v
	if at := [2]float64{p.Lat, p.Lon}; d.track.len() == 0 || d.track.last() != at {
		d.track.add(at, maxTrack)
	}
}

// queues notes what waits on a drone.
func (d *drone) queues(t wire.Delivery) {
	d.link.AlertDepth, d.link.BulkDepth, d.link.Dropped = &t.AlertDepth, t.BulkDepth, t.Dropped
}

// listOf makes JSON say [] instead of null.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
