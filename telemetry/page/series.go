package page

import (
	"net/http"
	"time"

	"emberwing/telemetry/wire"
)

// Limits of what is kept of the past of one drone.
const (
	maxSeries = 600 // samples, one a period of statistics
	maxTrack  = 500 // positions
)

// ring keeps the latest values.
type ring[T any] struct {
	values []T
	next   int // oldest, once it is full
}

func (r *ring[T]) len() int { return len(r.values) }

// last returns the newest value of a ring that is not empty.
func (r *ring[T]) last() T { return r.values[(r.next+len(r.values)-1)%len(r.values)] }

// add forgets the oldest value when there are limit of them.
func (r *ring[T]) add(v T, limit int) {
	if len(r.values) < limit {
		r.values = append(r.values, v)
		return
	}
	r.values[r.next] = v
	r.next = (r.next + 1) % len(r.values)
}

// list returns a copy, oldest first, never nil.
func (r *ring[T]) list() []T {
	return append(append(make([]T, 0, len(r.values)), r.values[r.next:]...), r.values[:r.next]...)
}

// sample is one period of a drone, for the charts.
type sample struct {
	At         int64    `json:"t"` // arrival, seconds since 1970
	DecideP50  *float64 `json:"decide_p50"`
	DecideP99  *float64 `json:"decide_p99"` // capture to decision, ms; null without frames
	FPS        float64  `json:"fps"`
	AlertDepth uint64   `json:"alert_depth"`
	BulkDepth  uint64   `json:"bulk_depth"`
	Celsius    *float64 `json:"celsius"` // hottest sensor; null when not known
}

func sampleOf(v *statsView, celsius *float64) sample {
	s := sample{At: v.Received.Unix(), FPS: v.FPS, AlertDepth: v.Telemetry.AlertDepth, BulkDepth: v.Telemetry.BulkDepth,
		Celsius: celsius}
	for i := range v.Stages {
		if p := &v.Stages[i].Period; v.Stages[i].Name == "capture-decision" && p.Count > 0 {
			s.DecideP50, s.DecideP99 = inMS(p.P50), inMS(p.P99)
		}
	}
	return s
}

func inMS(d time.Duration) *float64 {
	ms := float64(d) / float64(time.Millisecond)
	return &ms
}

// hottest returns the highest temperature, °C, nil when there is none.
func hottest(sensors []wire.Sensor) (celsius *float64) {
	for i := range sensors {
		if s := &sensors[i]; s.Unit == "celsius" && (celsius == nil || s.Value > *celsius) {
			celsius = &s.Value
		}
	}
	return celsius
}

// serveSeries returns the samples of one drone, oldest first.
func (p *Page) serveSeries(w http.ResponseWriter, r *http.Request) {
	points := []sample{}
	p.mu.Lock()
	if e, ok := p.fleet.drones[r.URL.Query().Get("drone")]; ok {
		points = e.Value.(*drone).series.list()
	}
	p.mu.Unlock()
	sendJSON(w, http.StatusOK, map[string]any{"points": points})
}

// serveTracks returns where the drones have been, oldest first.
func (p *Page) serveTracks(w http.ResponseWriter, _ *http.Request) {
	tracks := make(map[string][][2]float64)
	p.mu.Lock()
	for id, e := range p.fleet.drones {
		if d := e.Value.(*drone); d.track.len() > 0 {
			tracks[id] = d.track.list()
		}
	}
	p.mu.Unlock()
	sendJSON(w, http.StatusOK, map[string]any{"tracks": tracks})
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(v), '\n')) // a browser that left needs no answer
}
