package ground_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"emberwing/telemetry/export"
	"emberwing/telemetry/telemetrytest"
)

// noSink is a receiver that cannot be reached.
type noSink struct{}

func (noSink) Send(context.Context, string, []byte) error { return errors.New("connection refused") }
func (noSink) Close() error                               { return nil }

func TestFailingExportsAreAnAlarm(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	r := newRig(t, b.URL(), "hill").start()
	target, err := export.ParseTarget("geojson=https://ann:secret@agency.example/in")
	if err != nil {
		t.Fatal(err)
	}
	x := &export.Exporter{Target: target, Sink: noSink{}, Feed: r.store, Changed: r.station.Changed,
		Active: func() bool { return true }, Log: telemetrytest.Quiet()}
	if err := r.store.SetMark(t.Context(), target.String(), 0); err != nil {
		t.Fatal(err)
	}
	if alarms := r.station.Alarms(); alarms == nil || len(alarms) > 0 {
		t.Errorf("got %v, want an empty list, which JSON writes as []", alarms)
	}
	r.station.Watch(x)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); x.Run(ctx) }()
	defer func() { cancel(); <-done }()
	dial(t, b.URL(), "drone-a").send(alertOf("a", "b1", 1, 0, 1))
	telemetrytest.Eventually(t, "the alarm", func() bool {
		alarms := r.station.Alarms()
		return len(alarms) == 1 && strings.HasPrefix(alarms[0].Code, "export-failing:geojson=https://ann:xxxxx@agency") &&
			strings.Contains(alarms[0].Text, "connection refused")
	})
	rec := httptest.NewRecorder()
	r.station.API().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`fate="retried",target="geojson=https://ann:xxxxx@agency.example/in"} `,
		`emberwing_ground_alarm{code="export-failing:geojson=`} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("want %s in the metrics", want)
		}
	}
	if strings.Contains(rec.Body.String(), "secret") {
		t.Error("the metrics tell the password")
	}
}

func TestRequestsMayNameTheirCharset(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	r := newRig(t, b.URL(), "hill").start()
	const order = `{"fleet":"f","drone":"a","verb":"profile","args":{"name":"narrow"},"operator":"ann"}`
	for _, c := range []struct {
		contentType, body string
		want              int
	}{
		{"application/json; charset=utf-8", order, http.StatusAccepted},
		{"application/json", order + "\n", http.StatusAccepted},
		{"application/json", order + order, http.StatusBadRequest},
		{"text/plain", order, http.StatusBadRequest},
		{"", order, http.StatusBadRequest},
	} {
		req := httptest.NewRequest(http.MethodPost, "/api/v1/commands", strings.NewReader(c.body))
		req.Header.Set("Content-Type", c.contentType)
		rec := httptest.NewRecorder()
		r.station.API().ServeHTTP(rec, req)
		if rec.Code != c.want {
			t.Errorf("%q: got %d %s, want %d", c.contentType, rec.Code, rec.Body, c.want)
		}
	}
}
