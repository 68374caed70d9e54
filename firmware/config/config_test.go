package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestDefaultIsValid(t *testing.T) {
	got, err := Parse("empty.toml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("an empty file changes the defaults (-want +got):\n%s", diff)
	}
}

func TestLoadReportsEveryFaultAtOnce(t *testing.T) {
	_, err := Load("testdata/three-faults.toml", nil)
	want, readErr := os.ReadFile("testdata/three-faults.golden")
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err == nil {
		t.Fatal("got no error")
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), err.Error()); diff != "" {
		t.Errorf("faults differ (-want +got):\n%s", diff)
	}
}

func TestEachFaultNamesKeyLineAndValue(t *testing.T) {
	cases := []struct{ name, text, key, value, reason string }{
		{"unknown key", "[camera]\nfsp = 30\n", "camera.fsp", "30", "unknown key, did you mean camera.fps?"},
		{"unknown section", "\n[radio]\npower = 1\n", "radio.power", "1", "unknown key"},
		{"wrong type", "\n[camera]\nwidth = \"wide\"\n", "camera.width", `'wide'`, "want a whole number"},
		{"bad duration", "\n[mqtt]\nkeep_alive = \"soon\"\n", "mqtt.keep_alive", `'soon'`, "want a duration"},
		{"fps too high", "\n[camera]\nfps = 241.0\n", "camera.fps", "241.0", "want 0..240"},
		{"negative width", "\n[camera]\nwidth = -1\n", "camera.width", "-1", "want 0..8192"},
		{"kind", "\n[camera]\nkind = \"usb\"\n", "camera.kind", `'usb'`, "want one of"},
		{"slash in id", "\n[drone]\nid = \"a/b\"\n", "drone.id", `'a/b'`, "topic level"},
		{"password in address", "\n[mqtt]\nbroker = \"tcp://u:p@h:1\"\n", "mqtt.broker", "", "password_file"},
		{"agree over window", "\n[fire]\nwindow = 4\nagree = 5\n", "fire.agree", "5", "at most the window"},
		{"release over threshold", "\n[fire]\nthreshold = 0.5\nrelease = 0.6\n", "fire.release", "0.6", "at most the threshold"},
		{"provider", "\n[inference]\nproviders = [\"rocm\"]\n", "inference.providers", "['rocm']", "want one or more"},
		{"threshold of one", "\n[fire]\nthreshold = 1.0\n", "fire.threshold", "1.0", "(0,1)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.toml", []byte(c.text), nil)
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) != 1 {
				t.Fatalf("got %v, want exactly one fault", err)
			}
			f := faults[0]
			if f.Key != c.key || f.Line != strings.Count(c.text, "\n") || !strings.Contains(f.Reason, c.reason) {
				t.Errorf("got %+v, want key %s at line %d for %q", f, c.key, strings.Count(c.text, "\n"), c.reason)
			}
			if c.value != "" && f.Value != c.value {
				t.Errorf("got value %s, want %s", f.Value, c.value)
			}
		})
	}
}

func TestBoundariesAreAccepted(t *testing.T) {
	text := "[camera]\nfps = 240.0\nwidth = 8192\nstall_after = \"100ms\"\n[fire]\nwindow = 256\nagree = 256\nthreshold = 0.999\nrelease = 0.999\n"
	if _, err := Parse("f.toml", []byte(text), nil); err != nil {
		t.Error(err)
	}
}

func TestSyntaxErrorNamesItsLine(t *testing.T) {
	_, err := Parse("f.toml", []byte("[camera]\nfps = = 3\n"), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "f.toml:2: ") {
		t.Errorf("got %v, want the error of line 2", err)
	}
}

func TestEnvironmentSetsEveryKind(t *testing.T) {
	env := []string{"HOME=/", "EMBERWING_MQTT_BROKER=tcp://ground:1883", "EMBERWING_CAMERA_FPS=15",
		"EMBERWING_CAMERA_LOOP=false", "EMBERWING_CAMERA_STALL_AFTER=3s", `EMBERWING_INFERENCE_PROVIDERS=["cpu"]`}
	got, err := Parse("f.toml", []byte("[camera]\nfps = 5.0\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.MQTT.Broker, want.Camera.FPS, want.Camera.Loop = "tcp://ground:1883", 15, false
	want.Camera.StallAfter, want.Inference.Providers = Duration(3*time.Second), []string{"cpu"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnvironmentFaults(t *testing.T) {
	env := []string{"EMBERWING_CAMERA_FSP=15", "EMBERWING_CAMERA_FPS=fast", "EMBERWING_DRONE_ID=a b"}
	_, err := Parse("f.toml", nil, env)
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != 3 {
		t.Fatalf("got %d faults, want 3:\n%v", len(faults), err)
	}
	if want := "did you mean EMBERWING_CAMERA_FPS?"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
}

func TestSampleIsTheDefault(t *testing.T) {
	got, err := Load("emberwing.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("the sample file and Default disagree (-default +sample):\n%s", diff)
	}
}

func TestSampleNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("emberwing.toml")
	if err != nil {
		t.Fatal(err)
	}
	for key := range keysByPath(Default()) {
		if keyLines(text)[key] == 0 {
			t.Errorf("the sample file does not show %s", key)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[camera]\nfps = 3\n"))
	f.Add([]byte("a.b.c = [{x=1}]\n"))
	f.Add([]byte("[[fire]]\nmodel=\"x\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := Parse("f.toml", text, nil)
		if err != nil {
			return
		}
		again, err := toml.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("again.toml", again, nil); err != nil {
			t.Errorf("an accepted configuration is refused when written back: %v", err)
		}
	})
}
