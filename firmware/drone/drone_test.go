package drone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/firmware/config"
	"emberwing/firmware/event"
	"emberwing/firmware/health"
	"emberwing/firmware/pipeline"
	"emberwing/infer"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfigurationLiesOverTheManifest(t *testing.T) {
	manifest := infer.Decision{Window: 10, Agree: 7, Release: 0.4, Dwell: 1}
	base := event.Rule{Window: 10, Agree: 7, Threshold: 0.7, Release: 0.4, Dwell: time.Second, Update: 2 * time.Second, MaxGap: maxGap}
	cases := map[string]struct {
		task   config.Task
		change func(*event.Rule)
	}{
		"nothing set":              {config.Task{}, func(*event.Rule) {}},
		"everything set":           {config.Task{Window: 4, Agree: 2, Threshold: 0.9, Release: 0.8, Dwell: config.Duration(time.Minute)}, func(r *event.Rule) { r.Window, r.Agree, r.Threshold, r.Release, r.Dwell = 4, 2, 0.9, 0.8, time.Minute }},
		"a small window":           {config.Task{Window: 5}, func(r *event.Rule) { r.Window, r.Agree = 5, 5 }},
		"release follows down":     {config.Task{Threshold: 0.3}, func(r *event.Rule) { r.Threshold, r.Release = 0.3, 0.3 }},
		"only the agreement count": {config.Task{Agree: 9}, func(r *event.Rule) { r.Agree = 9 }},
	}
	for name, c := range cases {
		want := base
		c.change(&want)
		c.task.Update = config.Duration(2 * time.Second)
		if diff := cmp.Diff(want, temporal(manifest, 0.7, c.task)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSnapshotsKeepTheNewest(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "20200101T000000.000-d-fire-r0.jpg"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := newSnapshots(dir, 90, 2)
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	f.Resize(32, 24, camera.RGB24)
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var last *wire.Snapshot
	for i := range 3 {
		a := &wire.Alert{Header: wire.Header{Drone: "d", Captured: wire.At(at.Add(time.Duration(i) * time.Second))}, Task: wire.TaskFire, Revision: i}
		if last, err = s.save(snapshotName(a), &f); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "20260701T120001.000-d-fire-r1.jpg"), filepath.Join(dir, "20260701T120002.000-d-fire-r2.jpg")}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back camera.Frame
	if err := still.Open(filepath.Join(dir, last.Ref), &back); err != nil || back.Width != 32 || last.Height != 24 || len(last.SHA256) != 64 {
		t.Errorf("got %+v, %dx%d, %v", last, back.Width, back.Height, err)
	}
}

func TestSnapshotsWithoutFolderOrPicture(t *testing.T) {
	var f camera.Frame
	f.Resize(8, 8, camera.RGB24)
	for name, c := range map[string]struct {
		dir   string
		frame *camera.Frame
	}{"no folder": {"", &f}, "no frame": {t.TempDir(), nil}, "empty frame": {t.TempDir(), new(camera.Frame)}} {
		s, err := newSnapshots(c.dir, 80, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.save("x", c.frame); got != nil || err != nil {
			t.Errorf("%s: got %v, %v, want nothing", name, got, err)
		}
	}
}

// fakeBox takes messages, or refuses them.
type fakeBox struct {
	got []wire.Alert
	err error
}

func (b *fakeBox) Put(m wire.Message) error {
	a := m.(*wire.Alert)
	a.Seq = uint64(len(b.got) + 1)
	if a.Event == "" {
		a.Event = wire.EventID(a.Drone, a.Boot, a.Seq)
	}
	b.got = append(b.got, *a)
	return b.err
}

func newReporter(t *testing.T, b box) *reporter {
	t.Helper()
	pictures, err := newSnapshots(t.TempDir(), 80, 10)
	if err != nil {
		t.Fatal(err)
	}
	return &reporter{
		id: &identity{fleet: "f", drone: "d", boot: "b00t", started: time.Now()}, box: b, pictures: pictures,
		health: health.NewTracker(), log: slog.New(slog.DiscardHandler),
		models: []reported{{task: wire.TaskFire, labels: []string{"nofire", "smoke", "fire"}, model: wire.Model{Name: "fire"}}},
	}
}

func step(p event.Phase, revision int) pipeline.Step {
	return pipeline.Step{Event: event.Event{Phase: p, Revision: revision, Label: 2, At: time.Now(), Started: time.Now()}, Scores: []float32{0.1, 0.2, 0.7}, Snapshot: new(camera.Frame)}
}

func TestStepsOfOneEventShareItsID(t *testing.T) {
	b := &fakeBox{}
	r := newReporter(t, b)
	var lit []bool
	r.indicate = func(on bool) { lit = append(lit, on) }
	for i, p := range []event.Phase{event.Begin, event.Update, event.End, event.Begin, event.End} {
		r.Handle(step(p, i%3))
	}
	var ids []string
	for _, a := range b.got {
		ids = append(ids, a.Event)
	}
	if diff := cmp.Diff([]string{"d-b00t-1", "d-b00t-1", "d-b00t-1", "d-b00t-4", "d-b00t-4"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, false, true, false}, lit); diff != "" {
		t.Errorf("indicator (-want +got):\n%s", diff)
	}
	if got := b.got[0]; got.Label != "fire" || !got.Ended.IsZero() || b.got[2].Ended.IsZero() || len(got.Evidence.Scores) != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestRefusedAlertIsAnAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want health.Severity
	}{
		"accepted":    {nil, health.OK},
		"memory only": {fmt.Errorf("%w: disk full", outbox.ErrNotDurable), health.OK}, // the outbox reports it itself
		"refused":     {errors.New("too large"), health.Alarm},
	} {
		r := newReporter(t, &fakeBox{err: c.err})
		r.Handle(step(event.Begin, 0))
		if got, list := r.health.Conditions(); got != c.want {
			t.Errorf("%s: got %v %v, want %v", name, got, list, c.want)
		}
	}
}

func TestOpenerRefusesBeforeTakeOff(t *testing.T) {
	for name, c := range map[string]config.Camera{
		"missing video":  {Kind: config.Video, Source: "gone.mp4"},
		"missing folder": {Kind: config.Folder, Source: "gone"},
	} {
		if _, err := opener(c); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want a missing file", name, err)
		}
	}
	if _, err := opener(config.Camera{Kind: config.CSI, Source: "left"}); err == nil || !strings.Contains(err.Error(), `got "left"`) {
		t.Errorf("got %v, want the sensor refused", err)
	}
	if _, err := opener(config.Camera{Kind: config.V4L2, Source: "/dev/video9"}); err != nil {
		t.Errorf("a device that is not there yet may come: %v", err)
	}
}

func TestSyntheticCameraOpens(t *testing.T) {
	info, err := ProbeCamera(t.Context(), config.Camera{Kind: config.Synthetic, Seed: 3, Width: 64, Height: 48, Length: config.Duration(10 * time.Second)})
	if err != nil || !strings.HasSuffix(info, "gives 64x48 RGB24") {
		t.Errorf("got %q, %v", info, err)
	}
}

func TestPasswordComesFromItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := brokerOf(config.MQTT{Broker: "tcp://h:1", Username: "u", PasswordFile: file})
	if err != nil || b.Password != "hunter2" || b.Username != "u" {
		t.Errorf("got %+v, %v", b, err)
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), maxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := brokerOf(config.MQTT{PasswordFile: file}); err == nil {
		t.Error("got no error for a file that is no password")
	}
}

