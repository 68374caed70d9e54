package page

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// stepView is one alert of an event.
type stepView struct {
	Phase    wire.Phase `json:"phase"`
	Revision int        `json:"revision"`
	Captured wire.Time  `json:"captured"`
	Received wire.Time  `json:"received"`
	DelayMS  int64      `json:"delay_ms"` // capture to arrival by the clocks of both ends; negative when they disagree
}

// pictureView is the snapshot that shows best why an event was raised.
type pictureView struct {
	URL        string    `json:"url"` // relative to the page; "" when the reference is not a file that can be served
	Ref        string    `json:"ref"`
	Width      int       `json:"width"`  // pixels
	Height     int       `json:"height"` // pixels
	Captured   wire.Time `json:"captured"`
	Calibrated float64   `json:"calibrated"` // score of this picture, 0..1
	sha256     string
}

// answerView is what an operator said an event is.
type answerView struct {
	Verdict  string    `json:"verdict"`
	Operator string    `json:"operator"`
	Note     string    `json:"note"`
	At       wire.Time `json:"at"`
	Delivery string    `json:"delivery"` // of the command to the drone: "", "pending", "done", "refused" or "failed"
}

// eventView is an event in its latest known form.
type eventView struct {
	ID       int64            `json:"id"` // in the archive; 0 when it is in none
	Key      string           `json:"key"`
	Answer   *answerView      `json:"ack"` // null until somebody answers
	Exercise bool             `json:"exercise"`
	Muted    bool             `json:"muted"`
	Fleet    string           `json:"fleet"`
	Drone    string           `json:"drone"`
	Boot     string           `json:"boot"`
	Event    string           `json:"event"`
	Task     wire.Task        `json:"task"`
	Label    string           `json:"label"`
	Phase    wire.Phase       `json:"phase"`
	Revision int              `json:"revision"`
	Steps    int              `json:"steps"`   // alerts received
	CutOff   bool             `json:"cut_off"` // the drone restarted before the end was received
	Late     bool             `json:"late"`    // the latest alert had waited on the drone
	Clock    wire.ClockSource `json:"clock"`
	Started  wire.Time        `json:"started"`
	Ended    wire.Time        `json:"ended,omitzero"`
	Begin    *stepView        `json:"begin"` // null when the alert that began the event was not received
	Last     stepView         `json:"last"`
	Evidence wire.Evidence    `json:"evidence"` // without its thumbnail
	Picture  *pictureView     `json:"picture"`
	row      int64            // latest of the archive's feed that went in
}

// waits tells whether an operator still has to say something.
func (v *eventView) waits() bool { return v.Task == wire.TaskFire && v.Answer == nil }

type event struct {
	key   string
	drone string
	view  eventView
	thumb []byte // JPEG; must not be changed
}

// events are kept in the order in which they became known.
type events struct {
	max     int
	byKey   map[string]*event
	ordered []*event
}

func (f *fleet) alert(d *drone, a *wire.Alert, r ground.Received) {
	step := stepOf(a, wire.At(r.At))
	d.delays.Record(r.At.Round(0).Sub(a.Captured.Time))
	e := f.event(d, a)
	v := &e.view
	newest := v.Steps == 0 || a.Revision > v.Revision
	v.Steps++
	if a.Phase == wire.PhaseBegin {
		v.Begin = &step
	}
	if newest {
		v.advance(a, step)
	}
	e.choosePicture(a)
	d.moved(a.Evidence.Position, a.Evidence.View)
	if r.Entry != nil && r.Entry.Event != nil {
		v.archived(r.Entry.Event)
	}
	f.markCutOff(e, d.link.Boot)
	f.board.put(key{kindEvent, e.key}, v)
}

// stored takes in an event as the archive knows it.
func (f *fleet) stored(s *store.Event) {
	if s.Latest == nil || s.Latest.Validate() != nil {
		return
	}
	d := f.drone(s.Latest.Head(), true)
	e := f.event(d, s.Latest)
	v := &e.view
	if v.row > s.Row {
		return
	}
	if v.Steps == 0 || s.Revision > v.Revision {
		v.advance(s.Latest, stepOf(s.Latest, s.Last))
		e.choosePicture(s.Latest)
	}
	if v.Begin == nil && s.Steps > s.Revision { // all of them were received
		v.Begin = &stepView{
			Phase: wire.PhaseBegin, Captured: s.Started, Received: s.First,
			DelayMS: s.First.Sub(s.Started.Time).Milliseconds(),
		}
	}
	v.archived(s)
	f.markCutOff(e, d.link.Boot)
	f.board.put(key{kindEvent, e.key}, v)
}

// archived notes what only the archive knows.
func (v *eventView) archived(s *store.Event) {
	v.ID, v.row, v.Steps = s.ID, s.Row, max(v.Steps, s.Steps)
	v.Answer = nil
	if k := s.Verdict; k != nil {
		v.Answer = &answerView{k.Verdict, k.Operator, k.Note, k.At, k.Delivery}
	}
	if p := s.Picture; p != nil {
		at := pictureView{Captured: v.Last.Captured, Calibrated: v.Evidence.Calibrated}
		if v.Picture != nil {
			at = *v.Picture
		}
		at.URL, at.Width, at.Height = fmt.Sprintf("%s%d?v=%.16s", archivePrefix, s.ID, p.SHA256), p.Width, p.Height
		v.Picture = &at
	}
}

