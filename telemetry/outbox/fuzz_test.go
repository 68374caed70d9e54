package outbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"emberwing/telemetry/outbox"
)

// FuzzFile: whatever the file holds, the box opens, takes a new alert under a number of its
// own, and has it after the next start.
func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "box.db")
	b, err := outbox.Open(outbox.Options{Path: path})
	if err != nil {
		f.Fatal(err)
	}
	put(f, b, alert("a"), alert("b"), health())
	if err := b.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, 0, byte(0))
	f.Add(good, 5000, byte(0xff))
	f.Add(good[:4096], 20, byte(1))
	f.Add([]byte("no database"), 0, byte(0))
	f.Fuzz(func(t *testing.T, file []byte, at int, flip byte) {
		dir := memoryDir(t)
		path := filepath.Join(dir, "box.db")
		if at >= 0 && at < len(file) {
			file[at] ^= flip
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		b := open(t, outbox.Options{Path: path})
		before := labels(t, b)
		a := alert("new")
		put(t, b, a)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, outbox.Options{Path: path})
		if after := labels(t, again); len(after) != len(before)+1 || after[len(after)-1][len(after[len(after)-1])-3:] != "new" {
			t.Fatalf("got %q, want %q and the new one", after, before)
		}
	})
}
