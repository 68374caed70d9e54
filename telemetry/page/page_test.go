package page

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

const boot1, boot2 = "0123456789abcdef", "fedcba9876543210"

func header(kind wire.Kind, drone, boot string) wire.Header {
	return wire.Header{V: wire.Version, Kind: kind, Fleet: "valley", Drone: drone, Boot: boot, Seq: 1,
		Captured: wire.At(t0), Clock: wire.ClockGPS}
}

func model() wire.Model {
	return wire.Model{Name: "fire", SHA256: strings.Repeat("0af9", 16), RequestedPrecision: "int8",
		EffectivePrecision: "fp32",
		RequestedProvider:  "tensorrt", EffectiveProvider: "cpu", Fallback: "libnvinfer.so.10 not found"}
}

func alert(drone, event string, phase wire.Phase, revision int) *wire.Alert {
	a := &wire.Alert{
		Header: header(wire.KindAlert, drone, boot1), Event: event, Task: wire.TaskFire, Phase: phase, Revision: revision,
		Label: "smoke", Started: wire.At(t0.Add(-time.Second)),
		Evidence: wire.Evidence{Agree: 6, Window: 8, Score: 0.91, Calibrated: 0.87, Peak: 0.9, Threshold: 0.6, Release: 0.4,
			DwellMS: 1000,
			Scores:  wire.Scores{{Label: "nofire", Score: 0.13}, {Label: "smoke", Score: 0.87}}, Model: model(),
			Snapshot: &wire.Snapshot{Ref: fmt.Sprintf("snap/%s-%d.jpg", event, revision), Width: 64, Height: 48}},
	}
	if phase == wire.PhaseEnd {
		a.Ended = wire.At(t0)
	}
	return a
}

func status(drone, boot string, state wire.StatusState) *wire.Status {
	return &wire.Status{Header: header(wire.KindStatus, drone, boot), State: state, Generation: 1,
		Software: "emberwing 0.1.0", Board: "jetson-nano", Started: wire.At(t0)}
}

func stats(drone, boot string, delays ...time.Duration) *wire.Stats {
	var h latency.Histogram
	for _, d := range delays {
		h.Record(d)
	}
	return &wire.Stats{Header: header(wire.KindStats, drone, boot), PeriodMS: 1000, FPS: 15,
		Frames: wire.Frames{Captured: 15, Replaced: 1, Inferred: 14},
		Stages: []wire.Stage{{Name: "infer", Histogram: h.Wire()}}}
}

func health(drone string) *wire.Health {
	return &wire.Health{Header: header(wire.KindHealth, drone, boot1), State: wire.HealthAlarm,
		Conditions: []wire.Condition{{Code: "provider-fallback", Severity: wire.SeverityAlarm,
			Text: "asked for TensorRT, runs on cpu", Since: wire.At(t0)}},
		Source: &wire.SourceState{Name: "csi0", State: "ok"}}
}

func handle(p *Page, messages ...wire.Message) {
	for _, m := range messages {
		p.Handle(ground.Received{Message: m, At: t0.Add(250 * time.Millisecond)})
	}
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.URL.Path, r.URL.RawPath = "127.0.0.1:8780", target, ""
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type state struct {
	Drones []droneView
	Health []healthView
	Stats  []statsView
	Events []struct {
		Drone, Event, Label string
		Phase               wire.Phase
		Revision, Steps     int
		CutOff              bool `json:"cut_off"`
		Begin               *stepView
		Last                stepView
		Picture             *pictureView
	}
}

func stateOf(t *testing.T, p *Page) (s state) {
	t.Helper()
	if err := json.Unmarshal(get(t, p, "/state").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Software: "emberwing 0.1.0", Banner: "synthetic flight"})
		handle(p, status("kite-7", boot1, wire.Online), alert("kite-7", "e1", wire.PhaseBegin, 0),
			alert("kite-7", "e1", wire.PhaseUpdate, 1),
			stats("kite-7", boot1, 7*time.Millisecond, 9*time.Millisecond), stats("kite-7", boot1,
				20*time.Millisecond), health("kite-7"))
		var got bytes.Buffer
		if err := json.Indent(&got, p.state(), "", "  "); err != nil {
			t.Fatal(err)
		}
		const file = "testdata/golden/state.json"
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("state (-want +got); -update rewrites it:\n%s", diff)
		}
	})
}

