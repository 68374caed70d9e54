package wire

import "math"

// StatusState says whether a drone is connected.
type StatusState string

// The states of a drone's connection.
const (
	Online  StatusState = "online"
	Offline StatusState = "offline"
)

// Status is retained. The drone publishes it online after it connects and offline
// before it leaves; the broker publishes it offline, as the last will, when the link
// breaks. Boot and Generation tell a reader whether a will belongs to the connection
// it knows of or to an older one, in which case it must be ignored.
type Status struct {
	Header
	State      StatusState `json:"state"`
	Reason     string      `json:"reason,omitempty"` // of offline: "shutdown" or "connection lost"
	Generation uint64      `json:"generation"`       // connection of this boot, 1 for the first
	Software   string      `json:"software"`         // name and version
	Board      string      `json:"board"`
	Started    Time        `json:"started"`        // when the daemon started
	Ack        AckMode     `json:"ack,omitempty"`  // what deletes an alert from the drone
	Keys       []string    `json:"keys,omitempty"` // ids of the keys whose commands and receipts the drone takes
}

// AckMode says after what a drone forgets an alert.
type AckMode string

// AckReceipt waits for the receipt of a ground station that has the alert on disk.
// AckBroker trusts the acknowledgement of the broker, which promises neither that it is on
// disk there nor that anybody has read it.
const (
	AckReceipt AckMode = "receipt"
	AckBroker  AckMode = "broker"
)

// Supersedes reports whether s, just received, may replace known, the status a
// reader holds: everything may, except an offline of another connection than known.
func (s *Status) Supersedes(known *Status) bool {
	if known == nil || s.State == Online {
		return true
	}
	return s.Boot == known.Boot && s.Generation >= known.Generation
}

// Topic implements Message.
func (s *Status) Topic() Topic { return s.topic(KindStatus, "") }

func (s *Status) kind() Kind { return KindStatus }

// Validate implements Message.
func (s *Status) Validate() error {
	var c checker
	s.Header.check(&c, KindStatus)
	c.oneOf("state", string(s.State), string(Online), string(Offline))
	c.text("reason", s.Reason, MaxText)
	c.count("generation", s.Generation)
	c.name("software", s.Software)
	c.text("board", s.Board, MaxName)
	c.instant("started", s.Started)
	if s.Ack != "" {
		c.oneOf("ack", string(s.Ack), string(AckReceipt), string(AckBroker))
	}
	c.list("keys", len(s.Keys))
	for _, k := range s.Keys {
		c.keyID("keys", k)
	}
	return c.err
}

// Result answers a command.
type Result struct {
	Header
	Verb    string `json:"verb"`           // of the command
	Counter uint64 `json:"counter"`        // of the command
	Outcome string `json:"outcome"`        // "done", "refused", "failed"
	Text    string `json:"text,omitempty"` // why
	Key     string `json:"key,omitempty"`  // id of the key that the command named
}

// Topic implements Message.
func (r *Result) Topic() Topic { return r.topic(KindResult, "") }

func (r *Result) kind() Kind { return KindResult }

// Validate implements Message.
func (r *Result) Validate() error {
	var c checker
	r.Header.check(&c, KindResult)
	c.verb("verb", r.Verb)
	c.count("counter", r.Counter)
	c.oneOf("outcome", r.Outcome, "done", "refused", "failed")
	c.text("text", r.Text, MaxText)
	if r.Key != "" {
		c.keyID("key", r.Key)
	}
	return c.err
}

// Receipt says that a ground station has made alerts durable. Its header names the
// drone it is for; Captured and Clock are those of the station.
type Receipt struct {
	Header
	Station string  `json:"station"` // who stored
	Stored  []Range `json:"stored"`  //

	Key       string `json:"key,omitempty"`       // id of the key that signed
	Signature []byte `json:"signature,omitempty"` // see Sign
}

// Range is a run of sequence numbers of the alert lane, both ends included. Boot is
// that of the messages, which may be older than the drone's present one.
type Range struct {
	Boot string `json:"boot"`
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Topic implements Message.
func (r *Receipt) Topic() Topic { return r.topic(KindReceipt, "") }

func (r *Receipt) kind() Kind { return KindReceipt }

func (r *Receipt) fillLists() { r.Stored = notNil(r.Stored) }

// Validate implements Message.
func (r *Receipt) Validate() error {
	var c checker
	r.Header.check(&c, KindReceipt)
	c.id("station", r.Station)
	c.list("stored", len(r.Stored))
	for _, s := range r.Stored {
		c.id("stored.boot", s.Boot)
		c.count("stored.to", s.To)
		c.intRange("stored.from", int64(min(s.From, math.MaxInt64)), 1, int64(min(s.To, MaxSeq)))
	}
	c.signature(r.Key, r.Signature)
	return c.err
}
