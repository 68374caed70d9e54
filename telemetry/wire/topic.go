package wire

import (
	"errors"
	"fmt"
	"strings"
)

// ErrTopic is wrapped by every error about a topic.
var ErrTopic = errors.New("bad topic")

// Topic is the parsed form of ew/1/<fleet>/<drone>/<rest>, where rest is
//
//	status | stats | health | picture | receipt | alert/<task> | cmd/<verb> | cmd/result
type Topic struct {
	Fleet, Drone string
	Kind         Kind
	Sub          string // task of KindAlert, verb of KindCommand, else empty
}

const topicRoot = "ew/1/"

// String returns the topic as MQTT wants it. It does not validate.
func (t Topic) String() string { return string(t.Append(nil)) }

// Append appends the topic to dst.
func (t Topic) Append(dst []byte) []byte {
	dst = append(dst, topicRoot...)
	dst = append(dst, t.Fleet...)
	dst = append(dst, '/')
	dst = append(dst, t.Drone...)
	dst = append(dst, '/')
	switch t.Kind {
	case KindResult:
		return append(dst, "cmd/result"...)
	case KindAlert, KindCommand:
		dst = append(dst, t.Kind...)
		dst = append(dst, '/')
		return append(dst, t.Sub...)
	}
	return append(dst, t.Kind...)
}

// Validate reports ids that MQTT or the schema forbid, and unknown kinds.
func (t Topic) Validate() error {
	var c checker
	c.id("fleet", t.Fleet)
	c.id("drone", t.Drone)
	switch t.Kind {
	case KindAlert:
		c.oneOf("task", t.Sub, string(TaskFire), string(TaskGesture))
	case KindCommand:
		c.verb("verb", t.Sub)
	case KindStatus, KindStats, KindHealth, KindPicture, KindResult, KindReceipt:
		if t.Sub != "" {
			c.fail("topic", clip(t.Sub), "no level below "+string(t.Kind))
		}
	default:
		c.fail("kind", clip(string(t.Kind)), "status, alert, stats, health, picture, cmd, result or receipt")
	}
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrTopic, c.err)
	}
	return nil
}

// verb checks a command verb; "result" is the topic of the answers.
func (c *checker) verb(field, s string) {
	if s == "result" {
		c.fail(field, clip(s), "another verb (result is reserved)")
	}
	c.id(field, s)
}

// ParseTopic is the inverse of String and accepts nothing that Validate refuses.
func ParseTopic(s string) (Topic, error) {
	rest, ok := strings.CutPrefix(s, topicRoot)
	if !ok {
		return Topic{}, fmt.Errorf("%w: got %s, want %s<fleet>/<drone>/…", ErrTopic, clip(s), topicRoot)
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 3 || len(parts) > 4 {
		return Topic{}, fmt.Errorf("%w: got %s, want 5 or 6 levels", ErrTopic, clip(s))
	}
	t := Topic{Fleet: parts[0], Drone: parts[1], Kind: Kind(parts[2])}
	if len(parts) == 4 {
		t.Kind, t.Sub = leaf(parts[2], parts[3])
	}
	if t.Kind == KindResult && len(parts) == 3 {
		return Topic{}, fmt.Errorf("%w: got %s, want cmd/result", ErrTopic, clip(s))
	}
	return t, t.Validate()
}

func leaf(kind, sub string) (Kind, string) {
	if kind == string(KindCommand) && sub == "result" {
		return KindResult, ""
	}
	if sub == "" {
		return "", "" // status/ is not status
	}
	return Kind(kind), sub
}

// FleetFilter is the subscription to everything drones of a fleet send and
// receive; "+" means all fleets.
func FleetFilter(fleet string) (string, error) {
	if fleet != "+" {
		var c checker
		if c.id("fleet", fleet); c.err != nil {
			return "", fmt.Errorf("%w: %w", ErrTopic, c.err)
		}
	}
	return topicRoot + fleet + "/+/#", nil
}

// UplinkFilters are the subscriptions to everything drones of a fleet send, and nothing
// of what they receive; "+" means all fleets.
func UplinkFilters(fleet string) ([]string, error) {
	all, err := FleetFilter(fleet)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(all, "#")
	return []string{base + "status", base + "alert/+", base + "stats", base + "health", base + "picture",
		base + "cmd/result"}, nil
}

// CommandFilter is the subscription to every command for one drone.
func CommandFilter(fleet, drone string) (string, error) {
	t := Topic{Fleet: fleet, Drone: drone, Kind: KindStatus}
	if err := t.Validate(); err != nil {
		return "", err
	}
	return topicRoot + fleet + "/" + drone + "/cmd/+", nil
}

// ReceiptTopic is the topic of receipts for one drone.
func ReceiptTopic(fleet, drone string) Topic {
	return Topic{Fleet: fleet, Drone: drone, Kind: KindReceipt}
}
