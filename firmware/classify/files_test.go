package classify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jpg", "a.PNG", "notes.txt", "deep/er/c.jpeg", "empty/.keep"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	txt, missing, empty := filepath.Join(dir, "notes.txt"), filepath.Join(dir, "gone.jpg"), filepath.Join(dir, "empty")
	files, skipped, errs := Files([]string{dir, txt, missing, empty})
	want := []string{filepath.Join(dir, "a.PNG"), filepath.Join(dir, "b.jpg"), filepath.Join(dir, "deep/er/c.jpeg"), txt}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if skipped != 3 { // notes.txt and .keep below dir, .keep again below empty
		t.Errorf("got %d skipped, want 3", skipped)
	}
	if len(errs) != 2 || !strings.Contains(errs[0].Error(), "gone.jpg") || !strings.Contains(errs[1].Error(), "no JPEG") {
		t.Errorf("got %v, want one error for the missing file and one for the empty folder", errs)
	}
}
