// Package health keeps the conditions of a running drone: named, with a
// severity and the time since when they hold. A condition is state, not a log
// line: raising it twice changes nothing, and it stays until it is cleared.
//
// A [Watchdog] tells whether the work itself makes progress. It is fed by the
// counters of the stages, never by a timer of its own.
package health

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Code names a condition for programs. It is stable.
type Code string

// The conditions that the daemon can raise. A model adds its name to those
// that end in a colon.
const (
	SourceStalled   Code = "source-stalled"     // no frame for longer than allowed
	SourceClosed    Code = "source-unavailable" // the source cannot be opened
	SourceEnded     Code = "source-ended"       // a file or folder has no more frames
	Fallback        Code = "provider-fallback:" // precision or provider differs from the one asked for
	InferFailing    Code = "inference-failing:" // frames fail in preprocessing or inference
	OutboxDegraded  Code = "outbox-degraded"    // alerts are kept in memory only
	OutboxDamaged   Code = "outbox-damaged"     // its file was broken; what was intact has been saved
	AlertRefused    Code = "alert-refused"      // an alert could not be encoded or kept at all
	BulkDropped     Code = "statistics-dropped" // statistics gave way to newer ones
	SnapshotFailing Code = "snapshot-failing"   // pictures of alerts are not kept
	LinkDown        Code = "link-down"          // no connection to the broker
	IndicatorFailed Code = "indicator-failed"   // the status output cannot be set
	CommandsRefused Code = "commands-refused"   // commands arrived that were not right
	NoReceipt       Code = "no-receipt"         // the broker takes alerts, and no station confirms them
	MessageDead     Code = "message-set-aside"  // the broker does not take a message
	DiskLow         Code = "disk-low"           // the disk of the outbox is nearly full
	PositionLost    Code = "position-lost"      // the position source is silent
	AlertsLost      Code = "alerts-lost"        // alerts gave way because disk and memory were full
)

// For returns the code of a condition that belongs to one model.
func (c Code) For(model string) Code { return c + Code(model) }

// Severity says how much a condition matters.
type Severity uint8

// The severities. The worst one present is the state of the drone.
const (
	OK Severity = iota
	Info
	Warning
	Alarm
)

// Condition is one thing that is wrong.
type Condition struct {
	Code     Code
	Severity Severity
	Text     string    // for people: what, and what to do
	Since    time.Time // when it was first raised
}

// Tracker holds the present conditions. It is safe for concurrent use.
type Tracker struct {
	mu      sync.Mutex
	holds   map[Code]Condition
	changed chan struct{}
}

// NewTracker returns a tracker without conditions.
func NewTracker() *Tracker {
	return &Tracker{holds: make(map[Code]Condition), changed: make(chan struct{}, 1)}
}

// Raise makes a condition hold. While it holds already, only its text and
// severity are renewed.
func (t *Tracker) Raise(code Code, severity Severity, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, held := t.holds[code]
	if held && c.Severity == severity && c.Text == text {
		return
	}
	if !held {
		c.Since = time.Now()
	}
	c.Code, c.Severity, c.Text = code, severity, text
	t.holds[code] = c
	if !held {
		t.tell()
	}
}

// Clear ends a condition.
func (t *Tracker) Clear(code Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, held := t.holds[code]; held {
		delete(t.holds, code)
		t.tell()
	}
}

// Set raises the condition when err is not nil and clears it otherwise.
func (t *Tracker) Set(code Code, severity Severity, err error) {
	if err != nil {
		t.Raise(code, severity, err.Error())
		return
	}
	t.Clear(code)
}

func (t *Tracker) tell() {
	select {
	case t.changed <- struct{}{}:
	default: // a reader has yet to look at an earlier change
	}
}

// Changed receives after conditions begin or end. It holds one signal, however
// many changes there were.
func (t *Tracker) Changed() <-chan struct{} { return t.changed }

// Conditions returns what holds now, sorted by code, and the worst severity.
func (t *Tracker) Conditions() (Severity, []Condition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	worst := OK
	list := make([]Condition, 0, len(t.holds))
	for _, c := range t.holds {
		list = append(list, c)
		worst = max(worst, c.Severity)
	}
	slices.SortFunc(list, func(a, b Condition) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return worst, list
}

// Progress counts the work one stage has done.
type Progress interface{ Load() uint64 }

// Watchdog tells whether every stage has moved since it was last asked.
type Watchdog struct {
	stages map[string]Progress
	seen   map[string]uint64
}

// NewWatchdog watches the named stages.
func NewWatchdog(stages map[string]Progress) *Watchdog {
	return &Watchdog{stages: stages, seen: make(map[string]uint64)}
}

// Stuck returns the stages that did nothing since the last call, sorted. An
// empty result is the only reason to feed a hardware or system watchdog.
func (w *Watchdog) Stuck() []string {
	var stuck []string
	for name, p := range w.stages {
		now := p.Load()
		if now == w.seen[name] {
			stuck = append(stuck, name)
		}
		w.seen[name] = now
	}
	slices.Sort(stuck)
	return stuck
}
