package outbox

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emberwing/telemetry/wire"
)

func recordOf(t testing.TB, seq uint64, note string) []byte {
	t.Helper()
	h := wire.Header{Fleet: "f", Drone: "d", Boot: "b", Seq: seq, Captured: wire.At(time.Unix(1e9, 0)),
		Clock: wire.ClockNone}
	m := &wire.Result{Header: h, Verb: "mute", Outcome: "done", Text: note}
	payload, err := wire.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return encodeRecord(&Item{ID: ID{Alerts, seq}, Topic: m.Topic().String(), Payload: payload})
}

// Records are found wherever they lie, also across the steps in which a file is read, and what
// only looks like one is not.
func TestCarve(t *testing.T) {
	noise := []byte(`xx ew/1/ew/1/f/d/cmd/result{"seq":7} ew/1/f/d{` + "\xff\x00")
	var file []byte
	pad := func(to int) {
		for len(file) < to {
			file = append(file, noise[:min(len(noise), to-len(file))]...)
		}
	}
	places := []int{0, 4096, carveStep - 50, 2*carveStep - 3, 3 * carveStep, 4*carveStep + 17}
	for i, at := range places {
		pad(at)
		file = append(file, recordOf(t, uint64(i+1), `a note with "braces} {" and ew/1/f/d/alert/fire{`)...)
	}
	broken := recordOf(t, 99, "broken")
	broken[len(broken)-3] ^= 1
	file = append(file, broken...)
	wrongKey := recordOf(t, 98, "wrong number")
	file = append(file, []byte(strings.Replace(string(wrongKey), `"seq":98`, `"seq":97`, 1))...)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := carve(path)
	if err != nil || len(found) != len(places) {
		t.Fatalf("got %d records, %v, want %d", len(found), err, len(places))
	}
	for i := range places {
		if item, ok := found[uint64(i+1)]; !ok || item.Topic != "ew/1/f/d/cmd/result" {
			t.Errorf("record %d: got %+v, %v", i+1, item, ok)
		}
	}
}

func FuzzCarve(f *testing.F) {
	one := recordOf(f, 1, "one")
	f.Add(one)
	f.Add(append(append([]byte("ew/1/"), one...), one[:20]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		found := make(map[uint64]Item)
		carveRecords(b, found)
		for seq, item := range found {
			if item.Seq != seq || binary.BigEndian.Uint64(key(seq)) != seq || !strings.HasPrefix(item.Topic, topicStart) {
				t.Fatalf("got %+v under %d", item, seq)
			}
		}
	})
}

// A damaged file that cannot be moved aside is saved from once; what has arrived since does not
// come back with every attempt to open it.
func TestDamagedFileThatCannotBeMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 250)) // no room in a name for .damaged-1
	var file []byte
	for seq := range uint64(5) {
		file = append(file, recordOf(t, seq+1, fmt.Sprint("note ", seq))...)
	}
	if err := os.WriteFile(path, append(make([]byte, 8192), file...), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if s := b.Stats(); s.AlertDepth != 5 || s.MemoryAlerts != 5 || s.Err == nil {
		t.Fatalf("got %+v, want five in memory", s)
	}
	if err := b.Ack(ID{Alerts, 2}, ID{Alerts, 3}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m := &wire.Result{Header: wire.Header{Fleet: "f", Drone: "d", Boot: "b", Captured: wire.At(time.Unix(1e9, 0)),
			Clock: wire.ClockNone}, Verb: "mute", Outcome: "done"}
		_ = b.Put(m) // reports that it is in memory only
	}
	var got []uint64
	for item, ok := b.Next(Alerts, 0); ok; item, ok = b.Next(Alerts, item.Seq) {
		got = append(got, item.Seq)
	}
	if fmt.Sprint(got) != "[1 4 5 6 7]" {
		t.Errorf("got %v, want 1 4 5 6 7", got)
	}
}

// What a broken disk has lost, and was acknowledged afterwards, is not counted below zero.
func TestDepthIsNeverNegative(t *testing.T) {
	b := &Box{gone: map[uint64]struct{}{1: {}, 2: {}}, unsaid: []Item{{ID: ID{Alerts, 3}}}}
	if got := b.Stats().AlertDepth; got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}
