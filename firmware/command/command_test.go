package command_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"emberwing/firmware/command"
	"emberwing/telemetry/wire"
)

func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

const boot = "0123456789abcdef"

// order is a command as a station makes it, changed before or after it is signed.
func order(t *testing.T, counter uint64, key ed25519.PrivateKey, before, after func(*wire.Command)) (topic string,
	payload []byte) {
	t.Helper()
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	c := &wire.Command{
		Header: wire.Header{Fleet: "f", Drone: "d", Boot: boot, Captured: wire.At(now), Clock: wire.ClockNTP},
		Verb:   wire.VerbProfile, Counter: counter, Profile: &wire.Profile{Name: "narrow"},
	}
	if before != nil {
		before(c)
	}
	if err := wire.Sign(c, key); err != nil {
		t.Fatal(err)
	}
	if after != nil {
		after(c)
	}
	payload, err := wire.Append(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	return c.Topic().String(), payload
}

func desk(t *testing.T, state string) (*command.Desk, time.Time) {
	t.Helper()
	start := time.Now()
	d, err := command.Open(command.Options{Boot: boot, Started: start,
		Trusted: []ed25519.PublicKey{public(keyOf(1)), public(keyOf(2))}, State: state})
	if err != nil {
		t.Fatal(err)
	}
	return d, start
}

func TestOnlyRightCommandsAreTaken(t *testing.T) {
	d, start := desk(t, filepath.Join(t.TempDir(), "sub", "state.json"))
	cases := []struct {
		name          string
		counter       uint64
		key           byte
		before, after func(*wire.Command)
		age           time.Duration
		retained      bool
		want          string // in the refusal; "" is taken
	}{
		{name: "first", counter: 5, key: 1},
		{name: "replay", counter: 5, key: 1, want: "replay"},
		{name: "older", counter: 4, key: 1, want: "replay"},
		{name: "next", counter: 6, key: 1},
		{name: "another key counts for itself", counter: 1, key: 2},
		{name: "unknown key", counter: 9, key: 3, want: "not trusted"},
		{name: "changed after signing", counter: 9, key: 1, after: func(c *wire.Command) { c.Profile.Name = "detailed" },
			want: "signature"},
		{name: "of an earlier run", counter: 9, key: 1, before: func(c *wire.Command) { c.Boot = "earlier" }, want: "stale"},
		{name: "expired", counter: 9, key: 1, before: func(c *wire.Command) { c.ExpiresNS = 2e9 }, age: 3 * time.Second,
			want: "expired 1s ago"},
		{name: "in time", counter: 9, key: 1, before: func(c *wire.Command) { c.ExpiresNS = 2e9 }, age: time.Second},
		{name: "retained", counter: 10, key: 1, retained: true, want: "retained"},
	}
	for _, c := range cases {
		topic, payload := order(t, c.counter, keyOf(c.key), c.before, c.after)
		got, err := d.Check(topic, payload, c.retained, start.Add(c.age))
		switch {
		case c.want == "" && (err != nil || got.Counter != c.counter):
			t.Errorf("%s: got %v, want it taken", c.name, err)
		case c.want != "" && (!errors.Is(err, command.ErrRefused) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want a refusal with %q", c.name, err, c.want)
		}
	}
}

func TestWhatIsNoCommandIsRefused(t *testing.T) {
	d, start := desk(t, filepath.Join(t.TempDir(), "state.json"))
	topic, payload := order(t, 1, keyOf(1), nil, nil)
	for name, c := range map[string]struct {
		topic   string
		payload []byte
	}{
		"noise":             {topic, []byte("{{{")},
		"empty":             {topic, nil},
		"another drone":     {strings.Replace(topic, "/d/", "/e/", 1), payload},
		"unknown verb":      {"ew/1/f/d/cmd/land", bytes.ReplaceAll(payload, []byte("profile"), []byte("land"))},
		"unsigned":          {topic, bytes.Replace(payload, []byte(`"signature":`), []byte(`"x":`), 1)},
		"a receipt instead": {"ew/1/f/d/receipt", []byte(`{"v":1}`)},
	} {
		if _, err := d.Check(c.topic, c.payload, false, start); !errors.Is(err, command.ErrRefused) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func TestCountersSurviveARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.json")
	d, start := desk(t, state)
	topic, payload := order(t, 7, keyOf(1), nil, nil)
	if _, err := d.Check(topic, payload, false, start); err != nil {
		t.Fatal(err)
	}
	d, start = desk(t, state)
	if _, err := d.Check(topic, payload, false, start); err == nil || !strings.Contains(err.Error(), "replay") {
		t.Errorf("got %v, want a replay", err)
	}
}

func TestACounterThatCannotBeKeptIsARefusal(t *testing.T) {
	blocker := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(blocker, "state.json")
	d, err := command.Open(command.Options{Boot: boot, Started: time.Now(),
		Trusted: []ed25519.PublicKey{public(keyOf(1))}, State: state})
	if err == nil {
		t.Error("a path that cannot be read is not reported")
	}
	topic, payload := order(t, 7, keyOf(1), nil, nil)
	for range 2 { // the second time too: it was not used up
		if _, err := d.Check(topic, payload, false, time.Now()); err == nil || !strings.Contains(err.Error(),
			"cannot be kept") {
			t.Errorf("got %v, want a refusal that names the disk", err)
		}
	}
}

func TestDamagedCountersAreReported(t *testing.T) {
	for _, text := range []string{"", "[1]", "null", `{"a":-1}`} {
		state := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := command.Open(command.Options{Boot: boot, Trusted: []ed25519.PublicKey{public(keyOf(1))}, State: state})
		if d == nil || err == nil {
			t.Errorf("%q: got %v and %v, want a desk that works and the reason", text, d, err)
			continue
		}
		topic, payload := order(t, 1, keyOf(1), nil, nil)
		if _, err := d.Check(topic, payload, false, time.Now()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestVerdictsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "verdicts.jsonl")
	want := []wire.Acknowledge{{Event: "a", Verdict: wire.VerdictGlare, By: "ana"},
		{Event: "b", Verdict: wire.VerdictFire}}
	for _, a := range want {
		if err := command.Append(path, a); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []wire.Acknowledge
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var a wire.Acknowledge
		if err := dec.Decode(&a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzState: whatever the file of counters holds, the desk works, and a replay is refused.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"0123456789abcdef":7}`))
	f.Add([]byte(`null`))
	path := filepath.Join(f.TempDir(), "s")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		key := keyOf(1)
		d, _ := command.Open(command.Options{Boot: boot, Trusted: []ed25519.PublicKey{public(key)}, State: path})
		topic, payload := order(t, wire.MaxSeq, key, nil, nil)
		_, first := d.Check(topic, payload, false, time.Now())
		if _, err := d.Check(topic, payload, false, time.Now()); !errors.Is(err, command.ErrRefused) {
			t.Fatalf("a replay got %v, the first %v", err, first)
		}
	})
}

// FuzzCheck: whatever arrives, nothing unsigned is taken and nothing panics.
func FuzzCheck(f *testing.F) {
	t := &testing.T{}
	topic, payload := order(t, 1, keyOf(3), nil, nil)
	f.Add(topic, payload)
	f.Add("ew/1/f/d/cmd/mute", []byte(`{"v":1,"kind":"cmd"}`))
	d, err := command.Open(command.Options{Boot: boot, Trusted: []ed25519.PublicKey{public(keyOf(1))},
		State: filepath.Join(f.TempDir(), "s")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		if c, err := d.Check(topic, payload, false, time.Now()); err == nil {
			t.Fatalf("taken: %+v", c)
		}
	})
}
