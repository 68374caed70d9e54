package drone

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/telemetry/wire"
)

// snapshots keeps the newest pictures of alerts in one folder. The zero value
// keeps none.
type snapshots struct {
	dir     string
	quality int // JPEG, 1..100
	keep    int // files

	mu     sync.Mutex
	names  []string
	events []picture // of which events, oldest first; as many as files
	buffer bytes.Buffer
}

// picture is the newest file of an event.
type picture struct {
	event    string
	revision int
	ref      string
}

// link remembers whose picture a file is.
func (s *snapshots) link(a *wire.Alert) {
	if a.Evidence.Snapshot == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = slices.DeleteFunc(s.events, func(p picture) bool { return p.event == a.Event })
	s.events = append(s.events, picture{a.Event, a.Revision, a.Evidence.Snapshot.Ref})
	s.events = s.events[max(0, len(s.events)-s.keep):]
}

// of returns the newest picture of an event of this flight.
func (s *snapshots) of(event string) (picture, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.events, func(p picture) bool { return p.event == event })
	if i < 0 {
		return picture{}, false
	}
	return s.events[i], true
}

func (s *snapshots) path(ref string) string { return filepath.Join(s.dir, ref) }

// newSnapshots makes the folder and takes over the pictures in it. The error is one to tell
// beside snapshots that can be used: save tries again to make the folder.
func newSnapshots(dir string, quality, keep int) (*snapshots, error) {
	s := &snapshots{dir: dir, quality: quality, keep: keep}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, fmt.Errorf("make snapshot folder: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil {
		return s, fmt.Errorf("list snapshots: %w", err)
	}
	slices.Sort(found)
	for _, f := range found {
		s.names = append(s.names, filepath.Base(f))
	}
	return s, nil
}

// save writes f as name.jpg and removes the oldest pictures beyond the limit.
// Without a folder, or without a picture, it returns nil and no error.
func (s *snapshots) save(name string, f *camera.Frame) (*wire.Snapshot, error) {
	if s.dir == "" || f == nil || len(f.Pix) == 0 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffer.Reset()
	if err := still.EncodeJPEG(&s.buffer, f, s.quality); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	name += ".jpg"
	if err := writeFile(filepath.Join(s.dir, name), s.buffer.Bytes()); err != nil {
		return nil, fmt.Errorf("keep snapshot: %w", err)
	}
	s.names = append(s.names, name)
	s.prune()
	sum := sha256.Sum256(s.buffer.Bytes())
	return &wire.Snapshot{Ref: name, Width: f.Width, Height: f.Height, SHA256: hex.EncodeToString(sum[:])}, nil
}

// writeFile writes data under a temporary name first, so that a power cut
// leaves the whole picture or none. It makes the folder if there is none.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, data, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(tmp, data, 0o644)
		}
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
}

func (s *snapshots) prune() {
	for len(s.names) > s.keep {
		os.Remove(filepath.Join(s.dir, s.names[0])) // a file that is gone already is as good as removed
		s.names = s.names[1:]
	}
}

// snapshotName names the picture of one step. Names sort by capture time, so
// that the oldest pictures are the first to go.
func snapshotName(a *wire.Alert) string {
	return fmt.Sprintf("%s-%s-%s-r%d", a.Captured.Format("20060102T150405.000"), a.Drone, a.Task, a.Revision)
}
