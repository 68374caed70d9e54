package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"emberwing/telemetry/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

var t0 = time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)

func header(seq uint64) wire.Header {
	return wire.Header{
		Fleet: "valley", Drone: "kite-7", Boot: "0123456789abcdef", Seq: seq,
		Captured: wire.At(t0), MonoNS: 98_765_432_100, Clock: wire.ClockGPS,
		Published: wire.At(t0.Add(40 * time.Millisecond)),
	}
}

func model() wire.Model {
	return wire.Model{
		Name: "fire", SHA256: strings.Repeat("0af9", 16),
		RequestedPrecision: "int8", EffectivePrecision: "fp32",
		RequestedProvider: "tensorrt", EffectiveProvider: "cpu",
		Fallback: "libnvinfer.so.10 not found",
	}
}

func fireBegin() *wire.Alert {
	return &wire.Alert{
		Header: header(41), Event: wire.EventID("kite-7", "0123456789abcdef", 41),
		Task: wire.TaskFire, Phase: wire.PhaseBegin, Label: "smoke", Started: wire.At(t0.Add(-2 * time.Second)),
		Evidence: wire.Evidence{
			Agree: 6, Window: 8, Score: 0.91234567, Calibrated: 0.87, Peak: 0.9, Threshold: 0.6, Release: 0.4, DwellMS: 2000,
			Scores:   wire.Scores{{Label: "nofire", Score: 0.13}, {Label: "smoke", Score: 0.8}, {Label: "fire", Score: 0.07}},
			Model:    model(),
			Snapshot: &wire.Snapshot{Ref: "snap/41.jpg", Width: 640, Height: 480, SHA256: strings.Repeat("c0de", 16)},
			Position: &wire.Position{Lat: 46.5, Lon: 7.25, AltM: 1210, UncertaintyM: 4},
		},
	}
}

func gestureEnd() *wire.Alert {
	a := fireBegin()
	a.Header = header(44)
	a.Event, a.Task, a.Phase, a.Revision, a.Label = "kite-7-0123456789abcdef-42", wire.TaskGesture, wire.PhaseEnd, 2,
		"palm"
	a.Ended = wire.At(t0.Add(time.Second))
	a.Evidence.Scores = wire.Scores{{Label: "palm", Score: 0.9}, {Label: "other", Score: 0.1}}
	a.Evidence.Snapshot, a.Evidence.Position = nil, nil
	return a
}

func stats() *wire.Stats {
	return &wire.Stats{
		Header: header(1030), PeriodMS: 10_000, FPS: 29.9,
		Frames: wire.Frames{Captured: 300, Replaced: 1, Inferred: 299},
		Stages: []wire.Stage{
			{Name: "infer", Histogram: wire.Histogram{
				SubBits: 4, Count: 299, SumNS: 2_392_000_000, MinNS: 7_900_000, MaxNS: 8_400_000, First: 317,
				Counts: []uint64{290, 0, 9}}},
			{Name: "decide", Histogram: wire.Histogram{SubBits: 4}},
		},
		Models: []wire.Model{model()},
		Telemetry: wire.Delivery{Queued: 90, Sent: 85, Acked: 80, Resent: 2, Dropped: 3, AlertDepth: 1, BulkDepth: 4,
			BulkBytes: 2048, Connections: 2},
	}
}

func health() *wire.Health {
	return &wire.Health{
		Header: header(1031), State: wire.HealthAlarm,
		Conditions: []wire.Condition{{
			Code: "provider-fallback", Severity: wire.SeverityAlarm,
			Text: "asked for TensorRT, runs on cpu: install libnvinfer", Since: wire.At(t0)}},
		Source:    &wire.SourceState{Name: "csi0", State: "reopening", Gaps: 1, GapMS: 2100, Missed: 3, Reopens: 1},
		Link:      &wire.LinkState{Connected: true, Generation: 2, Failures: 1, LastError: "connection reset"},
		Models:    []wire.Model{model()},
		Telemetry: wire.Delivery{Queued: 90},
		Sensors:   []wire.Sensor{{Name: "CPU-therm", Kind: "temperature", Unit: "celsius", Value: 41.5}},
	}
}