func TestEventLife(t *testing.T) {
	p := New(Options{})
	end := alert("kite-7", "e1", wire.PhaseEnd, 2)
	end.Evidence.Calibrated = 0.99
	handle(p, alert("kite-7", "e1", wire.PhaseBegin, 0), end, alert("kite-7", "e1", wire.PhaseUpdate, 1))
	e := stateOf(t, p).Events[0]
	if e.Phase != wire.PhaseEnd || e.Revision != 2 || e.Steps != 3 || e.Begin == nil || e.Last.DelayMS != 250 {
		t.Errorf("an update that comes late changed the end: %+v", e)
	}
	if e.Picture.Ref == "snap/e1-2.jpg" {
		t.Errorf("got the picture of the end, want one of what was seen")
	}
	handle(p, alert("kite-7", "e2", wire.PhaseUpdate, 4))
	if e := stateOf(t, p).Events[1]; e.Begin != nil {
		t.Errorf("got begin %+v, want none: it was not received", e.Begin)
	}
}

func TestRestartCutsEventsOff(t *testing.T) {
	p := New(Options{})
	handle(p, status("kite-7", boot1, wire.Online), alert("kite-7", "e1", wire.PhaseBegin, 0),
		stats("kite-7", boot1, time.Second))
	if stateOf(t, p).Events[0].CutOff {
		t.Fatal("event of the present run is cut off")
	}
	handle(p, status("kite-7", boot2, wire.Online), stats("kite-7", boot2, time.Millisecond))
	s := stateOf(t, p)
	if !s.Events[0].CutOff {
		t.Error("event of an earlier run is not marked")
	}
	if st := s.Stats[0]; st.Periods != 1 || st.Stages[0].Flight.Max != time.Millisecond || len(st.Stages) != 1 {
		t.Errorf("statistics of two runs are mixed: %+v", st)
	}
	handle(p, alert("kite-7", "e1", wire.PhaseEnd, 1))
	if stateOf(t, p).Events[0].CutOff {
		t.Error("the end was received, but the event is still marked")
	}
}

func TestSilence(t *testing.T) {
	p := New(Options{})
	p.Handle(ground.Received{Message: status("kite-7", boot1, wire.Online), At: t0, Retained: true})
	if d := stateOf(t, p).Drones[0]; d.Heard != nil || d.State != wire.Online {
		t.Errorf("a retained status counts as a sign of life: %+v", d)
	}
	handle(p, health("kite-7"))
	heard := stateOf(t, p).Drones[0].Heard
	p.Handle(ground.Received{Message: status("kite-7", boot1, wire.Offline), At: t0.Add(time.Hour)})
	if d := stateOf(t, p).Drones[0]; heard == nil || !d.Heard.Equal(heard.Time) || d.State != wire.Offline {
		t.Errorf("a will counts as a sign of life: %+v", d)
	}
}

