// Package event turns per-frame decisions into events that begin, last and end.
//
// One frame proves nothing: sun glare or a hand that passes looks right for a
// frame or two. An event begins when N of the last M frames agree above a
// calibrated threshold and, where the rule asks for a dwell, have agreed for
// that long. It has hysteresis: while it lasts, a frame supports it above the
// lower release threshold, and it ends when N of the last M frames do not.
// Each event ends exactly once and carries its evidence.
//
// A gesture event is information for an operator. Nothing in this package, nor
// behind it, turns one into a flight command.
package event

import (
	"fmt"
	"time"
)

// MaxWindow bounds the window, so that a tracker needs no allocation.
const MaxWindow = 256

// None is the class of a frame that can support no event.
const None = -1

// Rule is the temporal decision of one model.
type Rule struct {
	Window    int           // M frames, 1..MaxWindow
	Agree     int           // N frames, 1..Window
	Threshold float32       // calibrated score at which a frame agrees, in (0,1)
	Release   float32       // calibrated score above which a frame still supports, in (0,Threshold]
	Dwell     time.Duration // how long agreement must last before an event begins
	Update    time.Duration // time between updates of a lasting event
	MaxGap    time.Duration // a longer gap between frames ends an event and empties the window; 0 never
}

// Validate reports the first value out of its range.
func (r Rule) Validate() error {
	switch {
	case r.Window < 1 || r.Window > MaxWindow:
		return fmt.Errorf("temporal rule: got window %d, want 1..%d frames", r.Window, MaxWindow)
	case r.Agree < 1 || r.Agree > r.Window:
		return fmt.Errorf("temporal rule: got agree %d, want 1..%d frames of the window", r.Agree, r.Window)
	case !(r.Threshold > 0 && r.Threshold < 1):
		return fmt.Errorf("temporal rule: got threshold %v, want a score in (0,1)", r.Threshold)
	case !(r.Release > 0 && r.Release <= r.Threshold):
		return fmt.Errorf("temporal rule: got release %v, want a score in (0,%v]", r.Release, r.Threshold)
	case r.Dwell < 0 || r.Update <= 0 || r.MaxGap < 0:
		return fmt.Errorf("temporal rule: got dwell %v, update %v, max gap %v, want none negative and an update interval", r.Dwell, r.Update, r.MaxGap)
	}
	return nil
}

// Observation is what one frame said.
type Observation struct {
	At    time.Time // capture time with its monotonic reading
	Frame uint64    // sequence number of the frame
	Class int       // frames support the same event only when their class is equal; None supports none
	Label int       // what the frame shows, e.g. smoke or fire within one alarm class
	Score float32   // calibrated score of the class, in [0,1]
	Raw   float32   // the same before calibration
}

// Phase is where in its life an event is.
type Phase uint8

// The phases in order.
const (
	Begin Phase = iota
	Update
	End
)

// String returns the wire name of p.
func (p Phase) String() string { return [...]string{"begin", "update", "end"}[p] }

// Event is one step in the life of an event, with the evidence for it.
type Event struct {
	Phase     Phase
	Revision  int // 0 at begin, then one more each step
	Class     int
	Label     int
	Started   time.Time     // capture time of the first frame that agreed
	At        time.Time     // capture time of the frame that made this step
	Frame     uint64        // sequence number of that frame
	Agree     int           // frames of the window that support the event
	Window    int           // frames in the window
	Frames    int           // frames that supported the event since it started
	Score     float32       // calibrated score of the latest frame of the class
	Raw       float32       // the same before calibration
	Peak      float32       // highest calibrated score so far
	Threshold float32       // in force when the event began
	Release   float32       // in force while it lasts
	Dwell     time.Duration // At - Started
	Reason    string        // of an end: "released", "gap" or "shutdown"
}

// Tracker follows one model's frames. It is not safe for concurrent use and
// allocates nothing after New.
type Tracker struct {
	rule   Rule // in force
	base   Rule // as given to New
	window [MaxWindow]Observation
	n, pos int // observations held, next place to write

	waiting bool        // enough frames agree, but not yet for the dwell
	active  bool        // an event has begun and not ended
	last    Observation // first agreeing frame while waiting, latest supporting one while active
	event   Event
	told    time.Time // when the event was last reported
}

// New returns a tracker that follows rule.
func New(rule Rule) (*Tracker, error) {
	if err := rule.Validate(); err != nil {
		return nil, err
	}
	return &Tracker{rule: rule, base: rule}, nil
}

// SetThreshold changes the threshold from the next frame on; 0 goes back to that of the rule.
// The release follows a lower threshold down. An event that has begun reports the values
// that were in force then. A threshold outside (0,1) is an error and changes nothing.
func (t *Tracker) SetThreshold(threshold float32) error {
	rule := t.base
	if threshold != 0 {
		rule.Threshold, rule.Release = threshold, min(rule.Release, threshold)
	}
	if err := rule.Validate(); err != nil {
		return err
	}
	t.rule = rule
	return nil
}

// Active tells whether an event has begun and not ended.
func (t *Tracker) Active() bool { return t.active }

// Observe adds one frame and returns the step it causes, if any. A gap longer
// than the rule allows ends the active event before o is counted.
func (t *Tracker) Observe(o Observation) (Event, bool) {
	if e, ended := t.gap(o); ended {
		return e, true
	}
	t.push(o)
	if t.active {
		return t.follow(o)
	}
	return t.tryBegin(o)
}

