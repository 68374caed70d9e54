package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"testing"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// storedEvent is an answered event as an archive returns it.
func storedEvent(id, row int64) store.Event {
	a := alert("kite-7", fmt.Sprint("e", id), wire.PhaseUpdate, 3)
	return store.Event{
		ID: id, Row: row, Fleet: a.Fleet, Drone: a.Drone, Boot: a.Boot, Event: a.Event, Task: a.Task, Label: a.Label, Phase: a.Phase,
		Revision: 3, Steps: 4, Started: a.Started, First: wire.At(t0), Last: wire.At(t0.Add(time.Second)), Latest: a,
		Verdict: &store.Verdict{Verdict: "cloud", Operator: "Ada", At: wire.At(t0)},
		Picture: &store.Picture{Type: "image/jpeg", Width: 320, Height: 200, SHA256: "00ff00ff00ff00ff00ff"},
	}
}

// archive is a real store on disk with alerts of one drone.
func archive(t *testing.T, alerts ...*wire.Alert) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir()+"/ground.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var arrivals []store.Arrival
	for i, a := range alerts {
		a.Seq = uint64(i + 1)
		payload, err := wire.Append(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		arrivals = append(arrivals, store.Arrival{Message: a, Payload: payload, At: t0.Add(250 * time.Millisecond)})
	}
	if _, err := s.Put(t.Context(), arrivals); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoad(t *testing.T) {
	thumb := alert("kite-7", "e1", wire.PhaseBegin, 0)
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 32, 20)), nil); err != nil {
		t.Fatal(err)
	}
	thumb.Evidence.Snapshot, thumb.Evidence.Thumb = nil, picture.Bytes()
	s := archive(t, thumb, alert("kite-7", "e2", wire.PhaseBegin, 0), alert("kite-7", "e2", wire.PhaseEnd, 1))
	if _, err := s.Acknowledge(t.Context(), store.Acknowledgement{Event: 2, Verdict: "dust", Operator: "Ada",
		At: t0}); err != nil {
		t.Fatal(err)
	}
	p := New(Options{Archive: s})
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := eventsOf(t, p)
	if len(events) != 2 || events[0].Answer != nil || events[1].Answer == nil || events[1].Answer.Verdict != "dust" || events[1].Phase != wire.PhaseEnd {
		t.Fatalf("got %+v", events)
	}
	if e := events[0]; e.ID != 1 || e.Begin == nil || e.Begin.DelayMS != 1250 || len(e.Evidence.Thumb) != 0 {
		t.Errorf("got %+v", e)
	}
	if d := stateOf(t, p).Drones; len(d) != 1 || d[0].Heard == nil {
		t.Errorf("the drone is not known: %+v", d)
	}
	w := get(t, p, "/"+pathOf(events[0].Picture.URL))
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(),
		picture.Bytes()) || w.Header().Get("Content-Type") != "image/jpeg" {
		t.Errorf("picture %s: got %d %q", events[0].Picture.URL, w.Code, w.Body)
	}
	for _, none := range []string{"/picture/99", "/picture/x", "/picture/-1", "/thumb/none"} {
		if w := get(t, p, none); w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d", none, w.Code)
		}
	}
}

func pathOf(url string) string {
	for i := range url {
		if url[i] == '?' {
			return url[:i]
		}
	}
	return url
}

// TestOlderRowsChangeNothing: what was read at the start may be older than what has come since.
func TestOlderRowsChangeNothing(t *testing.T) {
	p := New(Options{})
	newer, older := storedEvent(1, 9), storedEvent(1, 5)
	older.Verdict, older.Picture = nil, nil
	p.Handle(ground.Received{Entry: &store.Entry{Row: 9, Kind: store.EntryVerdict, Event: &newer}})
	p.Handle(ground.Received{Entry: &store.Entry{Row: 5, Kind: store.EntryAlert, Event: &older}})
	e := eventsOf(t, p)[0]
	if e.Answer == nil || e.Picture == nil || e.Picture.URL != "picture/1?v=00ff00ff00ff00ff" {
		t.Errorf("an older row undid a newer one: %+v", e)
	}
}

func TestHistory(t *testing.T) {
	var alerts []*wire.Alert
	for i := range 120 {
		a := alert("kite-7", fmt.Sprintf("e%03d", i), wire.PhaseBegin, 0)
		if i%3 == 0 {
			a.Task, a.Label = wire.TaskGesture, "palm"
		}
		alerts = append(alerts, a)
	}
	p := New(Options{Archive: archive(t, alerts...)})
	var seen []string
	for next := ""; ; {
		events, more := historyOf(t, p, "/history?before="+next)
		for _, e := range events {
			seen = append(seen, e.Event)
		}
		if more == 0 {
			break
		}
		next = fmt.Sprint(more)
	}
	if len(seen) != 120 || seen[0] != "e119" || seen[119] != "e000" {
		t.Errorf("got %d events from %s to %s", len(seen), seen[0], seen[len(seen)-1])
	}
	for query, want := range map[string]int{"?text=PALM": 40, "?task=gesture": 40, "?text=e01": 10,
		"?answer=no&text=e01": 7, "?text=nothing": 0} {
		if events, _ := historyOf(t, p, "/history"+query); len(events) != want {
			t.Errorf("%s: got %d events, want %d", query, len(events), want)
		}
	}
	if w := ask(p, http.MethodGet, "/history?before=x", ""); w.Code != http.StatusBadRequest {
		t.Errorf("got %d", w.Code)
	}
}

