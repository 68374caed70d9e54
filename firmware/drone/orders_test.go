package drone

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emberwing/camera"
	"emberwing/firmware/command"
	"emberwing/firmware/config"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/position"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// mailbag remembers everything that is put into it.
type mailbag struct {
	mu  sync.Mutex
	got []wire.Message
}

func (b *mailbag) Put(m wire.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m)
	return nil
}

// outcomes lists the results as "verb outcome: text".
func (b *mailbag) outcomes() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.got {
		if r, ok := m.(*wire.Result); ok {
			list = append(list, strings.TrimSuffix(r.Verb+" "+r.Outcome+": "+r.Text, ": "))
		}
	}
	return list
}

// fakeFlight shows a grey frame and remembers thresholds.
type fakeFlight struct {
	thresholds map[int]float32
	stalled    bool
}

func (f *fakeFlight) SetThreshold(model int, threshold float32) error {
	f.thresholds[model] = threshold
	return nil
}

func (f *fakeFlight) Frame(ctx context.Context, dst *camera.Frame) error {
	if f.stalled {
		return errors.New("no frame comes")
	}
	noise(dst, 640, 480)
	return nil
}

// noise fills a frame with what compresses badly.
func noise(f *camera.Frame, w, h int) {
	f.Resize(w, h, camera.RGB24)
	x := uint32(1)
	for i := range f.Pix {
		x = x*1664525 + 1013904223
		f.Pix[i] = byte(x >> 24)
	}
}

func stationKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
}

func newOrders(t *testing.T) (*orders, *mailbag, *fakeFlight) {
	t.Helper()
	dir := t.TempDir()
	id := &identity{fleet: "f", drone: "d", boot: "b00t", started: time.Now()}
	limits := config.Default().Commands
	limits.State = filepath.Join(dir, "commands.json")
	desk, err := command.Open(command.Options{Boot: id.boot, Started: id.started,
		Trusted: []ed25519.PublicKey{stationKey().Public().(ed25519.PublicKey)}, State: limits.State})
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := newSnapshots(filepath.Join(dir, "pictures"), 80, 10)
	if err != nil {
		t.Fatal(err)
	}
	bag, flight := &mailbag{}, &fakeFlight{thresholds: make(map[int]float32)}
	o := &orders{id: id, desk: desk, limits: limits, box: bag, flight: flight, tasks: []wire.Task{wire.TaskFire, wire.TaskGesture},
		mutes: new(command.Mutes), profile: newProfile(), pictures: pictures, health: health.NewTracker(), log: slog.New(slog.DiscardHandler)}
	t.Cleanup(o.running.Wait)
	return o, bag, flight
}

