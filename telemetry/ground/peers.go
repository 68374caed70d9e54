package ground

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// beaconTopic is where stations tell each other that they live. It is outside the tree of
// the drones.
const beaconTopic = "ew/ground/1/"

// Beacon is the sign of life of a station.
type Beacon struct {
	Station string `json:"station"`
	ID      string `json:"id,omitempty"`   // of its key: names may be the same by mistake
	Gone    bool   `json:"gone,omitempty"` // the last word, or the will
}

// ParseBeacon reads a beacon and checks that it is published where its station belongs.
func ParseBeacon(topic string, payload []byte) (Beacon, bool) {
	name, ok := strings.CutPrefix(topic, beaconTopic)
	var b Beacon
	if !ok || len(payload) > maxBeacon || json.Unmarshal(payload, &b) != nil || b.Station != name {
		return Beacon{}, false
	}
	valid := (wire.Topic{Fleet: "f", Drone: name, Kind: wire.KindStatus}).Validate() == nil && len(b.ID) <= wire.MaxID
	return b, valid
}

const maxBeacon = 1024 // bytes

// peers decides which of the stations on one broker is the active one: the first by name
// of those that live. Each stores, shows and answers everything; only the active one does
// what must not be done twice, such as handing alerts on to other systems. A station
// assumes nothing until it has listened for as long as another's silence may last.
type peers struct {
	self     peer
	interval time.Duration

	mu      *sync.Mutex
	started time.Time // zero before the first beacon
	heard   map[peer]time.Time
}

// peer is a station. Two of the same name are told apart by their keys.
type peer struct{ name, id string }

func (p peer) before(other peer) bool {
	return cmp.Or(cmp.Compare(p.name, other.name), cmp.Compare(p.id, other.id)) < 0
}

const (
	missedBeacons = 3    // after which a station counts as gone
	maxStations   = 1000 // remembered, against senders of nonsense
)

func newPeers(self peer, interval time.Duration) peers {
	return peers{self: self, interval: interval, mu: new(sync.Mutex), heard: make(map[peer]time.Time)}
}

func (p *peers) patience() time.Duration { return missedBeacons * p.interval }

// handle takes in a beacon; it reports whether the topic is one.
func (p *peers) handle(m mqtt.Message, now time.Time) bool {
	if !strings.HasPrefix(m.Topic, beaconTopic) {
		return false
	}
	b, ok := ParseBeacon(m.Topic, m.Payload)
	sender := peer{b.Station, b.ID}
	if !ok || sender == p.self {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.heard, sender)
	if !b.Gone && len(p.heard) < maxStations {
		p.heard[sender] = now
	}
	return true
}

// start begins the time of listening.
func (p *peers) start(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = now
}

// active reports whether this station is the active one.
func (p *peers) active(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started.IsZero() || now.Sub(p.started) < p.patience() {
		return false
	}
	for other, at := range p.heard {
		if other.before(p.self) && now.Sub(at) < p.patience() {
			return false
		}
	}
	return true
}

// nameTaken reports whether another station that lives has the same name.
func (p *peers) nameTaken(now time.Time) bool { return slices.Contains(p.list(now), p.self.name) }

// list returns the other stations that live.
func (p *peers) list(now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := []string{}
	for other, at := range p.heard {
		if now.Sub(at) < p.patience() {
			names = append(names, other.name)
		}
	}
	return names
}

func (p *peers) message(gone bool) mqtt.Message {
	payload, _ := json.Marshal(Beacon{Station: p.self.name, ID: p.self.id, Gone: gone}) // has no parts that could fail
	return mqtt.Message{Topic: beaconTopic + p.self.name, Payload: payload}
}

// farewell is the will: the broker sends it when the connection breaks.
func (p *peers) farewell() *mqtt.Message {
	m := p.message(true)
	return &m
}

// beacon sends signs of life until ctx ends.
func (s *Station) beacon(ctx context.Context) {
	tick := time.NewTicker(s.opts.Beacon)
	defer tick.Stop()
	s.peers.start(time.Now())
	for {
		_ = s.bulk.publish(s.peers.message(false)) // without a connection nobody is to hear it
		s.checkName()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkName tells operators of a second station of this name: which of them a word comes from
// could not be told.
func (s *Station) checkName() {
	if s.peers.nameTaken(time.Now()) {
		s.raise("name-taken", wire.SeverityWarning,
			"another station on this broker is called "+s.opts.Name+" too: start one of them with another --name")
		return
	}
	s.clearAlarm("name-taken")
}