func TestClockSource(t *testing.T) {
	if got := clockSource(time.Unix(0, 0)); got != wire.ClockNone {
		t.Errorf("got %q for 1970, want a clock that was never set", got)
	}
	if got := clockSource(time.Now()); got != wire.ClockNTP && got != wire.ClockSystem {
		t.Errorf("got %q now", got)
	}
}

func TestClipFitsTheSchema(t *testing.T) {
	for _, text := range []string{"short", "two\nlines\x00", strings.Repeat("é", wire.MaxText), "bad \xff byte"} {
		got := clip(text)
		if len(got) > wire.MaxText || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\x00") {
			t.Errorf("%.20q: got %d bytes, %.40q", text, len(got), got)
		}
	}
	if clip("short") != "short" {
		t.Error("a short text was changed")
	}
}

func TestSensorsFitTheSchema(t *testing.T) {
	for _, s := range readSensors() {
		if s.Name == "" || s.Unit == "" || s.Kind == "" {
			t.Errorf("got %+v", s)
		}
	}
}

// A folder that cannot be made costs pictures, not the flight; once it can be, they are kept.
func TestSnapshotsWaitForTheirFolder(t *testing.T) {
	inTheWay := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newSnapshots(filepath.Join(inTheWay, "pictures"), 80, 4)
	if err == nil || s == nil {
		t.Fatalf("got %v, %v, want an error to tell and snapshots to go on with", s, err)
	}
	var f camera.Frame
	f.Resize(8, 8, camera.RGB24)
	if _, err := s.save("one", &f); err == nil {
		t.Error("a picture was kept below a file")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if got, err := s.save("two", &f); err != nil || got == nil {
		t.Errorf("got %v, %v, want a picture", got, err)
	}
}

func TestDamagedOutboxIsAnAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		stats outbox.Stats
		want  string
	}{
		"well":            {outbox.Stats{}, ""},
		"a bad record":    {outbox.Stats{BadRecords: 2}, "2 alert(s) in it cannot be read"},
		"moved aside":     {outbox.Stats{FilesMoved: 1, MovedTo: "/data/outbox.db.damaged-1"}, "/data/outbox.db.damaged-1"},
		"and in trouble":  {outbox.Stats{FilesMoved: 1, MovedTo: "x", Err: errors.New("no space")}, "damaged file is x"},
		"only in trouble": {outbox.Stats{Err: errors.New("no space")}, ""},
	} {
		p := &periodic{health: health.NewTracker()}
		p.watchOutbox(c.stats)
		_, conditions := p.health.Conditions()
		told := ""
		for _, k := range conditions {
			if k.Code == health.OutboxDamaged && k.Severity == health.Alarm {
				told = k.Text
			}
		}
		if (told == "") != (c.want == "") || !strings.Contains(told, c.want) {
			t.Errorf("%s: got %q, want %q", name, told, c.want)
		}
	}
}

func TestNamesOfSensors(t *testing.T) {
	for name, want := range map[string]bool{"CPU-therm": true, "": false, "a\nb": false, strings.Repeat("n", 200): false} {
		if named(name) != want {
			t.Errorf("%q: got %v, want %v", name, !want, want)
		}
	}
}