func TestLimits(t *testing.T) {
	p := New(Options{MaxEvents: 6, MaxDrones: 3})
	handle(p, alert("kite-1", "mine", wire.PhaseBegin, 0))
	for i := range 50 {
		handle(p, alert("flood", fmt.Sprint("e", i), wire.PhaseBegin, 0))
	}
	s := stateOf(t, p)
	if len(s.Events) != 6 || s.Events[0].Event != "mine" {
		t.Errorf("a flood of one drone drove out the alert of another: %+v", s.Events)
	}
	for i := range 50 {
		handle(p, stats(fmt.Sprint("d", i), boot1, 1))
	}
	if s := stateOf(t, p); len(s.Drones) != 3 || len(s.Stats) != 1 {
		t.Errorf("got %d drones and %d statistics, want 3 and those of one", len(s.Drones), len(s.Stats))
	}
	if _, crowded := p.limits(); crowded != 3 {
		t.Errorf("drones were dropped without a word: got %d", crowded)
	}
	if n := len(p.fleet.board.entries); n > 3+3+6+9 {
		t.Errorf("the board holds %d entries", n)
	}
	if got := p.Stats().Forgotten; got != 45 {
		t.Errorf("got %d forgotten, want the 45 events", got)
	}
	handle(p, alert("new", "fire", wire.PhaseBegin, 0))
	var ids []string
	for _, d := range stateOf(t, p).Drones {
		ids = append(ids, d.Drone)
	}
	slices.Sort(ids)
	if got := strings.Join(ids, " "); got != "flood kite-1 new" {
		t.Errorf("got drones %s, want the one without an alert to give way to the one with", got)
	}
}

func TestInvalidMessagesAreCounted(t *testing.T) {
	p := New(Options{})
	bad := alert("kite-7", "e1", "exploded", 0)
	handle(p, nil, bad)
	if s := p.Stats(); s.Invalid != 2 || len(stateOf(t, p).Events) != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestForeignHistogramsAreNotMerged(t *testing.T) {
	p := New(Options{})
	m := stats("kite-7", boot1, time.Millisecond)
	m.Stages = append(m.Stages, wire.Stage{Name: "odd", Histogram: wire.Histogram{SubBits: 3, Count: 1, MaxNS: 1,
		Counts: []uint64{1}}})
	handle(p, m)
	for i := range 3 * wire.MaxList {
		next := stats("kite-7", boot1, time.Millisecond)
		next.Stages[0].Name = fmt.Sprint("s", i)
		handle(p, next)
	}
	got := stateOf(t, p).Stats[0]
	if want := uint64(1 + 2*wire.MaxList + 1); len(got.Stages) != wire.MaxList || got.Unmerged != want {
		t.Errorf("got %d stages and %d unmerged, want %d and %d", len(got.Stages), got.Unmerged, wire.MaxList, want)
	}
}

// TestBoard: whatever a reader has seen, it holds the same as a new one after it caught up.
func TestBoard(t *testing.T) {
	b := newBoard(3)
	known := map[string]string{}
	var at uint64
	catchUp := func() {
		changes, reset := b.since(at)
		if reset {
			clear(known)
		}
		for _, c := range changes {
			var v struct {
				Key   string
				Value *int
			}
			if err := json.Unmarshal(c.body, &v); err != nil {
				t.Fatal(err)
			}
			if delete(known, v.Key); v.Value != nil {
				known[v.Key] = fmt.Sprint(*v.Value)
			}
		}
		at = b.seq
	}
	for i := range 500 {
		k := key{"event", fmt.Sprint("k", i*7%13)}
		if i*5%3 == 0 {
			b.remove(k)
		} else {
			b.put(k, i)
		}
		if i%11 < 4 || i == 499 {
			catchUp()
			want := map[string]string{}
			for _, e := range b.entries {
				if v := e.Value.(*entry); v.value != nil {
					want[v.key.ID] = fmt.Sprint(v.value)
				}
			}
			if diff := cmp.Diff(want, known); diff != "" {
				t.Fatalf("after change %d:\n%s", i, diff)
			}
		}
		if b.gone > 3 {
			t.Fatalf("%d removals remembered, want at most 3", b.gone)
		}
	}
}

// sse is an event as a browser reads it.
type sse struct{ id, event, data string }

func readEvents(t *testing.T, r *bufio.Reader, until string) (events []sse) {
	t.Helper()
	var e sse
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("stream ended before %q: %v", until, err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data = value
		case "":
			events = append(events, e)
			if strings.Contains(e.event+" "+e.data, until) {
				return events
			}
			e = sse{}
		}
	}
}

