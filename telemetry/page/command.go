package page

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Commander sends commands to drones and knows what became of them.
type Commander interface {
	// Command makes a command durable; it is sent until the drone has answered or it
	// expires. An error that wraps ground.ErrCommand is the operator's.
	Command(ctx context.Context, fleet, drone string, verb wire.Verb, args json.RawMessage, operator string) (id int64,
		err error)
	// Orders returns the newest commands to a drone, the newest first.
	Orders(ctx context.Context, fleet, drone string, limit int) ([]store.Order, error)
}

// commandVerbs are those that have a button here. Verdicts go with their event.
func commandVerbs() []wire.Verb {
	return []wire.Verb{wire.VerbSnapshot, wire.VerbMute, wire.VerbThreshold, wire.VerbProfile}
}

const shownOrders = 8 // commands of a drone

// serveCommand takes a command and returns its number.
func (p *Page) serveCommand(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Fleet    string          `json:"fleet"`
		Drone    string          `json:"drone"`
		Verb     wire.Verb       `json:"verb"`
		Args     json.RawMessage `json:"args"`
		Operator string          `json:"operator"`
	}
	if !p.commands(w) {
		return
	}
	err := readJSON(w, r, &c)
	if err == nil && !slices.Contains(commandVerbs(), c.Verb) {
		err = errors.New("verb: not on the list")
	}
	if err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	id, err := p.opts.Commander.Command(r.Context(), c.Fleet, c.Drone, c.Verb, c.Args, strings.TrimSpace(c.Operator))
	switch {
	case errors.Is(err, ground.ErrCommand):
		sendError(w, http.StatusBadRequest, err.Error())
	case err != nil:
		sendError(w, http.StatusInternalServerError, err.Error())
	default:
		sendJSON(w, http.StatusAccepted, map[string]any{"id": id})
	}
}

// orderView is a command as the browser gets it.
type orderView struct {
	ID       int64           `json:"id"`
	Verb     string          `json:"verb"`
	Args     json.RawMessage `json:"args"`
	Operator string          `json:"operator"`
	State    string          `json:"state"` // "pending", "done", "refused", "failed" or "expired"
	Text     string          `json:"text"`
	Attempts int             `json:"attempts"`
	Created  wire.Time       `json:"created"`
	Updated  wire.Time       `json:"updated"`
}

// serveOrders tells what became of the newest commands to a drone.
func (p *Page) serveOrders(w http.ResponseWriter, r *http.Request) {
	if !p.commands(w) {
		return
	}
	q := r.URL.Query()
	orders, err := p.opts.Commander.Orders(r.Context(), q.Get("fleet"), q.Get("drone"), shownOrders)
	if err != nil {
		sendError(w, http.StatusInternalServerError, err.Error())
		return
	}
	views := make([]orderView, 0, len(orders))
	for _, o := range orders {
		views = append(views, orderView{o.ID, o.Verb, o.Args, o.Operator, o.State, o.Text, o.Attempts, o.Created, o.Updated})
	}
	sendJSON(w, http.StatusOK, map[string]any{"orders": views})
}

// commands answers when this page sends none.
func (p *Page) commands(w http.ResponseWriter) bool {
	if p.opts.Commander == nil {
		sendError(w, http.StatusNotImplemented, "this page has no station that could send commands")
		return false
	}
	return true
}

// snapshotView is the newest picture that a drone sent of what its camera sees.
type snapshotView struct {
	URL      string    `json:"url"` // relative to the page
	Width    int       `json:"width"`
	Height   int       `json:"height"`
	Captured wire.Time `json:"captured"`
}

// snapshot keeps a picture that belongs to no event.
func (d *drone) snapshot(m *wire.Picture) {
	if m.Event != "" {
		return
	}
	d.picture = m.JPEG
	d.link.Snapshot = &snapshotView{snapshotURL(d.id, m), m.Width, m.Height, m.Captured}
}

// serveSnapshot serves the newest picture of a drone.
func (p *Page) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	var body []byte
	if e, ok := p.fleet.drones[r.PathValue("fleet")+"/"+r.PathValue("drone")]; ok {
		body = e.Value.(*drone).picture
	}
	p.mu.Unlock()
	if body == nil {
		http.Error(w, errPicture.Error(), http.StatusNotFound)
		return
	}
	sendPicture(w, r, "image/jpeg", body)
}
