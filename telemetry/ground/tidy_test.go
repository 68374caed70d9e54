package ground_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
)

// A station keeps its store within the limits by a clock that the test moves: what is
// acknowledged goes, what is not stays and is an alarm when that is too much.
func TestStationTidiesItsStore(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	var later atomic.Int64
	r := newRig(t, b.URL(), "hill")
	r.change = func(o *ground.StationOptions) {
		o.Keep = store.Limits{Events: 30 * 24 * time.Hour, Bytes: 512 << 10}
		o.Tidy = 5 * time.Millisecond
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}
	r.start()
	drone := dial(t, b.URL(), "drone-a")
	for n := 1; n <= 4; n++ {
		drone.send(alertOf("a", "b1", n, 0, uint64(n)))
	}
	r.until("four alerts", func(s ground.StationStats) bool { return s.Stored == 4 })
	for _, id := range []int{1, 2} {
		r.api("POST", fmt.Sprintf("/api/v1/events/%d/acknowledge", id), `{"verdict":"cloud","operator":"ann"}`,
			http.StatusOK, nil)
	}
	drone.send(alertOf("a", "b1", 5, 0, 5))
	r.until("five alerts", func(s ground.StationStats) bool { return s.Stored == 5 })
	if s := r.station.Stats(); s.Removed.Events != 0 {
		t.Fatalf("got %+v removed too early", s.Removed)
	}
	later.Store(int64(31 * 24 * time.Hour))
	// The drone never took the commands, so they are pending until they are given up.
	telemetrytest.Eventually(t, "both events are removed once their commands are given up", func() bool {
		for _, id := range []int64{1, 2} {
			if err := r.store.EndOrder(t.Context(), id, store.OrderExpired, "", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		return r.station.Stats().Removed.Events == 2
	})
	var page struct{ Events []store.Event }
	if r.api("GET", "/api/v1/events", "", http.StatusOK, &page); len(page.Events) != 3 {
		t.Errorf("got %d events, want the 3 that nobody acknowledged", len(page.Events))
	}
	if got := r.metrics(); !strings.Contains(got, `emberwing_ground_store_removed_total{what="event"} 2`) {
		t.Errorf("got metrics without the two removed events: %s", got)
	}
	for n := 6; n < 900; n++ {
		drone.send(alertOf("a", "b1", n, 0, uint64(n)))
	}
	r.until("all of them", func(s ground.StationStats) bool { return s.Stored == 5+894 })
	telemetrytest.Eventually(t, "too many unacknowledged alerts are an alarm", func() bool {
		return strings.Contains(r.metrics(), `emberwing_ground_alarm{code="store-limit"} 1`)
	})
	if r.api("GET", "/api/v1/events?limit=5000", "", http.StatusOK, &page); len(page.Events) != 3+894 {
		t.Errorf("got %d events, want all that nobody acknowledged", len(page.Events))
	}
}

func (r *rig) metrics() string {
	rec := httptest.NewRecorder()
	r.station.API().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}
