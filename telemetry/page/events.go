package page

import (
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"emberwing/telemetry/ground"
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

// eventView is an event in its latest known form.
type eventView struct {
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
	Evidence wire.Evidence    `json:"evidence"`
	Picture  *pictureView     `json:"picture"`
}

type event struct {
	key   string
	drone string
	view  eventView
}

// events are kept in the order in which they became known.
type events struct {
	max     int
	byKey   map[string]*event
	ordered []*event
}

func (f *fleet) alert(d *drone, a *wire.Alert, r ground.Received) {
	step := stepOf(a, r)
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
	v.choosePicture(a)
	f.markCutOff(e, d.link.Boot)
	f.board.put(key{kindEvent, e.key}, v)
}

func stepOf(a *wire.Alert, r ground.Received) stepView {
	return stepView{
		Phase: a.Phase, Revision: a.Revision, Captured: a.Captured, Received: wire.At(r.At),
		DelayMS: wire.At(r.At).Sub(a.Captured.Time).Milliseconds(),
	}
}

// advance makes the latest step the state of the event.
func (v *eventView) advance(a *wire.Alert, step stepView) {
	v.Label, v.Phase, v.Revision, v.Late, v.Clock = a.Label, a.Phase, a.Revision, a.Late, a.Clock
	v.Started, v.Ended, v.Last, v.Evidence = a.Started, a.Ended, step, a.Evidence
	if v.Evidence.Scores == nil {
		v.Evidence.Scores = wire.Scores{}
	}
}

// choosePicture keeps the picture with the highest score. That of an end shows what is
// no longer there, so it serves only when there is no other.
func (v *eventView) choosePicture(a *wire.Alert) {
	s := a.Evidence.Snapshot
	if s == nil || v.Picture != nil && (a.Phase == wire.PhaseEnd || a.Evidence.Calibrated < v.Picture.Calibrated) {
		return
	}
	v.Picture = &pictureView{
		URL: pictureURL(s.Ref), Ref: s.Ref, Width: s.Width, Height: s.Height,
		Captured: a.Captured, Calibrated: a.Evidence.Calibrated, sha256: s.SHA256,
	}
}

// pictureURL returns the relative address of a picture, "" when ref is not the plain
// name of a picture file.
func pictureURL(ref string) string {
	if pictureType(ref) == "" {
		return ""
	}
	return (&url.URL{Path: picturePrefix + ref}).EscapedPath()
}

const picturePrefix = "pictures/"

// pictureType returns the content type by the name of a file, "" when the name is none
// that may be served: only relative names without hidden or parent folders.
func pictureType(ref string) string {
	hidden := strings.HasPrefix(ref, ".") || strings.Contains(ref, "/.")
	if !fs.ValidPath(ref) || hidden || strings.ContainsAny(ref, "\\:") {
		return ""
	}
	switch strings.ToLower(path.Ext(ref)) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	}
	return ""
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
	e := &event{key: k, drone: d.id, view: eventView{Fleet: a.Fleet, Drone: a.Drone, Boot: a.Boot, Event: a.Event, Task: a.Task}}
	f.events.byKey[k] = e
	f.events.ordered = append(f.events.ordered, e)
	return e
}

// forgetEvent drops the oldest event of the drone that has most of them, an ended one if
// there is one: a drone that floods the feed drives out nobody's events but its own.
func (f *fleet) forgetEvent() {
	count := make(map[string]int)
	var busiest string
	for _, e := range f.events.ordered {
		count[e.drone]++
		if count[e.drone] > count[busiest] {
			busiest = e.drone
		}
	}
	i := slices.IndexFunc(f.events.ordered, func(e *event) bool { return e.drone == busiest && e.view.Phase == wire.PhaseEnd })
	if i < 0 {
		i = slices.IndexFunc(f.events.ordered, func(e *event) bool { return e.drone == busiest })
	}
	e := f.events.ordered[i]
	f.events.ordered = slices.Delete(f.events.ordered, i, i+1)
	delete(f.events.byKey, e.key)
	f.forgotten++
	f.board.remove(key{kindEvent, e.key})
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
