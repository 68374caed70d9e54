package wire

import "math"

// Picture answers a snapshot command. It travels in the bulk lane.
type Picture struct {
	Header
	Event    string `json:"event,omitempty"`    // whose picture it is; absent for what the camera sees now
	Revision int    `json:"revision,omitempty"` // of that event
	Counter  uint64 `json:"counter"`            // of the command
	Width    int    `json:"width"`              // pixels
	Height   int    `json:"height"`             // pixels
	JPEG     []byte `json:"jpeg"`               // at most MaxPicture bytes
}

// Topic implements Message.
func (p *Picture) Topic() Topic { return p.topic(KindPicture, "") }

func (p *Picture) kind() Kind { return KindPicture }

// Validate implements Message.
func (p *Picture) Validate() error {
	var c checker
	p.Header.check(&c, KindPicture)
	c.text("event", p.Event, MaxText)
	c.intRange("revision", int64(p.Revision), 0, math.MaxInt32)
	c.count("counter", p.Counter)
	c.intRange("width", int64(p.Width), 1, 1<<16)
	c.intRange("height", int64(p.Height), 1, 1<<16)
	c.jpeg("jpeg", p.JPEG, MaxPicture, false)
	return c.err
}
