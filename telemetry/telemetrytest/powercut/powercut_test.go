package powercut_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"emberwing/telemetry/telemetrytest/powercut"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("EMBERWING_POWERCUT_CHILD"); mode != "" {
		if err := save(mode, os.Getenv("EMBERWING_POWERCUT_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// content is longer than a sector, so that it can be torn.
func content() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 100) }

// save writes a file the way programs should, but for what mode leaves out, and promises it.
func save(mode, dir string) error {
	tmp, name := filepath.Join(dir, "file.tmp"), filepath.Join(dir, "file")
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content()[:700])
	if _, more := f.Write(content()[700:]); err == nil {
		err = more
	}
	if mode != "no sync" {
		err = errors.Join(err, f.Sync())
	}
	err = errors.Join(err, f.Close(), os.Rename(tmp, name))
	if mode != "no sync of the directory" {
		d, openErr := os.Open(dir)
		if openErr != nil {
			return openErr
		}
		err = errors.Join(err, d.Sync(), d.Close())
	}
	fmt.Println("saved")
	return err
}

// broken counts the states in which the promise does not hold.
func broken(t *testing.T, mode string) (states, bad int) {
	t.Helper()
	dir := t.TempDir()
	trace := powercut.Record(t, dir, os.Args[0], nil, []string{"EMBERWING_POWERCUT_CHILD=" + mode,
		"EMBERWING_POWERCUT_DIR=" + dir})
	work := filepath.Join(t.TempDir(), "work")
	for s := range trace.States() {
		states++
		s.Write(t, work)
		got, err := os.ReadFile(filepath.Join(work, "file"))
		if len(s.Lines) > 0 && (err != nil || !bytes.Equal(got, content())) {
			bad++
		}
	}
	return states, bad
}

func TestCarefulProgramKeepsItsPromise(t *testing.T) {
	states, bad := broken(t, "careful")
	if bad > 0 || states < 10 {
		t.Errorf("got %d of %d states broken, want none of at least 10", bad, states)
	}
}

func TestCarelessProgramsAreFound(t *testing.T) {
	for _, mode := range []string{"no sync", "no sync of the directory"} {
		if states, bad := broken(t, mode); bad == 0 {
			t.Errorf("%s: got all %d states right", mode, states)
		}
	}
}
