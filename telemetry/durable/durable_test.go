package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"emberwing/telemetry/durable"
	"emberwing/telemetry/telemetrytest/powercut"
)

const child = "EMBERWING_DURABLE_CHILD"

// TestMain makes a file two folders down when it is the program under test.
func TestMain(m *testing.M) {
	dir := os.Getenv(child)
	if dir == "" {
		os.Exit(m.Run())
	}
	deep := filepath.Join(dir, "one", "two")
	err := durable.MkdirAll(deep, 0o750)
	if err == nil {
		err = os.WriteFile(filepath.Join(deep, "file"), nil, 0o600)
	}
	if err == nil {
		err = durable.SyncDir(deep)
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("made\n")
}

func TestFoldersSurviveAPowerCut(t *testing.T) {
	dir := t.TempDir()
	promised := 0
	for s := range powercut.Record(t, dir, os.Args[0], nil, []string{child + "=" + dir}).States() {
		if _, there := s.Files["one/two/file"]; len(s.Lines) > 0 && !there {
			t.Errorf("%s: the file is gone", s.Name)
		}
		promised += len(s.Lines)
	}
	if promised == 0 {
		t.Error("no state after the promise")
	}
}

func TestMkdirAllFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirAll(filepath.Join(file, "below"), 0o750); err == nil {
		t.Error("a folder below a file was made")
	}
	if err := durable.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Errorf("a folder that exists: %v", err)
	}
}
