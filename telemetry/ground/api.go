package ground

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"emberwing/telemetry/export"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// API serves what operators' programs need, below /api/v1/, and /metrics for Prometheus.
// It does not ask who calls: put a guard in front of it where others can reach it.
func (s *Station) API() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/feed", s.serveFeed)
	mux.HandleFunc("GET /api/v1/events", s.serveEvents)
	mux.HandleFunc("GET /api/v1/events/{id}", s.serveEvent)
	mux.HandleFunc("GET /api/v1/events/{id}/picture", s.servePicture)
	mux.HandleFunc("GET /api/v1/events/{id}/export", s.serveExport)
	mux.HandleFunc("POST /api/v1/events/{id}/acknowledge", s.serveAcknowledge)
	mux.HandleFunc("GET /api/v1/drones", s.serveDrones)
	mux.HandleFunc("POST /api/v1/commands", s.serveCommand)
	mux.HandleFunc("GET /api/v1/commands/{id}", s.serveOrder)
	mux.HandleFunc("GET /api/v1/station", s.serveStation)
	mux.Handle("GET /metrics", s.metrics())
	return mux
}

const maxBody = 64 << 10 // bytes of a request

// reply writes v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a client that left needs no answer
}

// fail writes the error with the status that fits it.
func fail(w http.ResponseWriter, err error) {
	var acknowledged *store.AcknowledgedError
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, store.ErrNotFound):
		status = http.StatusNotFound
	case errors.As(err, &acknowledged):
		status = http.StatusConflict
	case errors.Is(err, export.ErrNoPosition):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, ErrVerdict), errors.Is(err, ErrOperator), errors.Is(err, ErrCommand), errors.Is(err, errRequest):
		status = http.StatusBadRequest
	}
	body := map[string]any{"error": err.Error()}
	if acknowledged != nil {
		body["verdict"] = acknowledged.Verdict
	}
	reply(w, status, body)
}

var errRequest = errors.New("bad request")

// read decodes the body of a request strictly. It wants JSON by its type, which a form of
// a foreign web site cannot send.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); t != "application/json" {
		return fmt.Errorf("%w: got content type %q, want application/json", errRequest, t)
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%w: got id %q, want a number from 1", errRequest, r.PathValue("id"))
	}
	return id, nil
}

func (s *Station) serveEvents(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r)
	if err != nil {
		fail(w, err)
		return
	}
	events, err := s.opts.Store.Events(r.Context(), q)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"events": events})
}

// parseQuery refuses what it does not know: a filter with a typing error would show too much.
func parseQuery(r *http.Request) (q store.Query, err error) {
	for key, values := range r.URL.Query() {
		v := values[0]
		switch key {
		case "fleet":
			q.Fleet = v
		case "drone":
			q.Drone = v
		case "task":
			q.Task = wire.Task(v)
		case "text":
			q.Text = v
		case "unacknowledged":
			q.Unacknowledged, err = strconv.ParseBool(v)
		case "acknowledged":
			q.Acknowledged, err = strconv.ParseBool(v)
		case "open":
			q.Open, err = strconv.ParseBool(v)
		case "since":
			q.Since, err = time.Parse(time.RFC3339, v)
		case "until":
			q.Until, err = time.Parse(time.RFC3339, v)
		case "before":
			q.Before, err = strconv.ParseInt(v, 10, 64)
		case "limit":
			q.Limit, err = strconv.Atoi(v)
		default:
			err = errors.New("unknown parameter")
		}
		if err != nil {
			return q, fmt.Errorf("%w: %s=%q: %w", errRequest, key, v, err)
		}
	}
	return q, nil
}

func (s *Station) serveEvent(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		fail(w, err)
		return
	}
	e, err := s.opts.Store.Event(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	steps, err := s.opts.Store.Steps(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"event": e, "steps": steps})
}