func open(t *testing.T, url, last string) (*bufio.Reader, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s", resp.Status)
	}
	return bufio.NewReader(resp.Body), func() { cancel(); resp.Body.Close() }
}

func puts(events []sse) (out []string) {
	for _, e := range events {
		var v struct{ Kind, Key string }
		if e.event == "put" && json.Unmarshal([]byte(e.data), &v) == nil {
			out = append(out, v.Kind+" "+v.Key)
		}
	}
	return out
}

func TestResume(t *testing.T) {
	p := New(Options{MaxEvents: 2, MaxDrones: 2})
	server := httptest.NewServer(p)
	defer server.Close()
	defer p.Close()
	handle(p, status("kite-7", boot1, wire.Online), alert("kite-7", "e1", wire.PhaseBegin, 0))

	feed, leave := open(t, server.URL, "")
	first := readEvents(t, feed, "ping")
	if diff := cmp.Diff([]string{"event valley/kite-7/" + boot1 + "/e1", "drone valley/kite-7"}, puts(first)); diff != "" {
		t.Error(diff)
	}
	handle(p, health("kite-7"))
	live := readEvents(t, feed, "provider-fallback")
	last := live[len(live)-1].id
	leave()

	handle(p, alert("kite-7", "e2", wire.PhaseBegin, 0), alert("kite-7", "e2", wire.PhaseUpdate, 1))
	feed, leave = open(t, server.URL, last)
	again := readEvents(t, feed, "ping")
	leave()
	if !strings.Contains(again[0].data, `"reset":false`) {
		t.Errorf("got %s, want a stream that goes on", again[0].data)
	}
	if diff := cmp.Diff([]string{"event valley/kite-7/" + boot1 + "/e2", "drone valley/kite-7"}, puts(again)); diff != "" {
		t.Errorf("resumed with the wrong changes:\n%s", diff)
	}

	for i := range 20 { // more removals than are remembered
		handle(p, alert("kite-7", fmt.Sprint("f", i), wire.PhaseBegin, 0))
	}
	for _, id := range []string{last, "other-" + strings.SplitAfter(last, "-")[1], p.epoch + "-99999", "\x00junk",
		p.epoch + "-x"} {
		feed, leave = open(t, server.URL, strings.ReplaceAll(id, "\x00", ""))
		events := readEvents(t, feed, "ping")
		leave()
		if !strings.Contains(events[0].data, `"reset":true`) || len(puts(events)) != 4 {
			t.Errorf("id %q: got %s and %v, want the whole state", id, events[0].data, puts(events))
		}
	}
	if s := p.Stats(); s.Resumed != 1 || s.Resets != 6 {
		t.Errorf("got %+v", s)
	}
}

// stuck is a browser that takes nothing until it is released.
type stuck struct {
	header  http.Header
	release chan struct{}
	limit   time.Time
	mu      chan struct{}
	out     bytes.Buffer
}

func newStuck() *stuck {
	return &stuck{header: http.Header{}, release: make(chan struct{}), mu: make(chan struct{}, 1)}
}

func (s *stuck) Header() http.Header { return s.header }
func (s *stuck) WriteHeader(int)     {}
func (s *stuck) Flush()              {}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	s.mu <- struct{}{}
	s.limit = t
	<-s.mu
	return nil
}

func (s *stuck) Write(b []byte) (int, error) {
	for {
		s.mu <- struct{}{}
		left := time.Until(s.limit)
		<-s.mu
		if left <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		select {
		case <-s.release:
			return s.out.Write(b)
		case <-time.After(min(left, 50*time.Millisecond)):
		}
	}
}

func serveStuck(ctx context.Context, p *Page, s *stuck) <-chan struct{} {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/events", nil).WithContext(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.ServeHTTP(s, r)
	}()
	return done
}

func TestSlowBrowserGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		s := newStuck()
		done := serveStuck(ctx, p, s)
		synctest.Wait()
		start := time.Now()
		for i := range 1000 {
			handle(p, alert("kite-7", "e1", wire.PhaseUpdate, i))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Handle waited %v for a browser", took)
		}
		close(s.release)
		time.Sleep(time.Second)
		cancel()
		<-done
		out := s.out.String()
		if n := strings.Count(out, "event: put"); n != 2 || !strings.Contains(out, `"revision":999`) {
			t.Errorf("got %d entries, want the newest of event and drone:\n%s", n, out)
		}
		if got := p.Stats(); got.Superseded != 1998 || got.Slow != 0 || got.Streams != 0 {
			t.Errorf("got %+v, want 1998 superseded", got)
		}
	})
}

func TestStuckBrowserIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		start := time.Now()
		<-serveStuck(t.Context(), p, newStuck())
		if took := time.Since(start); took != takesNone || p.Stats().Slow != 1 {
			t.Errorf("dropped after %v, %+v", took, p.Stats())
		}
	})
}

func TestCloseEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		stuckDone := serveStuck(t.Context(), p, newStuck())
		healthy := newStuck()
		close(healthy.release)
		healthyDone := serveStuck(t.Context(), p, healthy)
		time.Sleep(5 * time.Second)
		start := time.Now()
		p.Close()
		p.Close()
		<-healthyDone
		<-stuckDone
		if took := time.Since(start); took > closeGrace {
			t.Errorf("streams ended %v after Close", took)
		}
		if n := strings.Count(healthy.out.String(), "event: ping"); n != 3 {
			t.Errorf("got %d pings in 5 s, want 3", n)
		}
		if w := get(t, p, "/events"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("got %d after Close", w.Code)
		}
	})
}

func TestTooManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxStreams: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := serveStuck(ctx, p, newStuck())
		synctest.Wait()
		if w := get(t, p, "/events"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("got %d", w.Code)
		}
		p.Close()
		<-done
		cancel()
	})
}

func TestHostileTextStaysData(t *testing.T) {
	p := New(Options{Banner: "</script>\u2028"})
	a := alert("kite-7", "</script><script>alert(1)</script>", wire.PhaseBegin, 0)
	a.Label = "<img src=x onerror=alert(1)>\u2028id: 1"
	a.Evidence.Model.Fallback = `"}, {"kind": "drone"`
	handle(p, a)
	body := get(t, p, "/state").Body.Bytes()
	if bytes.ContainsAny(body, "<>\u2028") || bytes.Count(body, []byte("\n")) != 1 {
		t.Errorf("markup or line breaks leave the page unescaped: %s", body)
	}
	if e := stateOf(t, p).Events[0]; e.Label != a.Label || e.Event != a.Event {
		t.Errorf("got %+v", e)
	}
}

func TestPictures(t *testing.T) {
	picture := []byte("\xff\xd8picture")
	files := fstest.MapFS{}
	refs := []string{"a.jpg", "snap/b.png", "other.jpg", "secret.txt", "../up.jpg", "/etc/x.jpg", ".hid.jpg",
		"snap/.git/x.jpg", "http://evil/x.jpg", `c:\x.jpg`, "dir.jpg", "gone.jpg", "%2e%2e/x.jpg", "wrong.jpg"}
	for _, ref := range refs {
		if fs.ValidPath(ref) && ref != "gone.jpg" {
			files[ref] = &fstest.MapFile{Data: picture}
		}
	}
	files["dir.jpg"] = &fstest.MapFile{Mode: fs.ModeDir}
	files["big.jpg"] = &fstest.MapFile{Data: make([]byte, maxPicture+1)}
	p := New(Options{Pictures: files})
	for i, ref := range append(refs, "big.jpg") {
		a := alert("kite-7", fmt.Sprint("e", i), wire.PhaseBegin, 0)
		if a.Evidence.Snapshot.Ref = ref; ref == "wrong.jpg" {
			a.Evidence.Snapshot.SHA256 = strings.Repeat("0", 64)
		}
		if ref != "other.jpg" {
			handle(p, a)
		}
	}
	served := map[string]bool{"a.jpg": true, "snap/b.png": true, "%2e%2e/x.jpg": true}
	for _, ref := range append(refs, "big.jpg", "", ".", "..", "snap") {
		w := get(t, p, "/pictures/"+ref)
		if got := w.Code == http.StatusOK && bytes.Equal(w.Body.Bytes(), picture); got != served[ref] {
			t.Errorf("%q: got %d %q, want it served: %v", ref, w.Code, w.Body, served[ref])
		}
		if !served[ref] && bytes.Contains(w.Body.Bytes(), picture) {
			t.Errorf("%q leaks", ref)
		}
	}
	if got := get(t, p, "/pictures/snap/b.png").Header().Get("Content-Type"); got != "image/png" {
		t.Errorf("got %s", got)
	}
	if get(t, New(Options{}), "/pictures/a.jpg").Code != http.StatusNotFound {
		t.Error("a page without pictures serves some")
	}
}

