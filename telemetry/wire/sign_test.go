package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/telemetry/wire"
)

func TestSignatureHolds(t *testing.T) {
	trusted := []ed25519.PublicKey{other(), public()}
	for name, m := range samples() {
		s, ok := m.(wire.Signed)
		if !ok || name == "receipt" {
			continue
		}
		back, err := wire.Decode(m.Topic().String(), mustAppend(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Verify(back.(wire.Signed), trusted); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := wire.Verify(s, []ed25519.PublicKey{other()}); !errors.Is(err, wire.ErrSignature) || !strings.Contains(err.Error(), "not trusted") {
			t.Errorf("%s: got %v, want an unknown key", name, err)
		}
	}
	if err := wire.Verify(samples()["receipt"].(wire.Signed), trusted); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("unsigned: got %v, want ErrSignature", err)
	}
}

func other() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
}

// Whatever is changed in a signed message, the signature no longer holds.
func TestSignatureCoversEverythingThatCounts(t *testing.T) {
	changes := map[string]func(*wire.Command){
		"fleet":     func(m *wire.Command) { m.Fleet = "hills" },
		"drone":     func(m *wire.Command) { m.Drone = "kite-8" },
		"boot":      func(m *wire.Command) { m.Boot = "another" },
		"verb":      func(m *wire.Command) { m.Verb, m.Profile = wire.VerbProfile, &wire.Profile{Name: "narrow"} },
		"counter":   func(m *wire.Command) { m.Counter++ },
		"expiry":    func(m *wire.Command) { m.ExpiresNS = 0 },
		"argument":  func(m *wire.Command) { m.Acknowledge.Verdict = wire.VerdictFire },
		"note":      func(m *wire.Command) { m.Acknowledge.Note += "." },
		"signature": func(m *wire.Command) { m.Signature[0] ^= 1 },
	}
	for name, change := range changes {
		m := samples()["cmd_acknowledge"].(*wire.Command)
		change(m)
		if err := wire.Verify(m, []ed25519.PublicKey{public()}); !errors.Is(err, wire.ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		}
	}
	r := samples()["receipt_signed"].(*wire.Receipt)
	r.Stored[0].To++
	if err := wire.Verify(r, []ed25519.PublicKey{public()}); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("a longer receipt: got %v, want ErrSignature", err)
	}
}

// The form of what is signed is part of the schema: other programs have to build it.
func TestSigningBytes(t *testing.T) {
	b, err := samples()["cmd_acknowledge"].(*wire.Command).SigningBytes()
	if err != nil {
		t.Fatal(err)
	}
	want := "ew/1 command\nvalley\nkite-7\n0123456789abcdef\nacknowledge\n7\n99000000000\n" + wire.KeyID(public()) +
		"\n{\"event\":\"kite-7-0123456789abcdef-41\",\"verdict\":\"glare\",\"by\":\"ana\",\"note\":\"sun < 5° & low\"}\n"
	if string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}

func TestKeysAsText(t *testing.T) {
	back, err := wire.ParseKey(wire.FormatKey(public()) + "\n")
	if err != nil || !back.Equal(public()) {
		t.Errorf("got %v, %v", back, err)
	}
	for _, bad := range []string{"", "ed25519:", "ed25519:AAAA", "rsa:" + wire.FormatKey(public()), wire.FormatKey(public())[1:]} {
		if _, err := wire.ParseKey(bad); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestBoot(t *testing.T) {
	for name, m := range samples() {
		if got := wire.Boot(mustAppend(t, m)); got != "0123456789abcdef" {
			t.Errorf("%s: got boot %q", name, got)
		}
	}
	for _, bad := range []string{"", `{"boot":"`, `{"boot":"x`, `{"boot":"` + strings.Repeat("x", 65) + `"}`} {
		if got := wire.Boot([]byte(bad)); got != "" {
			t.Errorf("%q: got boot %q, want none", bad, got)
		}
	}
}

// The largest pictures fit into a message whatever else is in it.
func TestPicturesFit(t *testing.T) {
	a := fireSight()
	a.Evidence.Thumb = append(jpeg(), make([]byte, wire.MaxThumb-len(jpeg()))...)
	mustAppend(t, a)
	p := samples()["picture"].(*wire.Picture)
	p.JPEG = append(jpeg(), make([]byte, wire.MaxPicture-len(jpeg()))...)
	mustAppend(t, p)
	p.JPEG = append(p.JPEG, 0)
	_, err := wire.Append(nil, p)
	wantField(t, err, "jpeg")
}

// What earlier versions of this schema sent stays readable: the files of v1 are never
// rewritten, only added to.
func TestFirstFlightStaysReadable(t *testing.T) {
	files, err := filepath.Glob("testdata/v1/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		topic, payload, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if _, err := wire.Decode(topic, []byte(payload)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// FuzzSigned: no command and no receipt passes that was not signed as it is.
func FuzzSigned(f *testing.F) {
	for _, m := range samples() {
		if _, ok := m.(wire.Signed); ok {
			b, err := wire.Append(nil, m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(m.Topic().String(), b)
		}
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		m, err := wire.Decode(topic, payload)
		if err != nil {
			return
		}
		got, ok := m.(wire.Signed)
		if !ok || wire.Verify(got, []ed25519.PublicKey{public()}) != nil {
			return
		}
		for _, s := range samples() {
			if known, ok := s.(wire.Signed); ok && sameMeaning(t, known, got) {
				return
			}
		}
		t.Fatalf("what nobody signed passes: %s %s", topic, payload)
	})
}

// FuzzParseKey: what is read as a key is written as the same one.
func FuzzParseKey(f *testing.F) {
	f.Add(wire.FormatKey(public()))
	f.Add("ed25519:AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := wire.ParseKey(text)
		if err != nil {
			return
		}
		again, err := wire.ParseKey(wire.FormatKey(k))
		if err != nil || !again.Equal(k) {
			t.Fatalf("got %v, %v, want %v", again, err, k)
		}
	})
}

func sameMeaning(t *testing.T, a, b wire.Signed) bool {
	t.Helper()
	x, errX := a.SigningBytes()
	y, errY := b.SigningBytes()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
