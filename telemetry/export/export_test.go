package export_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/telemetry/export"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the golden files")

var t0 = time.Date(2026, 5, 4, 3, 2, 1, 123e6, time.UTC)

// smoke is an event as it stands after its first alert.
func smoke() *store.Event {
	a := &wire.Alert{
		Header: wire.Header{Fleet: "valley", Drone: "kite-7", Boot: "0123456789abcdef", Seq: 41, Captured: wire.At(t0),
			Clock: wire.ClockGPS},
		Event: "kite-7-0123456789abcdef-41", Task: wire.TaskFire, Phase: wire.PhaseBegin, Label: "smoke", Started: wire.At(t0.Add(-2 * time.Second)),
		Evidence: wire.Evidence{
			Agree: 6, Window: 8, Calibrated: 0.87, Peak: 0.9, Threshold: 0.6,
			Model: wire.Model{Name: "fire <v2> & more", SHA256: strings.Repeat("0af9", 16), EffectivePrecision: "int8",
				EffectiveProvider: "cpu"},
			Position: &wire.Position{Lat: 46.5, Lon: 7.25, AltM: 1210, UncertaintyM: 4},
			View:     &wire.View{HeadingDeg: 350, BearingDeg: 12, FOVDeg: 62},
		}}
	return eventOf(a)
}

func eventOf(a *wire.Alert) *store.Event {
	return &store.Event{
		ID: 7, Row: 12, Fleet: a.Fleet, Drone: a.Drone, Boot: a.Boot, Event: a.Event, Task: a.Task, Label: a.Label, Phase: a.Phase,
		Revision: a.Revision, Steps: a.Revision + 1, Started: a.Started, Ended: a.Ended, Clock: a.Clock, Peak: a.Evidence.Peak,
		First: wire.At(t0.Add(time.Second)), Last: wire.At(t0.Add(time.Duration(1+a.Revision) * time.Second)), Latest: a, Late: a.Late,
	}
}

func withVerdict(e *store.Event, v wire.Verdict) *store.Event {
	e.Verdict = &store.Verdict{Verdict: string(v), Operator: "ann", Note: "sun & \"glare\"", Station: "hill",
		At: wire.At(t0.Add(time.Minute))}
	e.Row = 20
	return e
}

func samples() map[string]*store.Event {
	ended := smoke()
	ended.Latest.Phase, ended.Latest.Revision, ended.Latest.Ended = wire.PhaseEnd, 3, wire.At(t0.Add(3*time.Second))
	weak := smoke()
	weak.Latest.Evidence.Peak, weak.Latest.Revision, weak.Latest.Phase = 0.45, 1, wire.PhaseUpdate
	drill := smoke()
	drill.Latest.Exercise = true
	gesture := smoke()
	gesture.Latest.Task, gesture.Latest.Label, gesture.Latest.Evidence.View = wire.TaskGesture, "palm", nil
	return map[string]*store.Event{
		"begin": smoke(), "end": eventOf(ended.Latest), "weak": eventOf(weak.Latest), "drill": drill, "gesture": eventOf(gesture.Latest),
		"confirmed": withVerdict(smoke(), wire.VerdictFire), "rejected": withVerdict(smoke(), wire.VerdictGlare),
	}
}

func TestGolden(t *testing.T) {
	for name, e := range samples() {
		for _, f := range export.Formats() {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				got := encode(t, f, e, export.Options{Sender: "fire.example.org"})
				path := filepath.Join("testdata", "golden", name+f.Extension())
				if *update {
					if err := os.WriteFile(path, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("(-want +got), run with -update if meant:\n%s", diff)
				}
			})
		}
	}
}