func stepOf(a *wire.Alert, received wire.Time) stepView {
	return stepView{
		Phase: a.Phase, Revision: a.Revision, Captured: a.Captured, Received: received,
		DelayMS: received.Sub(a.Captured.Time).Milliseconds(),
	}
}

// advance makes the latest step the state of the event.
func (v *eventView) advance(a *wire.Alert, step stepView) {
	v.Label, v.Phase, v.Revision, v.Late, v.Clock = a.Label, a.Phase, a.Revision, a.Late, a.Clock
	v.Started, v.Ended, v.Last, v.Evidence = a.Started, a.Ended, step, a.Evidence
	v.Exercise, v.Muted, v.Evidence.Thumb = a.Exercise, a.Muted, nil
	if v.Evidence.Scores == nil {
		v.Evidence.Scores = wire.Scores{}
	}
}

// choosePicture keeps the picture with the highest score. That of an end shows what is
// no longer there, so it serves only when there is no other.
func (e *event) choosePicture(a *wire.Alert) {
	v := &e.view
	s, thumb := a.Evidence.Snapshot, a.Evidence.Thumb
	if s == nil && thumb == nil {
		return
	}
	if v.Picture != nil && (a.Phase == wire.PhaseEnd || a.Evidence.Calibrated < v.Picture.Calibrated) {
		return
	}
	p := &pictureView{Captured: a.Captured, Calibrated: a.Evidence.Calibrated}
	if s != nil {
		p.URL, p.Ref, p.Width, p.Height, p.sha256 = pictureURL(s.Ref), s.Ref, s.Width, s.Height, s.SHA256
	}
	if thumb != nil {
		sum := sha256.Sum256(thumb)
		e.thumb, p.URL = thumb, (&url.URL{Path: thumbPrefix + e.key}).EscapedPath()+"?v="+hex.EncodeToString(sum[:4])
	}
	v.Picture = p
}

// markCutOff notes whether an active event belongs to an earlier run of the daemon.
func (f *fleet) markCutOff(e *event, boot string) {
	cut := boot != "" && e.view.Boot != boot && e.view.Phase != wire.PhaseEnd
	if cut != e.view.CutOff {
		e.view.CutOff = cut
		f.board.put(key{kindEvent, e.key}, &e.view)
	}
}

// event returns the event of an alert, and makes room for it if it is new.
func (f *fleet) event(d *drone, a *wire.Alert) *event {
	k := d.id + "/" + a.Boot + "/" + a.Event
	if e, ok := f.events.byKey[k]; ok {
		return e
	}
	if len(f.events.ordered) >= f.events.max {
		f.forgetEvent()
	}
	e := &event{key: k, drone: d.id, view: eventView{
		Key: k, Fleet: a.Fleet, Drone: a.Drone, Boot: a.Boot, Event: a.Event, Task: a.Task,
	}}
	f.events.byKey[k] = e
	f.events.ordered = append(f.events.ordered, e)
	return e
}

// forgetEvent drops an event of the drone that has most of them: a drone that floods the
// feed drives out nobody's events but its own. The oldest that asks for nothing goes
// first, then the oldest that has ended, then the oldest.
func (f *fleet) forgetEvent() {
	busiest := f.events.busiest()
	wanted := []func(*event) bool{
		func(e *event) bool { return !e.view.waits() && e.view.Phase == wire.PhaseEnd },
		func(e *event) bool { return e.view.Phase == wire.PhaseEnd },
		func(*event) bool { return true },
	}
	for _, may := range wanted {
		i := slices.IndexFunc(f.events.ordered, func(e *event) bool { return e.drone == busiest && may(e) })
		if i >= 0 {
			f.dropEvent(i)
			return
		}
	}
}

func (f *fleet) dropEvent(i int) {
	e := f.events.ordered[i]
	f.events.ordered = slices.Delete(f.events.ordered, i, i+1)
	delete(f.events.byKey, e.key)
	f.forgotten++
	if e.view.waits() {
		f.unseen++
		if e.view.ID == 0 {
			f.unstored++
		}
	}
	f.board.remove(key{kindEvent, e.key})
}

// busiest returns the drone with most events.
func (s *events) busiest() (drone string) {
	count := make(map[string]int)
	for _, e := range s.ordered {
		count[e.drone]++
		if count[e.drone] > count[drone] {
			drone = e.drone
		}
	}
	return drone
}

// picture returns what a remembered event says about the picture that it names ref.
func (f *fleet) picture(ref string) (pictureView, bool) {
	for _, e := range slices.Backward(f.events.ordered) {
		if p := e.view.Picture; p != nil && p.Ref == ref && p.URL != "" {
			return *p, true
		}
	}
	return pictureView{}, false
}
