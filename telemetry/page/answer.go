package page

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// verdictView is a verdict as operators are offered it.
type verdictView struct {
	ID   wire.Verdict `json:"id"`
	Text string       `json:"text"`
	Hint string       `json:"hint"`
}

// verdicts lists the verdicts of the schema with their words.
func verdicts() []verdictView {
	words := map[wire.Verdict][2]string{
		wire.VerdictFire:       {"Fire", "a fire that nobody wanted"},
		wire.VerdictSmokeOther: {"Other smoke", "smoke of something allowed: a stack, a campfire"},
		wire.VerdictCloud:      {"Cloud", "cloud, fog or haze"},
		wire.VerdictDust:       {"Dust", "dust of a road, a field or a works"},
		wire.VerdictGlare:      {"Sun glare", "the sun or its light in the lens"},
		wire.VerdictLights:     {"Lights", "lamps, vehicles, windows"},
		wire.VerdictReflection: {"Reflection", "light thrown back by water, glass or metal"},
		wire.VerdictExercise:   {"Exercise", "a drill"},
		wire.VerdictOther:      {"Something else", "something that is not on the list"},
		wire.VerdictUnknown:    {"Cannot tell", "seen, and left open"},
	}
	list := make([]verdictView, 0, len(words))
	for _, v := range wire.Verdicts() {
		text, ok := words[v]
		if !ok {
			text[0] = string(v)
		}
		list = append(list, verdictView{v, text[0], text[1]})
	}
	return list
}

var errBadAnswer = errors.New("request is not usable")

// serveAnswer takes the answer to one event and returns the event as it is then.
func (p *Page) serveAnswer(w http.ResponseWriter, r *http.Request) {
	if p.opts.Answer == nil {
		sendError(w, http.StatusNotImplemented, "this page has no store, so events cannot be answered here")
		return
	}
	a, err := readAnswer(w, r)
	if err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	event, err := p.opts.Answer(r.Context(), a)
	switch {
	case errors.Is(err, store.ErrNotFound):
		sendError(w, http.StatusNotFound, "no such event")
	case errors.Is(err, context.Canceled):
	case err != nil:
		sendError(w, http.StatusConflict, err.Error())
	default:
		p.change(func(f *fleet) { f.stored(&event) })
		sendJSON(w, http.StatusOK, map[string]any{"row": event.Row})
	}
}

// readJSON decodes the body of a request strictly. It wants JSON by its type, which a form of
// a foreign web site cannot send.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return errors.New("send it as application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.Join(errBadAnswer, err)
	}
	return nil
}

func readAnswer(w http.ResponseWriter, r *http.Request) (a Answer, err error) {
	if err := readJSON(w, r, &a); err != nil {
		return a, err
	}
	a.Operator, a.Note = strings.TrimSpace(a.Operator), strings.TrimSpace(a.Note)
	switch {
	case a.Event <= 0:
		return a, errors.New("id: want the number of an event")
	case !slices.Contains(wire.Verdicts(), a.Verdict):
		return a, errors.New("verdict: not on the list")
	case len(a.Operator) > wire.MaxName || len(a.Note) > wire.MaxText:
		return a, errors.New("operator or note: too long")
	}
	return a, nil
}

func sendError(w http.ResponseWriter, status int, text string) {
	sendJSON(w, status, map[string]string{"error": text})
}

// condition returns what the station says of itself, nil when it says nothing.
func (p *Page) condition() *Condition {
	if p.opts.Station == nil {
		return nil
	}
	c := p.opts.Station()
	c.Alarms = listOf(c.Alarms)
	return &c
}

// limits says what this page could not hold: events that wait for an answer, and the
// number of drones beyond which those not heard for longest were dropped, 0 if none was.
func (p *Page) limits() (unseen, crowded int) {
	l := p.left()
	if l.dropped == 0 || p.opts.Archive == nil {
		return l.dropped, l.crowded
	}
	// One that was dropped may have been answered since, or have come back: the archive
	// knows, save what is between its disk and this page just now, so it only lowers.
	ctx, cancel := context.WithTimeout(context.Background(), pingEvery)
	defer cancel()
	waiting, err := p.opts.Archive.Waiting(ctx, wire.TaskFire)
	if err != nil {
		return l.dropped, l.crowded
	}
	return min(l.dropped, max(0, waiting-l.held)+l.unstored), l.crowded
}

// left is what the limits have left of the events that wait, and of the drones.
type left struct {
	dropped  int // times that an event was
	unstored int // of them, those that the archive did not have
	held     int // on the page and in the archive
	crowded  int // drones at most, 0 when none was dropped
}

func (p *Page) left() left {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := left{dropped: p.fleet.unseen, unstored: p.fleet.unstored}
	for _, e := range p.fleet.events.ordered {
		if e.view.waits() && e.view.ID > 0 {
			l.held++
		}
	}
	if p.fleet.crowded {
		l.crowded = p.opts.MaxDrones
	}
	return l
}