func status(s wire.StatusState) *wire.Status {
	m := &wire.Status{Header: header(0), State: s, Generation: 2, Software: "emberwing 0.1.0", Board: "jetson-nano",
		Started: wire.At(t0.Add(-time.Hour))}
	if s == wire.Offline {
		m.Reason = "connection lost"
	}
	return m
}

// key is the same in every run, so that signatures are.
func key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func public() ed25519.PublicKey { return key().Public().(ed25519.PublicKey) }

func signed[M wire.Signed](m M) M {
	if err := wire.Sign(m, key()); err != nil {
		panic(err)
	}
	return m
}

func command(m *wire.Command) *wire.Command {
	m.Header = header(0)
	return signed(m)
}

// jpeg is a picture as far as the schema looks.
func jpeg() []byte { return []byte{0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F'} }

func fireSight() *wire.Alert {
	a := fireBegin()
	a.Exercise, a.Muted = true, true
	e := &a.Evidence
	e.View = &wire.View{HeadingDeg: 341.5, BearingDeg: 352.25, FOVDeg: 62}
	e.OOD = &wire.OOD{Score: 1.25, Limit: 3}
	e.Area, e.Box, e.Thumb = 0.021, &wire.Box{X: 0.55, Y: 0.31, W: 0.125, H: 1 / 3.0}, jpeg()
	return a
}

func healthFull() *wire.Health {
	h := health()
	h.Memory = &wire.Memory{AvailableBytes: 1 << 31, TotalBytes: 1 << 32, ProcessBytes: 200 << 20}
	h.Disk = &wire.Disk{FreeBytes: 5 << 30, TotalBytes: 16 << 30, OutboxBytes: 1 << 20}
	h.Position = &wire.Position{Lat: 46.5, Lon: 7.25, AltM: 1210, UncertaintyM: 4}
	h.View = &wire.View{HeadingDeg: 10, BearingDeg: 10, FOVDeg: 62}
	h.Profile = "normal"
	h.Mutes = []wire.Mute{{ID: "stack", Seconds: 1200, Sector: &wire.Sector{FromDeg: 350, ToDeg: 10}}}
	h.Telemetry = wire.Delivery{Queued: 90, Merged: 4, Dead: 1, AlertsLost: 2, AlertMemory: 3}
	return h
}

func statusKeys() *wire.Status {
	s := status(wire.Online)
	s.Ack, s.Keys = wire.AckReceipt, []string{wire.KeyID(public())}
	return s
}

func samples() map[string]wire.Message {
	return map[string]wire.Message{
		"alert_fire_begin":  fireBegin(),
		"alert_gesture_end": gestureEnd(),
		"stats":             stats(),
		"stats_empty":       &wire.Stats{Header: header(1032)},
		"health":            health(),
		"health_ok":         &wire.Health{Header: header(1033), State: wire.HealthOK},
		"status_online":     status(wire.Online),
		"status_offline":    status(wire.Offline),
		"result": &wire.Result{Header: header(45), Verb: "snapshot", Counter: 7, Outcome: "refused",
			Text: "signature does not match"},
		"alert_fire_sight": fireSight(),
		"health_full":      healthFull(),
		"status_keys":      statusKeys(),
		"picture": &wire.Picture{Header: header(1034), Event: fireBegin().Event, Counter: 9, Width: 320,
			Height: 240, JPEG: jpeg()},
		"cmd_acknowledge": command(&wire.Command{Verb: wire.VerbAcknowledge, Counter: 7, ExpiresNS: 99e9, Acknowledge: &wire.Acknowledge{Event: fireBegin().Event, Verdict: wire.VerdictGlare, By: "ana", Note: "sun < 5° & low"}}),
		"cmd_mute_sector": command(&wire.Command{Verb: wire.VerbMute, Counter: 8, Mute: &wire.Mute{ID: "stack",
			Seconds: 3600, Task: wire.TaskFire, Sector: &wire.Sector{FromDeg: 350, ToDeg: 10}}}),
		"cmd_mute_circle": command(&wire.Command{Verb: wire.VerbMute, Counter: 8, Mute: &wire.Mute{ID: "camp",
			Seconds: 60, Circle: &wire.Circle{Lat: 46.5, Lon: 7.25, RadiusM: 300}}}),
		"cmd_mute_polygon": command(&wire.Command{Verb: wire.VerbMute, Counter: 8, Mute: &wire.Mute{ID: "yard",
			Seconds: 60, Polygon: []wire.Point{{Lat: 46.5, Lon: 7.25}, {Lat: 46.6, Lon: 7.25}, {Lat: 46.6, Lon: 7.3}}}}),
		"cmd_mute_lift": command(&wire.Command{Verb: wire.VerbMute, Counter: 9, Mute: &wire.Mute{ID: "yard"}}),
		"cmd_threshold": command(&wire.Command{Verb: wire.VerbThreshold, Counter: 10,
			Threshold: &wire.Threshold{Task: wire.TaskFire, Value: 0.7}}),
		"cmd_snapshot": command(&wire.Command{Verb: wire.VerbSnapshot, Counter: 11,
			Snapshot: &wire.Request{Event: fireBegin().Event, MaxBytes: 20000}}),
		"cmd_profile": command(&wire.Command{Verb: wire.VerbProfile, Counter: 12,
			Profile: &wire.Profile{Name: "narrow"}}),
		"receipt_signed": signed(&wire.Receipt{Header: header(0), Station: "hill-1",
			Stored: []wire.Range{{Boot: "0123456789abcdef", From: 1, To: 41}, {Boot: "older", From: 7, To: 7}}}),
		"receipt": &wire.Receipt{Header: header(0), Station: "hill-1",
			Stored: []wire.Range{{Boot: "0123456789abcdef", From: 1, To: 41}}},
	}
}

func TestGolden(t *testing.T) {
	for name, m := range samples() {
		t.Run(name, func(t *testing.T) {
			got, err := wire.Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			line := append([]byte(m.Topic().String()+" "), got...) // as mosquitto_sub -v prints it
			path := filepath.Join("testdata", "golden", name+".txt")
			if *update {
				if err := os.WriteFile(path, append(line, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(line)); diff != "" {
				t.Errorf("payload differs (-want +got), run with -update if meant:\n%s", diff)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for name, m := range samples() {
		t.Run(name, func(t *testing.T) {
			b := mustAppend(t, m)
			got, err := wire.Decode(m.Topic().String(), b)
			if err != nil {
				t.Fatal(err)
			}
			if again := mustAppend(t, got); !bytes.Equal(b, again) {
				t.Errorf("decode and encode: got %s, want %s", again, b)
			}
		})
	}
}

func TestAppendKeepsPrefixOnError(t *testing.T) {
	a := fireBegin()
	a.Evidence.Calibrated = 1.5
	dst := []byte("before")
	got, err := wire.Append(dst, a)
	if string(got) != "before" {
		t.Errorf("got %q, want the slice as it was", got)
	}
	wantField(t, err, "evidence.calibrated")
	a.Evidence.Calibrated = 0.5
	if got, err = wire.Append(dst, a); err != nil || !strings.HasPrefix(string(got), `before{"v":1,`) {
		t.Errorf("got %.20q, %v, want the message after the prefix", got, err)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	a := fireBegin()
	b := bytes.Replace(mustAppend(t, a), []byte(`"evidence":{`), []byte(`"new":[{"x":1}],"evidence":{"also":null,`), 1)
	got, err := wire.Decode(a.Topic().String(), b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustAppend(t, a), mustAppend(t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestScoresKeepTheirOrder(t *testing.T) {
	a := fireBegin()
	a.Evidence.Scores = wire.Scores{{"z", 0.5}, {"a", 0.25}, {"é<&>", 0.25}}
	m, err := wire.Decode(a.Topic().String(), mustAppend(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.Evidence.Scores, m.(*wire.Alert).Evidence.Scores); diff != "" {
		t.Error(diff)
	}
	if v, ok := a.Evidence.Scores.Get("a"); !ok || v != 0.25 {
		t.Errorf("Get(a): got %v, %v", v, ok)
	}
}

// fault replaces a part of a good message; the error must name the field.
type fault struct{ msg, old, new, field string }

func alertFaults() []fault {
	return []fault{
		{"alert_fire_begin", `"seq":41`, `"seq":-1`, "seq"},
		{"alert_fire_begin", `"seq":41`, `"seq":9007199254740992`, "seq"},
		{"alert_fire_begin", `"seq":41`, `"seq":1e99`, "seq"},
		{"alert_fire_begin", `"seq":41`, `"seq":"41"`, "seq"},
		{"alert_fire_begin", `"drone":"kite-7"`, `"drone":"a/b"`, "drone"},
		{"alert_fire_begin", `"boot":"0123456789abcdef"`, `"boot":""`, "boot"},
		{"alert_fire_begin", `"clock":"gps"`, `"clock":"sundial"`, "clock"},
		{"alert_fire_begin", `"captured":"2026-05-04T03:02:01.123Z"`, `"captured":"yesterday"`, "captured"},
		{"alert_fire_begin", `"captured":"2026-05-04T03:02:01.123Z"`, `"captured":17`, "captured"},
		{"alert_fire_begin", `"captured":"2026-05-04T03:02:01.123Z"`, `"captured":"0001-01-01T00:00:00.000Z"`, "captured"},
		{"alert_fire_begin", `"mono_ns":98765432100`, `"mono_ns":-5`, "mono_ns"},
		{"alert_fire_begin", `"revision":0`, `"revision":-1`, "revision"},
		{"alert_fire_begin", `"phase":"begin"`, `"phase":"middle"`, "phase"},
		{"alert_fire_begin", `"agree":6`, `"agree":9`, "evidence.agree"},
		{"alert_fire_begin", `"calibrated":0.87`, `"calibrated":-0.1`, "evidence.calibrated"},
		{"alert_fire_begin", `"smoke":0.8`, `"smoke":80`, "evidence.scores.smoke"},
		{"alert_fire_begin", `"smoke":0.8`, `"smoke":"high"`, "evidence.scores"},
		{"alert_fire_begin", `"smoke":0.8`, `"nofire":0.8`, "evidence.scores"},
		{"alert_fire_begin", `"sha256":"0af9`, `"sha256":"0AF9`, "evidence.model.sha256"},
		{"alert_fire_begin", `"lat":46.5`, `"lat":91`, "evidence.position.lat"},
		{"alert_fire_begin", `"width":640`, `"width":1e9`, "evidence.snapshot.width"},
		{"alert_gesture_end", `"label":"palm"`, `"label":""`, "label"},
		{"alert_fire_sight", `"area":0.021`, `"area":1.1`, "evidence.area"},
		{"alert_fire_sight", `"box":[0.55`, `"box":[0.95`, "evidence.box.w"},
		{"alert_fire_sight", `"box":[0.55`, `"box":[0,0.55`, "evidence.box"},
		{"alert_fire_sight", `"heading_deg":341.5`, `"heading_deg":360`, "evidence.view.heading_deg"},
		{"alert_fire_sight", `"score":1.25`, `"score":1e10`, "evidence.ood.score"},
		{"alert_fire_sight", `"thumb":"/9j/`, `"thumb":"R0lG`, "evidence.thumb"},
	}
}

func otherFaults() []fault {
	return []fault{
		{"stats", `"count":299`, `"count":298`, "stages[0].histogram.count"},
		{"stats", `"counts":[290,0,9]`, `"counts":[290,0,-9]`, "stages.histogram.counts"},
		{"stats", `"counts":[290,0,9]`, `"counts":[9007199254740993,0,9]`, "stages[0].histogram.counts"},
		{"stats", `"first":317`, `"first":4095`, "stages[0].histogram.counts"},
		{"stats", `"fps":29.9`, `"fps":-1`, "fps"},
		{"stats", `"replaced":1`, `"replaced":1.5`, "frames.replaced"},
		{"health", `"severity":"alarm"`, `"severity":"meh"`, "conditions[0].severity"},
		{"health", `"text":"asked`, `"text":"\u0000asked`, "conditions[0].text"},
		{"status_online", `"state":"online"`, `"state":"asleep"`, "state"},
		{"result", `"verb":"snapshot"`, `"verb":"result"`, "verb"},
		{"receipt", `"from":1`, `"from":42`, "stored.from"},
		{"receipt_signed", `"key":"`, `"key":"x`, "key"},
		{"receipt_signed", `"signature":"`, `"signature":"AAAA`, "signature"},
		{"picture", `"jpeg":"/9j/`, `"jpeg":"R0lG`, "jpeg"},
		{"picture", `"jpeg":"`, `"x":"`, "jpeg"},
		{"health_full", `"free_bytes":`, `"free_bytes":-`, "disk.free_bytes"},
		{"health_full", `"from_deg":350`, `"from_deg":-1`, "mutes[0].sector.from_deg"},
		{"status_keys", `"ack":"receipt"`, `"ack":"hope"`, "ack"},
		{"status_keys", `"keys":["`, `"keys":["g`, "keys"},
		{"cmd_acknowledge", `"verdict":"glare"`, `"verdict":"boring"`, "acknowledge.verdict"},
		{"cmd_acknowledge", `"signature":"`, `"x":"`, "signature"},
		{"cmd_acknowledge", `"acknowledge":{`, `"profile":{"name":"normal"},"acknowledge":{`, "acknowledge"},
		{"cmd_acknowledge", `"acknowledge":{`, `"other":{`, "acknowledge"},
		{"cmd_mute_sector", `"sector":{`, `"circle":{"radius_m":9},"sector":{`, "mute.circle"},
		{"cmd_mute_sector", `"sector":{`, `"other":{`, "mute.circle"},
		{"cmd_mute_circle", `"radius_m":300`, `"radius_m":0`, "mute.circle.radius_m"},
		{"cmd_mute_polygon", `"lat":46.6`, `"lat":146.6`, "mute.polygon[1].lat"},
		{"cmd_threshold", `"value":0.7`, `"value":1`, "threshold.value"},
		{"cmd_snapshot", `"max_bytes":20000`, `"max_bytes":200000`, "snapshot.max_bytes"},
		{"cmd_profile", `"name":"narrow"`, `"name":"turbo"`, "profile.name"},
	}
}

func TestDecodeNamesTheField(t *testing.T) {
	for _, c := range slices.Concat(alertFaults(), otherFaults()) {
		t.Run(c.field+" "+c.new, func(t *testing.T) {
			m := samples()[c.msg]
			b := mustAppend(t, m)
			bad := bytes.Replace(b, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(b, bad) {
				t.Fatalf("%s does not contain %s", c.msg, c.old)
			}
			_, err := wire.Decode(m.Topic().String(), bad)
			wantField(t, err, c.field)
		})
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var f *wire.FieldError
	if !errors.As(err, &f) || !errors.Is(err, wire.ErrValue) {
		t.Fatalf("got error %v, want a FieldError for %s", err, field)
	}
	if f.Field != field {
		t.Errorf("got field %q (%v), want %q", f.Field, err, field)
	}
}

func TestDecodeErrors(t *testing.T) {
	good := string(mustAppend(t, fireBegin()))
	const topic = "ew/1/valley/kite-7/alert/fire"
	cases := []struct {
		name, topic, payload string
		want                 error
	}{
		{"empty", topic, "", wire.ErrSyntax},
		{"array", topic, "[]", wire.ErrSyntax},
		{"truncated", topic, good[:len(good)-1], wire.ErrSyntax},
		{"two objects", topic, good + good, wire.ErrSyntax},
		{"deep", topic, strings.Repeat(`{"a":`, 12000) + "1" + strings.Repeat("}", 12000), wire.ErrTooLarge},
		{"deep enough", topic, strings.Repeat(`{"a":`, 10900), wire.ErrSyntax},
		{"too large", topic, `{"x":"` + strings.Repeat("a", wire.MaxPayload) + `"}`, wire.ErrTooLarge},
		{"version 2", topic, strings.Replace(good, `"v":1`, `"v":2`, 1), wire.ErrVersion},
		{"version 2, other types", topic, `{"v":2,"seq":"forty"}`, wire.ErrVersion},
		{"no version", topic, `{}`, wire.ErrVersion},
		{"another drone", "ew/1/valley/kite-8/alert/fire", good, wire.ErrMismatch},
		{"another fleet", "ew/1/hills/kite-7/alert/fire", good, wire.ErrMismatch},
		{"another task", "ew/1/valley/kite-7/alert/gesture", good, wire.ErrMismatch},
		{"another kind", "ew/1/valley/kite-7/stats", good, wire.ErrValue},
		{"foreign topic", "homeassistant/x", good, wire.ErrTopic},
		{"an alert as command", "ew/1/valley/kite-7/cmd/mute", good, wire.ErrValue},
		{"another verb", "ew/1/valley/kite-7/cmd/mute", string(mustAppend(t, samples()["cmd_profile"])), wire.ErrMismatch},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := wire.Decode(c.topic, []byte(c.payload)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestErrorTextsStayShort(t *testing.T) {
	_, err := wire.Decode("ew/1/"+strings.Repeat("\x1b", 4000), nil)
	if err == nil || len(err.Error()) > 400 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("got %v, want a short text without control characters", err)
	}
}

func TestTopics(t *testing.T) {
	for topic, want := range map[string]wire.Topic{
		"ew/1/f/d/status":        {Fleet: "f", Drone: "d", Kind: wire.KindStatus},
		"ew/1/f/d/stats":         {Fleet: "f", Drone: "d", Kind: wire.KindStats},
		"ew/1/f/d/health":        {Fleet: "f", Drone: "d", Kind: wire.KindHealth},
		"ew/1/f/d/picture":       {Fleet: "f", Drone: "d", Kind: wire.KindPicture},
		"ew/1/f/d/receipt":       {Fleet: "f", Drone: "d", Kind: wire.KindReceipt},
		"ew/1/f/d/alert/fire":    {Fleet: "f", Drone: "d", Kind: wire.KindAlert, Sub: "fire"},
		"ew/1/f/d/alert/gesture": {Fleet: "f", Drone: "d", Kind: wire.KindAlert, Sub: "gesture"},
		"ew/1/f/d/cmd/mute":      {Fleet: "f", Drone: "d", Kind: wire.KindCommand, Sub: "mute"},
		"ew/1/f/d/cmd/result":    {Fleet: "f", Drone: "d", Kind: wire.KindResult},
	} {
		got, err := wire.ParseTopic(topic)
		if err != nil || got != want {
			t.Errorf("ParseTopic(%s): got %+v, %v, want %+v", topic, got, err, want)
		}
		if got.String() != topic {
			t.Errorf("String: got %s, want %s", got, topic)
		}
	}
}

func TestBadTopics(t *testing.T) {
	for _, topic := range []string{
		"", "ew/1/", "ew/1/f", "ew/1/f/d", "ew/1/f/d/", "ew/1/f/d/status/", "ew/1/f/d/status/x", "ew/1/f/d/alert",
		"ew/1/f/d/alert/",
		"ew/1/f/d/alert/rain", "ew/1/f/d/cmd", "ew/1/f/d/cmd/", "ew/1/f/d/cmd/a/b", "ew/1/f/d/result", "ew/1/f/d/result/",
		"ew/1/f/d/what",
		"ew/2/f/d/status", "EW/1/f/d/status", "ew/1//d/status", "ew/1/f//status", "ew/1/+/d/status", "ew/1/f/#/status",
		"ew/1/f/a b/status", "ew/1/f/a\x00b/status", "ew/1/f/a\xffb/status", "ew/1/f/$d/status", "ew/1/f/a\u200bb/status",
		"ew/1/f/" + strings.Repeat("d", wire.MaxID+1) + "/status",
	} {
		if got, err := wire.ParseTopic(topic); !errors.Is(err, wire.ErrTopic) {
			t.Errorf("ParseTopic(%q): got %+v, %v, want ErrTopic", topic, got, err)
		}
	}
}

func TestTopicProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringN(1, 20, wire.MaxID)
		topic := wire.Topic{Fleet: id.Draw(t, "fleet"), Drone: id.Draw(t, "drone"), Kind: wire.KindCommand, Sub: id.Draw(t,
			"verb")}
		got, err := wire.ParseTopic(topic.String())
		if valid := topic.Validate(); valid == nil && (err != nil || got != topic) {
			t.Fatalf("valid %+v: got %+v, %v", topic, got, err)
		} else if valid != nil && err == nil && got == topic {
			t.Fatalf("invalid %+v (%v) was accepted", topic, valid)
		}
	})
}

func TestFilters(t *testing.T) {
	if f, err := wire.FleetFilter("valley"); f != "ew/1/valley/+/#" || err != nil {
		t.Errorf("got %s, %v", f, err)
	}
	if f, err := wire.FleetFilter("+"); f != "ew/1/+/+/#" || err != nil {
		t.Errorf("got %s, %v", f, err)
	}
	want := []string{"ew/1/v/+/status", "ew/1/v/+/alert/+", "ew/1/v/+/stats", "ew/1/v/+/health", "ew/1/v/+/picture",
		"ew/1/v/+/cmd/result"}
	if f, err := wire.UplinkFilters("v"); !cmp.Equal(f, want) || err != nil {
		t.Errorf("got %s, %v, want %s", f, err, want)
	}
	if f, err := wire.CommandFilter("valley", "kite-7"); f != "ew/1/valley/kite-7/cmd/+" || err != nil {
		t.Errorf("got %s, %v", f, err)
	}
	if _, err := wire.FleetFilter("a/b"); !errors.Is(err, wire.ErrTopic) {
		t.Errorf("got %v, want ErrTopic", err)
	}
	if _, err := wire.CommandFilter("a", "#"); !errors.Is(err, wire.ErrTopic) {
		t.Errorf("got %v, want ErrTopic", err)
	}
}

func TestStamp(t *testing.T) {
	h := health()
	h.Published = wire.Time{}
	h.Conditions[0].Text = `a text with "published":"2001-01-01T00:00:00.000Z" in it`
	b := mustAppend(t, h)
	at := t0.Add(3 * time.Hour)
	if !wire.Stamp(b, at) {
		t.Fatal("the field was not found")
	}
	m, err := wire.Decode(h.Topic().String(), b)
	if err != nil {
		t.Fatal(err)
	}
	h.Published = wire.At(at)
	if diff := cmp.Diff(h, m); diff != "" {
		t.Errorf("stamped message (-want +got):\n%s", diff)
	}
	if got := m.Head().Delay(); got != 3*time.Hour-123*time.Millisecond+123*time.Millisecond {
		t.Errorf("delay: got %v, want 3h", got)
	}
	if n := testing.AllocsPerRun(100, func() { wire.Stamp(b, at) }); n != 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}

func TestStampLeavesOtherBytesAlone(t *testing.T) {
	for _, s := range []string{"", "{}", `{"published":"`, `{"published":"2001"}`, `{"published":"2001-01-01T00:00:00.0000Z"}`} {
		b := []byte(s)
		if wire.Stamp(b, t0) || string(b) != s {
			t.Errorf("Stamp(%s): got %s, want it unchanged", s, b)
		}
	}
	b := mustAppend(t, status(wire.Online))
	if before := string(b); wire.Stamp(b, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)) || string(b) != before {
		t.Error("a year of five digits was written")
	}
}

func TestSupersedes(t *testing.T) {
	known := status(wire.Online)
	with := func(boot string, generation uint64, s wire.StatusState) *wire.Status {
		m := status(s)
		m.Boot, m.Generation = boot, generation
		return m
	}
	cases := []struct {
		name string
		s    *wire.Status
		want bool
	}{
		{"will of this connection", with(known.Boot, 2, wire.Offline), true},
		{"late will of an older connection", with(known.Boot, 1, wire.Offline), false},
		{"late will of an older boot", with("older", 9, wire.Offline), false},
		{"online of a new boot", with("newer", 1, wire.Online), true},
		{"online of a new connection", with(known.Boot, 3, wire.Online), true},
	}
	for _, c := range cases {
		if got := c.s.Supersedes(known); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if !with("any", 1, wire.Offline).Supersedes(nil) {
		t.Error("the first status seen must count")
	}
}

func TestNewBoot(t *testing.T) {
	a, b := wire.NewBoot(), wire.NewBoot()
	if len(a) != 16 || a == b {
		t.Errorf("got %s and %s, want two different ids of 16 digits", a, b)
	}
}

func mustAppend(t *testing.T, m wire.Message) []byte {
	t.Helper()
	b, err := wire.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A daemon that has run for a year still says everything.
func TestLongRuns(t *testing.T) {
	r := &wire.Result{Header: header(7), Verb: "mute", Outcome: "done"}
	r.MonoNS = int64(365 * 24 * time.Hour)
	b, err := wire.Append(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Decode(r.Topic().String(), b)
	if err != nil || m.Head().MonoNS != r.MonoNS {
		t.Errorf("got %v, %v, want %d", m, err, r.MonoNS)
	}
}
