package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The shell of the machine that runs the test is a program that needs GLIBC, the machine its target.
const program = "/bin/sh"

func TestABIAcceptsThisMachine(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"abi", "--sysroot", "/", program}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "needs GLIBC_2.") {
		t.Errorf("got report %q, want it to name the GLIBC that is needed", out.String())
	}
}

func TestABIRefusesTooNew(t *testing.T) {
	err := run([]string{"abi", "--sysroot", "/", "--glibc", "2.1", program}, io.Discard)
	checkError(t, err, "of libc.so.6 is newer than the target's GLIBC_2.1, needed for ")
}

func TestABINamesMissingLibrary(t *testing.T) {
	err := run([]string{"abi", "--sysroot", t.TempDir(), program}, io.Discard)
	checkError(t, err, "libc.so.6, which sh loads, is not in ")
}

func TestABIRefusesOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(strings.Repeat("no program ", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	checkError(t, run([]string{"abi", "--sysroot", "/", file}, io.Discard), "bad magic number")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"abi"}, {"abi", program}, {"abi", "--sysroot", "/"}, {"abi", "--unknown"}, {"other"},
		{"abi", "--sysroot", "/", "--glibc", "new", program},
		{"scores", "one"}, {"scores", "--tolerance", "x", "a", "b"},
	} {
		if err := run(args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("run(%q): got %v, want wrong usage", args, err)
		}
	}
}

func TestParseVersion(t *testing.T) {
	order := []string{"GLIBC_2.2.5", "GLIBC_2.4", "GLIBC_2.17", "GLIBC_2.17.1", "GLIBC_2.34", "GLIBC_3"}
	for i, name := range order[1:] {
		older, ok1 := parseVersion(order[i])
		newer, ok2 := parseVersion(name)
		if !ok1 || !ok2 || older.compare(newer) >= 0 {
			t.Errorf("got %s not older than %s", older, newer)
		}
	}
	for _, name := range []string{"GLIBCXX_3.4", "GLIBC_PRIVATE", "GLIBC_", "GLIBC_2.-1", "GLIBC_1.2.3.4"} {
		if v, ok := parseVersion(name); ok {
			t.Errorf("parseVersion(%q): got %s, want none", name, v)
		}
	}
}

func TestResolveStaysInsideRoot(t *testing.T) {
	root := t.TempDir()
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	write("opt/lib.so.1")
	write("lib/other.so.1")
	link("/opt/lib.so.1", "lib/lib.so.1")
	link("../opt/lib.so.1", "lib/relative.so")
	link("loop.so", "lib/loop.so")
	target := newTarget(root)
	for _, path := range []string{"/lib/lib.so.1", "/lib/relative.so"} {
		got, err := target.resolve(path)
		if want := filepath.Join(root, "opt/lib.so.1"); err != nil || got != want {
			t.Errorf("resolve(%s): got %s, %v, want %s", path, got, err, want)
		}
	}
	for _, path := range []string{"/lib/loop.so", "/lib/none.so"} {
		if _, err := target.resolve(path); err == nil {
			t.Errorf("resolve(%s): got no error, want one", path)
		}
	}
}
