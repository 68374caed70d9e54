package boards_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// tree reads a captured file system. Device-tree lists are kept one string a
// line there, and become NUL-separated here as the kernel gives them.
func tree(t testing.TB, path string) (fstest.MapFS, map[string]string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, f := range archive.Files {
		data := string(f.Data)
		if strings.HasPrefix(f.Name, "proc/device-tree/") {
			data = strings.ReplaceAll(data, "\n", "\x00")
		}
		fsys[f.Name] = &fstest.MapFile{Data: []byte(data)}
	}
	return fsys, header(string(archive.Comment))
}

// header parses "key: value" lines.
func header(comment string) map[string]string {
	h := map[string]string{}
	for line := range strings.Lines(comment) {
		key, value, _ := strings.Cut(line, ":")
		h[key] = strings.TrimSpace(value)
	}
	return h
}

// trees lists the captured file systems.
func trees(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/trees/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/trees: got %d files, %v", len(paths), err)
	}
	return paths
}
