package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"emberwing/firmware/metrics"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

type drone struct {
	health *wire.Health
	stage  latency.Histogram
}

func (d *drone) Health() *wire.Health    { return d.health }
func (d *drone) Frames() wire.Frames     { return wire.Frames{Captured: 30, Inferred: 29, Replaced: 1} }
func (d *drone) Delivery() wire.Delivery { return wire.Delivery{Queued: 5, AlertDepth: 2, Dead: 1} }
func (d *drone) Link() wire.LinkState    { return wire.LinkState{Connected: true, Generation: 3} }
func (d *drone) Latencies() map[string]*latency.Histogram {
	return map[string]*latency.Histogram{"infer": &d.stage}
}

func scrape(t *testing.T, d metrics.Drone) string {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(d).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestEverythingIsShown(t *testing.T) {
	d := &drone{health: &wire.Health{
		Conditions: []wire.Condition{{Code: "link-down", Severity: wire.SeverityWarning}},
		Sensors:    []wire.Sensor{{Name: "cpu", Kind: "temperature", Unit: "celsius", Value: 41.5}, {Name: "cpu", Kind: "temperature", Unit: "celsius", Value: 42}},
		Memory:     &wire.Memory{TotalBytes: 4 << 30}, Disk: &wire.Disk{FreeBytes: 1 << 30}, Position: &wire.Position{Lat: 46.5},
	}}
	d.stage.Record(8 * time.Millisecond)
	got := scrape(t, d)
	for _, want := range []string{
		`emberwing_frames_total{fate="inferred"} 29`, `emberwing_messages_waiting{lane="alerts"} 2`, `emberwing_messages_total{fate="set_aside"} 1`,
		`emberwing_link_connected 1`, `emberwing_link_connections_total 3`, `emberwing_condition{code="link-down",severity="warning"} 1`,
		`emberwing_sensor{kind="temperature",name="cpu",unit="celsius"} 41.5`, `emberwing_memory_bytes{what="total"} 4.294967296e+09`,
		`emberwing_disk_bytes{what="free"} 1.073741824e+09`, `emberwing_position{what="latitude_degrees"} 46.5`,
		`emberwing_stage_seconds_count{stage="infer"} 1`, "process_resident_memory_bytes", "go_goroutines",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestBeforeTheFirstHealthMessage(t *testing.T) {
	if got := scrape(t, &drone{}); !strings.Contains(got, "emberwing_link_connected 1") {
		t.Errorf("got %s", got)
	}
}