func historyOf(t *testing.T, p *Page, target string) ([]eventView, int64) {
	t.Helper()
	var h struct {
		Events []eventView
		Next   int64
	}
	w := ask(p, http.MethodGet, target, "")
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return h.Events, h.Next
}

func TestHistoryWithoutArchive(t *testing.T) {
	p := New(Options{})
	handle(p, alert("kite-7", "e1", wire.PhaseBegin, 0), alert("kite-8", "e2", wire.PhaseBegin, 0))
	if events, next := historyOf(t, p, "/history?text=kite-8"); len(events) != 1 || events[0].Event != "e2" || next != 0 {
		t.Errorf("got %+v", events)
	}
}

// TestWaitingAlertsAreKept: what asks for nothing makes room first, and a waiting alert that
// has to go is counted.
func TestWaitingAlertsAreKept(t *testing.T) {
	p := New(Options{MaxEvents: 4})
	handle(p, alert("kite-7", "old", wire.PhaseEnd, 1))
	for i := range 3 {
		g := alert("kite-7", fmt.Sprint("g", i), wire.PhaseEnd, 1)
		g.Task, g.Label = wire.TaskGesture, "palm"
		handle(p, g)
	}
	for i := range 3 {
		handle(p, alert("kite-7", fmt.Sprint("e", i), wire.PhaseBegin, 0))
	}
	if e := eventsOf(t, p); e[0].Event != "old" || unseen(p) != 0 {
		t.Errorf("a gesture was kept in place of an alert: %+v", e)
	}
	handle(p, alert("kite-7", "one too many", wire.PhaseBegin, 0))
	if unseen(p) != 1 {
		t.Errorf("got %d, want 1", unseen(p))
	}
}

// TestUnseenAgreesWithTheArchive: events that went come back with their next step or their
// answer, and are not counted twice for it.
func TestUnseenAgreesWithTheArchive(t *testing.T) {
	var alerts []*wire.Alert
	for i := range 10 {
		alerts = append(alerts, alert("kite-7", fmt.Sprint("e", i), wire.PhaseBegin, 0))
	}
	s := archive(t, alerts...)
	p := New(Options{Archive: s, MaxEvents: 4})
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if unseen(p) != 6 {
		t.Fatalf("got %d after the load, want 6", unseen(p))
	}
	for range 2 {
		for id := range int64(10) {
			e, err := s.Event(t.Context(), id+1)
			if err != nil {
				t.Fatal(err)
			}
			p.Handle(ground.Received{Entry: &store.Entry{Event: &e}})
		}
	}
	if unseen(p) != 6 {
		t.Errorf("got %d after all came again, want 6", unseen(p))
	}
	answer, err := s.Acknowledge(t.Context(), store.Acknowledgement{Event: 1, Verdict: "dust", Operator: "Ada", At: t0})
	if err != nil {
		t.Fatal(err)
	}
	p.Handle(ground.Received{Entry: &answer})
	if got := unseen(p) + waitingOn(t, p); got != 9 {
		t.Errorf("got %d that wait, want 9", got)
	}
}

// TestUnseenCountsWhatIsNotStored: while the store fails, the archive cannot know what the
// page had to drop.
func TestUnseenCountsWhatIsNotStored(t *testing.T) {
	p := New(Options{Archive: archive(t), MaxEvents: 4})
	for i := range 7 {
		handle(p, alert("kite-7", fmt.Sprint("e", i), wire.PhaseBegin, 0))
	}
	if unseen(p) != 3 {
		t.Errorf("got %d, want 3", unseen(p))
	}
}

func waitingOn(t *testing.T, p *Page) (n int) {
	t.Helper()
	for _, e := range eventsOf(t, p) {
		if e.waits() {
			n++
		}
	}
	return n
}

func unseen(p *Page) int {
	n, _ := p.limits()
	return n
}

func TestSeriesAndTracks(t *testing.T) {
	p := New(Options{})
	for i := range maxSeries + 5 {
		m := health("kite-7")
		m.Position = &wire.Position{Lat: 44 + float64(i)/1e4, Lon: 6}
		m.Sensors = []wire.Sensor{{Name: "gpu", Kind: "temperature", Unit: "celsius", Value: 50},
			{Name: "cpu", Kind: "temperature", Unit: "celsius", Value: float64(i)}}
		handle(p, m, stats("kite-7", boot1, time.Millisecond))
	}
	var s struct{ Points []sample }
	if err := json.Unmarshal(ask(p, http.MethodGet, "/series?drone=valley/kite-7", "").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Points); n != maxSeries || *s.Points[0].Celsius != 50 || *s.Points[n-1].Celsius != maxSeries+4 {
		t.Errorf("got %d points, first %+v", n, s.Points[0])
	}
	var k struct{ Tracks map[string][][2]float64 }
	if err := json.Unmarshal(ask(p, http.MethodGet, "/tracks", "").Body.Bytes(), &k); err != nil {
		t.Fatal(err)
	}
	if track := k.Tracks["valley/kite-7"]; len(track) != maxTrack || track[maxTrack-1][0] != 44+float64(maxSeries+4)/1e4 {
		t.Errorf("got %d positions", len(track))
	}
	if w := ask(p, http.MethodGet, "/series?drone=none", ""); w.Body.String() != "{\"points\":[]}\n" {
		t.Errorf("got %s", w.Body)
	}
}

var _ Archive = (*store.Store)(nil)

func TestStationSpeaks(t *testing.T) {
	p := New(Options{Station: func() Condition { return Condition{} }})
	if c := p.condition(); c.Connected || c.Alarms == nil {
		t.Errorf("got %+v", c)
	}
}