func TestPictureOutsideRoot(t *testing.T) {
	dir := t.TempDir()
	secret := path.Join(t.TempDir(), "secret.jpg")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600),
		os.Symlink(secret, path.Join(dir, "link.jpg"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := New(Options{Pictures: root.FS()})
	a := alert("kite-7", "e1", wire.PhaseBegin, 0)
	a.Evidence.Snapshot.Ref = "link.jpg"
	handle(p, a)
	if w := get(t, p, "/pictures/link.jpg"); w.Code != http.StatusNotFound {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestHeaders(t *testing.T) {
	p := New(Options{Hosts: []string{"ground.example"}})
	for _, target := range []string{"/", "/assets/main.js", "/state", "/nowhere", "/pictures/x.jpg"} {
		h := get(t, p, target).Header()
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp,
			"default-src 'none'; script-src 'self'; ") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", target, h)
		}
	}
	for host, want := range map[string]int{
		"localhost:8780": 200, "[::1]:8780": 200, "192.168.1.7": 200, "ground.example": 200, "evil.example:8780": 421, "": 421, "127.0.0.1.evil.example": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/state", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != want {
			t.Errorf("host %q: got %d, want %d", host, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://127.0.0.1/state", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
}

// TestAssets: the files keep to what the policy allows, refer only to each other, and
// never make HTML of text.
func TestAssets(t *testing.T) {
	p := New(Options{})
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|style=|\son\w+=|<script>|<style|@import|https?://|//[a-z]`)
	reference := regexp.MustCompile(`(?:src|href)="(assets/[^"]+)"|from "\./([^"]+)"`)
	err := fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "assets/vendor/") {
			return err
		}
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", "")
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			target := "/assets/" + m[2]
			if m[1] != "" {
				target = "/" + m[1]
			}
			if w := get(t, p, target); w.Code != http.StatusOK || w.Header().Get("Content-Type") == "" {
				t.Errorf("%s refers to %s: %d", name, target, w.Code)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if body := get(t, p, "/").Body.String(); !strings.Contains(body, `aria-live`) || !strings.Contains(body,
		`role="alert"`) {
		t.Error("the page announces nothing to screen readers")
	}
}

// TestVendoredFiles: the library is the one that was looked at, uPlot 1.6.32 as npm has it.
func TestVendoredFiles(t *testing.T) {
	want := map[string]string{
		"uPlot.js":  "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	}
	for name, sum := range want {
		body, err := assets.ReadFile("assets/vendor/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(body)); got != sum {
			t.Errorf("%s: got %s, want %s", name, got, sum)
		}
	}
}

func BenchmarkHandleAlert(b *testing.B) {
	p := New(Options{})
	a := alert("kite-7", "e1", wire.PhaseUpdate, 1)
	b.ReportAllocs()
	for b.Loop() {
		handle(p, a)
	}
}

var _ io.Writer = (*stuck)(nil)
