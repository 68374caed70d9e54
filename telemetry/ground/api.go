package ground

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
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
	mux.Handle("GET /api/v1/events", answers(http.StatusOK, s.events))
	mux.Handle("GET /api/v1/events/{id}", answersFor(s.event))
	mux.Handle("GET /api/v1/events/{id}/picture", answersFor(s.picture))
	mux.Handle("GET /api/v1/events/{id}/export", answersFor(s.export))
	mux.Handle("POST /api/v1/events/{id}/acknowledge", answersFor(s.acknowledge))
	mux.Handle("GET /api/v1/drones", answers(http.StatusOK, s.drones))
	mux.Handle("POST /api/v1/commands", answers(http.StatusAccepted, s.command))
	mux.Handle("GET /api/v1/commands/{id}", answersFor(s.order))
	mux.Handle("GET /api/v1/station", answers(http.StatusOK, s.about))
	mux.Handle("GET /metrics", s.metrics())
	return mux
}

// file is an answer that is not JSON.
type file struct {
	contentType string
	body        []byte
}

// answers makes a handler of a function that returns what is sent with that status, as JSON
// unless it is a file, or an error.
func answers(status int, f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			fail(w, err)
			return
		}
		if plain, ok := v.(file); ok {
			w.Header().Set("Content-Type", plain.contentType)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(plain.body) // a client that left needs no answer
			return
		}
		reply(w, status, v)
	})
}

// answersFor is answers with the number in the path.
func answersFor(f func(*http.Request, int64) (any, error)) http.Handler {
	return answers(http.StatusOK, func(r *http.Request) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("%w: got id %q, want a number from 1", errRequest, r.PathValue("id"))
		}
		return f(r, id)
	})
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
func read(r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); !isJSON(t) {
		return fmt.Errorf("%w: got content type %q, want application/json", errRequest, t)
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more follows the JSON object", errRequest)
	}
	return nil
}

// isJSON accepts the type with parameters, such as charset=utf-8, which many clients add.
func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}

func (s *Station) events(r *http.Request) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	events, err := s.opts.Store.Events(r.Context(), q)
	return map[string]any{"events": events}, err
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

func (s *Station) event(r *http.Request, id int64) (any, error) {
	e, err := s.opts.Store.Event(r.Context(), id)
	if err != nil {
		return nil, err
	}
	steps, err := s.opts.Store.Steps(r.Context(), id)
	return map[string]any{"event": e, "steps": steps}, err
}

func (s *Station) picture(r *http.Request, id int64) (any, error) {
	body, p, err := s.opts.Store.Picture(r.Context(), id)
	return file{p.Type, body}, err
}

func (s *Station) export(r *http.Request, id int64) (any, error) {
	format := export.Format(r.URL.Query().Get("format"))
	if !slices.Contains(export.Formats(), format) {
		return nil, fmt.Errorf("%w: got format %q, want one of %v", errRequest, format, export.Formats())
	}
	e, err := s.opts.Store.Event(r.Context(), id)
	if err != nil {
		return nil, err
	}
	body, err := export.Encode(format, &e, s.opts.Export)
	return file{format.ContentType(), body}, err
}

func (s *Station) acknowledge(r *http.Request, id int64) (any, error) {
	var a Acknowledgement
	if err := read(r, &a); err != nil {
		return nil, err
	}
	a.Event = id
	e, err := s.Acknowledge(r.Context(), a)
	return map[string]any{"event": e}, err
}

func (s *Station) command(r *http.Request) (any, error) {
	var c struct {
		Fleet    string          `json:"fleet"`
		Drone    string          `json:"drone"`
		Verb     wire.Verb       `json:"verb"`
		Args     json.RawMessage `json:"args"`
		Operator string          `json:"operator"`
	}
	if err := read(r, &c); err != nil {
		return nil, err
	}
	id, err := s.Command(r.Context(), c.Fleet, c.Drone, c.Verb, c.Args, c.Operator)
	return map[string]any{"id": id}, err
}

func (s *Station) order(r *http.Request, id int64) (any, error) {
	return s.opts.Store.Order(r.Context(), id)
}

// droneView is a drone as the API shows it.
type droneView struct {
	Fleet     string       `json:"fleet"`
	Drone     string       `json:"drone"`
	Boot      string       `json:"boot"`
	Status    *wire.Status `json:"status"`
	AgeMS     int64        `json:"age_ms"` // since the latest message, -1 when that is not known
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
	if age := d.age(now); age >= 0 {
		v.AgeMS = age.Milliseconds()
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

func (s *Station) drones(*http.Request) (any, error) {
	now := time.Now()
	views := []droneView{}
	for _, d := range s.Drones() {
		views = append(views, viewOf(d, now))
	}
	return map[string]any{"drones": views}, nil
}

func (s *Station) about(*http.Request) (any, error) {
	peers := s.peers.list(time.Now())
	slices.Sort(peers)
	return map[string]any{
		"station": s.opts.Name, "key": s.PublicKey(), "epoch": s.opts.Store.Epoch(), "last": s.opts.Store.Last(),
		"stats": s.Stats(), "alarms": s.Alarms(), "stations": peers, "verdicts": wire.Verdicts(), "now": wire.At(time.Now()),
	}, nil
}