// give signs a command and hands it over.
func give(t *testing.T, o *orders, counter uint64, fill func(*wire.Command)) {
	t.Helper()
	c := &wire.Command{Header: o.id.head(time.Now()), Counter: counter}
	fill(c)
	if err := wire.Sign(c, stationKey()); err != nil {
		t.Fatal(err)
	}
	payload, err := wire.Append(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	o.take(c.Topic(), mqtt.Message{Topic: c.Topic().String(), Payload: payload})
	o.running.Wait()
}

func TestOrdersAreDoneAndAnswered(t *testing.T) {
	o, bag, flight := newOrders(t)
	var f camera.Frame
	noise(&f, 320, 240)
	a := &wire.Alert{Header: o.id.head(time.Now()), Event: "an event", Task: wire.TaskFire, Revision: 2}
	var err error
	if a.Evidence.Snapshot, err = o.pictures.save("x", &f); err != nil {
		t.Fatal(err)
	}
	o.pictures.link(a)
	cases := []struct {
		fill func(*wire.Command)
		want string
	}{
		{func(c *wire.Command) { c.Verb, c.Profile = wire.VerbProfile, &wire.Profile{Name: "narrow"} }, "profile done"},
		{func(c *wire.Command) {
			c.Verb, c.Threshold = wire.VerbThreshold, &wire.Threshold{Task: wire.TaskGesture, Value: 0.5}
		}, "threshold done"},
		{func(c *wire.Command) {
			c.Verb, c.Threshold = wire.VerbThreshold, &wire.Threshold{Task: wire.TaskFire, Value: 0.1}
		}, "threshold refused: refused: threshold: got 0.1, want 0.3 to 0.95"},
		{func(c *wire.Command) {
			c.Verb, c.Mute = wire.VerbMute, &wire.Mute{ID: "m", Seconds: 60, Sector: &wire.Sector{FromDeg: 0, ToDeg: 10}}
		}, "mute done"},
		{func(c *wire.Command) {
			c.Verb, c.Mute = wire.VerbMute, &wire.Mute{ID: "n", Seconds: 1e7, Sector: &wire.Sector{FromDeg: 0, ToDeg: 10}}
		}, "mute refused: refused: mute: got 2777h46m40s, want at most 24h0m0s"},
		{func(c *wire.Command) {
			c.Verb, c.Acknowledge = wire.VerbAcknowledge, &wire.Acknowledge{Event: "an event", Verdict: wire.VerdictGlare, By: "ana"}
		}, "acknowledge done"},
		{func(c *wire.Command) { c.Verb, c.Snapshot = wire.VerbSnapshot, &wire.Request{Event: "an event"} }, "snapshot done"},
		{func(c *wire.Command) { c.Verb, c.Snapshot = wire.VerbSnapshot, &wire.Request{MaxBytes: 6000} }, "snapshot done"},
		{func(c *wire.Command) { c.Verb, c.Snapshot = wire.VerbSnapshot, &wire.Request{Event: "another"} }, "snapshot failed: snapshot: no picture of event another is kept here"},
		{func(c *wire.Command) {
			c.Boot, c.Verb, c.Profile = "old", wire.VerbProfile, &wire.Profile{Name: "normal"}
		},
			"profile refused: refused: stale: it is for run old of this drone, which is now in run b00t"},
	}
	for i, c := range cases {
		give(t, o, uint64(i+1), c.fill)
		if got := bag.outcomes(); len(got) != i+1 || got[i] != c.want {
			t.Fatalf("got %q, want %q", got, c.want)
		}
	}
	if o.profile.name() != "narrow" || flight.thresholds[1] != 0.5 || len(flight.thresholds) != 1 {
		t.Errorf("got profile %s and thresholds %v", o.profile.name(), flight.thresholds)
	}
	verdicts, err := os.ReadFile(filepath.Join(filepath.Dir(o.limits.State), "verdicts.jsonl"))
	if want := `"snapshot":"x.jpg"`; err != nil || !strings.Contains(string(verdicts), want) || !strings.Contains(string(verdicts), `"verdict":"glare"`) {
		t.Errorf("got %q, %v, want the verdict with %s", verdicts, err, want)
	}
	checkPictures(t, bag)
}

func checkPictures(t *testing.T, bag *mailbag) {
	t.Helper()
	var got []string
	for _, m := range bag.got {
		if p, ok := m.(*wire.Picture); ok {
			img, err := jpeg.DecodeConfig(bytes.NewReader(p.JPEG))
			if err != nil || img.Width != p.Width || img.Height != p.Height || p.Validate() != nil && p.Seq > 0 {
				t.Errorf("picture of %q: %v, %dx%d", p.Event, err, img.Width, img.Height)
			}
			got = append(got, fmt.Sprint(p.Event, " r", p.Revision, " fits ", len(p.JPEG) <= wire.MaxPicture))
			if p.Event == "" && len(p.JPEG) > 6000 {
				t.Errorf("got %d bytes, want at most 6000", len(p.JPEG))
			}
		}
	}
	if want := "[an event r2 fits true  r0 fits true]"; fmt.Sprint(got) != want {
		t.Errorf("got pictures %v, want %s", got, want)
	}
}

func TestNonsenseIsAnsweredWithinABudget(t *testing.T) {
	o, bag, _ := newOrders(t)
	for range 100 {
		o.take(wire.Topic{Fleet: "f", Drone: "d", Kind: wire.KindCommand, Sub: "land"}, mqtt.Message{Topic: "ew/1/f/d/cmd/land", Payload: []byte("{}")})
	}
	if got := bag.outcomes(); len(got) < burst || len(got) > burst+5 || !strings.HasPrefix(got[0], "land refused: ") {
		t.Errorf("got %d results, first %q, want %d", len(got), got[:1], burst)
	}
	if worst, list := o.health.Conditions(); worst != health.Warning || !strings.HasPrefix(list[0].Text, "100 command(s) refused") {
		t.Errorf("got %v, want the number in the health of the drone", list)
	}
}

func TestASnapshotOfAStalledCameraFails(t *testing.T) {
	o, bag, flight := newOrders(t)
	flight.stalled = true
	give(t, o, 1, func(c *wire.Command) { c.Verb, c.Snapshot = wire.VerbSnapshot, &wire.Request{} })
	if got := bag.outcomes(); len(got) != 1 || got[0] != "snapshot failed: snapshot: no frame comes" {
		t.Errorf("got %q", got)
	}
}

// A station without an answer asks again: the same request joins the picture being taken,
// another one is refused.
func TestRepeatedRequestsShareAPicture(t *testing.T) {
	var now taking
	ask := func(counter uint64, event string) *wire.Command {
		return &wire.Command{Counter: counter, Snapshot: &wire.Request{Event: event}}
	}
	for i, c := range []struct {
		event     string
		first, ok bool
	}{{"a", true, true}, {"a", false, true}, {"b", false, false}} {
		if first, ok := now.join(ask(uint64(i), c.event)); first != c.first || ok != c.ok {
			t.Errorf("request %d: got %v, %v, want %v, %v", i, first, ok, c.first, c.ok)
		}
	}
	if got := now.end(); len(got) != 2 || got[1].Counter != 1 {
		t.Errorf("got %d askers, want the two of the first picture", len(got))
	}
	if first, ok := now.join(ask(3, "b")); !first || !ok {
		t.Error("the next picture is not taken")
	}
}

func TestFitKeepsTheLimit(t *testing.T) {
	var f camera.Frame
	noise(&f, 1920, 1080)
	for _, limit := range []int{2000, 8 << 10, 40 << 10} {
		s, err := fit(&f, limit)
		if err != nil || len(s.jpeg) > limit || s.width*9 < s.height*15 {
			t.Errorf("limit %d: got %d bytes of %dx%d, %v", limit, len(s.jpeg), s.width, s.height, err)
		}
	}
	if _, err := fit(&f, 100); !errors.Is(err, errNoFit) {
		t.Errorf("got %v, want errNoFit", err)
	}
	if _, err := fit(&camera.Frame{}, 1000); err == nil {
		t.Error("an empty frame was encoded")
	}
	f.Resize(3, 1, camera.Gray8)
	f.Pix[0], f.Pix[1], f.Pix[2] = 0, 100, 200
	var small camera.Frame
	if shrink(&small, &f, 1); small.Width != 1 || small.Height != 1 || small.Pix[0] != 100 {
		t.Errorf("got %dx%d %v, want the mean", small.Width, small.Height, small.Pix)
	}
}

func TestAlertsSayWhereAndWhetherMuted(t *testing.T) {
	b := &fakeBox{}
	r := newReporter(t, b)
	heading := 350.0
	r.where, r.fov = position.Fixed{Position: &wire.Position{Lat: 46.5, Lon: 7.25, UncertaintyM: 5}, Heading: &heading}, 60
	r.mutes, r.profile, r.thumb, r.id.exercise = new(command.Mutes), newProfile(), 4000, true
	if err := r.mutes.Set(wire.Mute{ID: "m", Seconds: 60, Sector: &wire.Sector{FromDeg: 340, ToDeg: 20}}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	for i, p := range []event.Phase{event.Begin, event.Update} {
		s := step(p, i)
		noise(s.Snapshot, 64, 48)
		r.Handle(s)
	}
	begin, update := b.got[0], b.got[1]
	if e := begin.Evidence; e.Position.Lat != 46.5 || e.View.BearingDeg != 350 || e.View.FOVDeg != 60 || len(e.Thumb) == 0 || len(e.Thumb) > 4000 {
		t.Errorf("got %+v, view %+v, %d bytes of thumbnail", e.Position, e.View, len(e.Thumb))
	}
	if !begin.Muted || !begin.Exercise || len(update.Evidence.Thumb) != 0 {
		t.Errorf("got muted %v, exercise %v, thumbnail in the update %v", begin.Muted, begin.Exercise, len(update.Evidence.Thumb) > 0)
	}
}