func encode(t testing.TB, f export.Format, e *store.Event, o export.Options) []byte {
	t.Helper()
	b, err := export.Encode(f, e, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// xmllint checks a document against a schema. Without it the test is skipped, and fails if
// the environment has CI=true.
func xmllint(t testing.TB, schema, document string) error {
	t.Helper()
	path, err := exec.LookPath("xmllint")
	if err != nil {
		const hint = "xmllint not found: apt-get install libxml2-utils"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	out, err := exec.CommandContext(t.Context(), path, "--nonet", "--noout", "--schema", schema, document).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// The schemas are our own, written after the public text of the standards.
func TestXMLValidates(t *testing.T) {
	for _, f := range []export.Format{export.CAP, export.CoT} {
		schema := filepath.Join("testdata", string(f)+".xsd")
		files, err := filepath.Glob(filepath.Join("testdata", "golden", "*"+f.Extension()))
		if err != nil || len(files) < 7 {
			t.Fatalf("got %d files, %v, want 7 or more", len(files), err)
		}
		for _, file := range files {
			if err := xmllint(t, schema, file); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// A schema that accepts everything would prove nothing.
func TestSchemasRefuse(t *testing.T) {
	cases := []struct {
		format   export.Format
		old, new string
	}{
		{export.CAP, "<status>Actual</status>", "<status>Perhaps</status>"},
		{export.CAP, "<certainty>Likely</certainty>", "<certainty>Sure</certainty>"},
		{export.CAP, "<sender>fire.example.org</sender>", "<sender>fire brigade</sender>"},
		{export.CAP, "<scope>Restricted</scope>", ""},
		{export.CAP, "-00:00</sent>", "Z</sent>"},
		{export.CAP, "<circle>46.500000,7.250000 2.004</circle>", "<circle>here</circle>"},
		{export.CoT, ` stale="2026`, ` stail="2026`},
		{export.CoT, `how="m-g"`, `how="magic"`},
		{export.CoT, `lat="46.5000000"`, `lat="146.5"`},
	}
	for _, c := range cases {
		good := encode(t, c.format, smoke(), export.Options{Sender: "fire.example.org"})
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(good, bad) {
			t.Fatalf("%s has no %s", c.format, c.old)
		}
		path := filepath.Join(t.TempDir(), "bad.xml")
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := xmllint(t, filepath.Join("testdata", string(c.format)+".xsd"), path); err == nil {
			t.Errorf("%s: %s instead of %s was accepted", c.format, c.new, c.old)
		}
	}
}

// No machine observes: that takes a person.
func TestCertaintyOfCAP(t *testing.T) {
	want := map[string]string{"begin": "Likely", "end": "Likely", "weak": "Possible", "drill": "Likely",
		"gesture":   "Likely",
		"confirmed": "Observed", "rejected": "Unlikely"}
	for name, e := range samples() {
		got := string(encode(t, export.CAP, e, export.Options{}))
		if !strings.Contains(got, "<certainty>"+want[name]+"</certainty>") {
			t.Errorf("%s: want %s in %s", name, want[name], got)
		}
	}
}

func TestDrillsSaySo(t *testing.T) {
	drill := smoke()
	drill.Latest.Exercise = true
	cases := []struct {
		e         *store.Event
		mode      export.Mode
		cap, opex string
	}{
		{smoke(), "", "Actual", ""},
		{drill, "", "Exercise", "e"},
		{smoke(), export.Exercise, "Exercise", "e"},
		{smoke(), export.Test, "Test", "s"},
		{drill, export.Test, "Test", "s"},
		{withVerdict(smoke(), wire.VerdictExercise), "", "Exercise", "e"},
	}
	for _, c := range cases {
		o := export.Options{Mode: c.mode}
		if got := string(encode(t, export.CAP, c.e, o)); !strings.Contains(got, "<status>"+c.cap+"</status>") {
			t.Errorf("%s: want status %s in %s", c.mode, c.cap, got)
		}
		if got := string(encode(t, export.CoT, c.e, o)); strings.Contains(got,
			`opex="`) != (c.opex != "") || !strings.Contains(got, c.opex) {
			t.Errorf("%s: want opex %q in %s", c.mode, c.opex, got)
		}
		if got := string(encode(t, export.GeoJSON, c.e, o)); !strings.Contains(got, `"status":"`+c.cap+`"`) {
			t.Errorf("%s: want status %s in %s", c.mode, c.cap, got)
		}
	}
}

func TestWithoutPosition(t *testing.T) {
	e := smoke()
	e.Latest.Evidence.Position = nil
	if _, err := export.Encode(export.CoT, e, export.Options{}); !errors.Is(err, export.ErrNoPosition) {
		t.Errorf("got %v, want ErrNoPosition", err)
	}
	if got := string(encode(t, export.GeoJSON, e, export.Options{})); !strings.Contains(got, `"geometry":null`) {
		t.Errorf("got %s, want a feature without geometry", got)
	}
	if got := string(encode(t, export.CAP, e, export.Options{})); strings.Contains(got, "<circle>") {
		t.Errorf("got %s, want no circle", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []export.Options{{Sender: "fire brigade"}, {Sender: "a,b"}, {Mode: "Maybe"}} {
		if o.Validate() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if err := (export.Options{Sender: "fire.example.org", Mode: export.Test}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := export.Encode("pdf", smoke(), export.Options{}); err == nil {
		t.Error("an unknown format was accepted")
	}
}

// Whatever a drone calls things, what comes out can be parsed and keeps its form.
func FuzzEncode(f *testing.F) {
	f.Add("kite-7", "smoke", "fire", "note", 46.5, 7.25, 12.0, 62.0)
	f.Add("<&>\"'", "]]>\x00\ufffe", "a,b c", "\xff\xf0", -90.0, 180.0, 359.9, 179.0)
	f.Fuzz(func(t *testing.T, drone, label, model, note string, lat, lon, bearing, fov float64) {
		e := smoke()
		a := e.Latest
		a.Drone, a.Label, a.Evidence.Model.Name = drone, label, model
		a.Evidence.Position.Lat, a.Evidence.Position.Lon = lat, lon
		a.Evidence.View = &wire.View{HeadingDeg: bearing, BearingDeg: bearing, FOVDeg: fov}
		if _, err := wire.Append(nil, a); err != nil {
			t.Skip("not a valid alert") // and so never stored
		}
		e.Drone, e.Label = drone, label
		e = withVerdict(e, wire.VerdictGlare)
		e.Verdict.Note = note
		for _, format := range []export.Format{export.CAP, export.CoT} {
			var any struct{ XMLName xml.Name }
			if b := encode(t, format, e, export.Options{}); xml.Unmarshal(b, &any) != nil {
				t.Errorf("%s cannot be parsed: %s", format, b)
			}
		}
		if b := encode(t, export.GeoJSON, e, export.Options{}); !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
	})
}

// Names of events come from drones. None may take the place of another's, nor break a file.
func TestNamesAreOfOneEventOnly(t *testing.T) {
	seen := make(map[string]string)
	add := func(what string, change func(*wire.Alert)) {
		a := smoke().Latest
		change(a)
		name := export.FileName(eventOf(a))
		if other, ok := seen[name]; ok {
			t.Errorf("%s has the name of %s: %s", what, other, name)
		}
		seen[name] = what
		if strings.ContainsAny(name, "/ ,<&") || len(name) > 200 || !utf8.ValidString(name) {
			t.Errorf("%s: got %q (%d bytes), want a name for a file and for CAP", what, name, len(name))
		}
	}
	add("an event", func(*wire.Alert) {})
	add("the same name from another drone", func(a *wire.Alert) { a.Drone = "hostile" })
	add("the same name in another run", func(a *wire.Alert) { a.Boot = "another" })
	add("another fleet", func(a *wire.Alert) { a.Fleet = "vall" })
	add("a name that cleans to the same, one", func(a *wire.Alert) { a.Event = "a<" })
	add("a name that cleans to the same, two", func(a *wire.Alert) { a.Event = "a&" })
	add("a long name", func(a *wire.Alert) { a.Event = strings.Repeat("e", wire.MaxText) })
	add("a long name that differs at its end", func(a *wire.Alert) { a.Event = strings.Repeat("e", wire.MaxText-1) + "f" })
	add("wide characters", func(a *wire.Alert) { a.Event = strings.Repeat("日本語", 56) })
	add("a way up", func(a *wire.Alert) { a.Event = "../../etc/passwd" })
}

// A drone's clock may be wrong by any amount; what goes to others still makes sense.
func TestWrongClocks(t *testing.T) {
	for name, change := range map[string]func(*wire.Alert){
		"never set":   func(a *wire.Alert) { a.Clock, a.Started = wire.ClockNone, wire.At(time.Unix(12, 0)) },
		"a day ahead": func(a *wire.Alert) { a.Started = wire.At(t0.Add(24 * time.Hour)) },
	} {
		a := smoke().Latest
		change(a)
		e := eventOf(a)
		first := e.First.UTC()
		for f, want := range map[export.Format]string{
			export.CoT: `start="` + first.Format("2006-01-02T15:04:05.000Z"),
			export.CAP: "<onset>" + first.Format("2006-01-02T15:04:05") + "-00:00",
		} {
			if got := string(encode(t, f, e, export.Options{})); !strings.Contains(got, want) {
				t.Errorf("%s: want %s in %s", name, want, got)
			}
		}
	}
}