func (s *Station) servePicture(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		fail(w, err)
		return
	}
	body, p, err := s.opts.Store.Picture(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", p.Type)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

func (s *Station) serveExport(w http.ResponseWriter, r *http.Request) {
	format := export.Format(r.URL.Query().Get("format"))
	id, err := pathID(r)
	if err == nil && !slices.Contains(export.Formats(), format) {
		err = fmt.Errorf("%w: got format %q, want one of %v", errRequest, format, export.Formats())
	}
	if err != nil {
		fail(w, err)
		return
	}
	e, err := s.opts.Store.Event(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	body, err := export.Encode(format, &e, s.opts.Export)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", format.ContentType())
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

func (s *Station) serveAcknowledge(w http.ResponseWriter, r *http.Request) {
	var a Acknowledgement
	id, err := pathID(r)
	if err == nil {
		err = read(w, r, &a)
	}
	if err != nil {
		fail(w, err)
		return
	}
	a.Event = id
	e, err := s.Acknowledge(r.Context(), a)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"event": e})
}

func (s *Station) serveCommand(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Fleet    string          `json:"fleet"`
		Drone    string          `json:"drone"`
		Verb     wire.Verb       `json:"verb"`
		Args     json.RawMessage `json:"args"`
		Operator string          `json:"operator"`
	}
	if err := read(w, r, &c); err != nil {
		fail(w, err)
		return
	}
	id, err := s.Command(r.Context(), c.Fleet, c.Drone, c.Verb, c.Args, c.Operator)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusAccepted, map[string]any{"id": id})
}

func (s *Station) serveOrder(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		fail(w, err)
		return
	}
	o, err := s.opts.Store.Order(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, o)
}

// droneView is a drone as the API shows it.
type droneView struct {
	Fleet     string       `json:"fleet"`
	Drone     string       `json:"drone"`
	Boot      string       `json:"boot"`
	Status    *wire.Status `json:"status"`
	AgeMS     int64        `json:"age_ms"` // since the latest message, -1 when none came since the station started
	Alerts    uint64       `json:"alerts"`
	LastSeq   uint64       `json:"last_alert_seq"`
	Missing   uint64       `json:"missing"`  // alerts missing in the sequence
	GivenUp   uint64       `json:"given_up"` // of those no longer waited for
	AlertWait uint64       `json:"alerts_waiting"`
	BulkWait  uint64       `json:"bulk_waiting"`
	Health    *wire.Health `json:"health"`
	Stats     *wire.Stats  `json:"stats"`
}

func viewOf(d Drone, now time.Time) droneView {
	v := droneView{
		Fleet: d.Fleet, Drone: d.Drone, Boot: d.Boot, Status: d.Status, Alerts: d.Alerts, LastSeq: d.LastAlertSeq,
		Missing: d.Missing, GivenUp: d.GivenUp, Health: d.Health, Stats: d.Work, AgeMS: -1,
	}
	if !d.LastSeen.IsZero() {
		v.AgeMS = now.Sub(d.LastSeen).Milliseconds()
	}
	v.AlertWait, v.BulkWait = d.Depth()
	return v
}

// Depth returns how many messages wait on the drone, by the latest word about it.
func (d *Drone) Depth() (alerts, bulk uint64) {
	var latest *wire.Delivery
	if d.Health != nil {
		latest = &d.Health.Telemetry
	}
	if d.Work != nil && (d.Health == nil || d.Work.Captured.After(d.Health.Captured.Time)) {
		latest = &d.Work.Telemetry
	}
	if latest == nil {
		return 0, 0
	}
	return latest.AlertDepth, latest.BulkDepth
}

func (s *Station) serveDrones(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	views := []droneView{}
	for _, d := range s.Drones() {
		views = append(views, viewOf(d, now))
	}
	reply(w, http.StatusOK, map[string]any{"drones": views})
}

func (s *Station) serveStation(w http.ResponseWriter, r *http.Request) {
	peers := s.peers.list(time.Now())
	slices.Sort(peers)
	reply(w, http.StatusOK, map[string]any{
		"station": s.opts.Name, "key": s.PublicKey(), "epoch": s.opts.Store.Epoch(), "last": s.opts.Store.Last(),
		"stats": s.Stats(), "alarms": s.Alarms(), "stations": peers, "verdicts": wire.Verdicts(), "now": wire.At(time.Now()),
	})
}