// Close ends the active event, if any, for example at shutdown.
func (t *Tracker) Close(reason string) (Event, bool) {
	if !t.active {
		return Event{}, false
	}
	return t.end(t.event.At, t.event.Frame, reason), true
}

// gap empties the window when frames stopped for too long. The observation
// that shows the gap starts the new window.
func (t *Tracker) gap(o Observation) (Event, bool) {
	if t.n == 0 || t.rule.MaxGap == 0 || o.At.Sub(t.newest().At) <= t.rule.MaxGap {
		return Event{}, false
	}
	e, ended := t.Close("gap")
	t.n, t.pos, t.waiting = 0, 0, false
	if ended {
		t.push(o)
	}
	return e, ended
}

func (t *Tracker) newest() *Observation {
	return &t.window[(t.pos+t.rule.Window-1)%t.rule.Window]
}

func (t *Tracker) push(o Observation) {
	t.window[t.pos] = o
	t.pos = (t.pos + 1) % t.rule.Window
	t.n = min(t.n+1, t.rule.Window)
}

// support counts the frames of the window that support class at level, and
// returns the oldest of them.
func (t *Tracker) support(class int, level float32) (count int, oldest *Observation) {
	for i := range t.n {
		o := &t.window[(t.pos+t.rule.Window-1-i)%t.rule.Window]
		if o.supports(class, level) {
			count++
			oldest = o
		}
	}
	return count, oldest
}

func (o *Observation) supports(class int, level float32) bool {
	return class != None && o.Class == class && o.Score >= level
}

// tryBegin starts an event when o's class has the support the rule asks for.
func (t *Tracker) tryBegin(o Observation) (Event, bool) {
	if t.waiting {
		held, _ := t.support(t.last.Class, t.rule.Threshold)
		t.waiting = held >= t.rule.Agree
	}
	agree, oldest := t.support(o.Class, t.rule.Threshold)
	if agree < t.rule.Agree || !o.supports(o.Class, t.rule.Threshold) {
		return Event{}, false
	}
	if !t.waiting || t.last.Class != o.Class {
		t.last, t.waiting = *oldest, true // agreement starts here; the dwell counts from it
	}
	if o.At.Sub(t.last.At) < t.rule.Dwell {
		return Event{}, false
	}
	return t.begin(o, agree), true
}

func (t *Tracker) begin(o Observation, agree int) Event {
	t.active, t.waiting = true, false
	t.told = o.At
	t.event = Event{
		Phase: Begin, Class: o.Class, Label: o.Label, Started: t.last.At, At: o.At, Frame: o.Frame,
		Agree: agree, Window: t.rule.Window, Frames: agree, Score: o.Score, Raw: o.Raw, Peak: t.peak(o.Class),
		Threshold: t.rule.Threshold, Release: t.rule.Release, Dwell: o.At.Sub(t.last.At),
	}
	t.last = o
	return t.event
}

// peak is the highest score of class in the window.
func (t *Tracker) peak(class int) (p float32) {
	for i := range t.n {
		if o := &t.window[i]; o.Class == class {
			p = max(p, o.Score)
		}
	}
	return p
}

// follow counts o for or against the active event and reports an update when
// one is due or the label changes, or the end.
func (t *Tracker) follow(o Observation) (Event, bool) {
	agree, _ := t.support(t.event.Class, t.rule.Release)
	t.event.Agree = agree
	if t.n-agree >= t.rule.Agree {
		if o.Class == t.event.Class {
			t.event.Score, t.event.Raw = o.Score, o.Raw
		}
		return t.end(o.At, o.Frame, "released"), true
	}
	if !o.supports(t.event.Class, t.rule.Release) {
		return Event{}, false
	}
	changed := t.settle(o)
	if !changed && o.At.Sub(t.told) < t.rule.Update {
		return Event{}, false
	}
	t.told = o.At
	t.step(Update)
	return t.event, true
}

// settle takes o's evidence into the event and tells whether the label that
// most supporting frames of the window show has changed.
func (t *Tracker) settle(o Observation) bool {
	t.last = o
	e := &t.event
	e.At, e.Frame, e.Score, e.Raw, e.Peak = o.At, o.Frame, o.Score, o.Raw, max(e.Peak, o.Score)
	e.Frames++
	e.Dwell = o.At.Sub(e.Started)
	if o.Label == e.Label || t.labelled(o.Label)*2 <= e.Agree {
		return false
	}
	e.Label = o.Label
	return true
}

// labelled counts the supporting frames of the window that show label.
func (t *Tracker) labelled(label int) (count int) {
	for i := range t.n {
		o := &t.window[i]
		if o.Label == label && o.supports(t.event.Class, t.rule.Release) {
			count++
		}
	}
	return count
}

func (t *Tracker) step(p Phase) {
	t.event.Phase = p
	t.event.Revision++
}

// end closes the event and empties the window, so that the frames of one
// event never begin the next.
func (t *Tracker) end(at time.Time, frame uint64, reason string) Event {
	t.step(End)
	e := t.event
	e.At, e.Frame, e.Reason, e.Dwell = at, frame, reason, at.Sub(e.Started)
	t.active = false
	t.n, t.pos = 0, 0
	return e
}
