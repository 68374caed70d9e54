// Package command decides which commands a drone takes: those that are signed with a key of
// its configuration, name this drone and this run of it, have not expired, and have not been
// seen before. It also keeps the areas that commands have muted.
//
// Nothing here makes a drone fly, and nothing that it lets through can.
package command

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"emberwing/telemetry/durable"
	"emberwing/telemetry/wire"
)

// ErrRefused is wrapped by every error of Check. The text says why.
var ErrRefused = errors.New("refused")

// Options of a Desk.
type Options struct {
	Boot    string              // of this run of the drone
	Started time.Time           // of this run, with a monotonic reading
	Trusted []ed25519.PublicKey // whose commands count
	State   string              // file of the counters; made when missing
}

// Desk takes commands. Its methods may be called from any goroutine.
type Desk struct {
	opts Options

	mu   sync.Mutex
	seen map[string]uint64 // highest counter by key id
}

// Open reads the counters. A file that cannot be read or understood is no reason not to fly,
// and none to worry: commands name the run of the drone that they are for, so what was sent
// to an earlier run is worthless anyway. The error says so, beside a Desk that works.
func Open(opts Options) (*Desk, error) {
	d := &Desk{opts: opts, seen: make(map[string]uint64)}
	text, err := os.ReadFile(opts.State)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &d.seen)
	}
	if err != nil || d.seen == nil {
		d.seen = make(map[string]uint64)
		return d, fmt.Errorf("read counters of commands: %w", err)
	}
	return d, nil
}

// Check decodes a command and decides. The command is not nil whenever it could be decoded,
// so that a refusal can name it. When the error is nil its counter is on disk: the same
// command will not be taken again, not even after a power cut during its execution.
func (d *Desk) Check(topic string, payload []byte, retained bool, now time.Time) (*wire.Command, error) {
	if retained {
		return nil, fmt.Errorf("%w: the broker had kept it (retained)", ErrRefused)
	}
	m, err := wire.Decode(topic, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	c, ok := m.(*wire.Command)
	if !ok {
		return nil, fmt.Errorf("%w: got a %s, want a command", ErrRefused, m.Head().Kind)
	}
	if err := wire.Verify(c, d.opts.Trusted); err != nil {
		return c, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if c.Boot != d.opts.Boot {
		return c, fmt.Errorf("%w: stale: it is for run %s of this drone, which is now in run %s", ErrRefused, c.Boot,
			d.opts.Boot)
	}
	if age := now.Sub(d.opts.Started); c.ExpiresNS > 0 && age.Nanoseconds() > c.ExpiresNS {
		return c, fmt.Errorf("%w: stale: it expired %v ago", ErrRefused,
			(age - time.Duration(c.ExpiresNS)).Round(time.Millisecond))
	}
	return c, d.count(c)
}

// count accepts only counters that grow, and makes them durable.
func (d *Desk) count(c *wire.Command) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.seen[c.Key]
	if c.Counter <= last {
		return fmt.Errorf("%w: replay: got counter %d, want more than %d", ErrRefused, c.Counter, last)
	}
	d.seen[c.Key] = c.Counter
	if err := d.save(); err != nil {
		d.seen[c.Key] = last
		return fmt.Errorf("%w: its counter cannot be kept: %w", ErrRefused, err)
	}
	return nil
}

// save writes the file under another name first and syncs file and folder.
func (d *Desk) save() error {
	text, err := json.Marshal(d.seen)
	if err != nil {
		return err
	}
	dir := filepath.Dir(d.opts.State)
	if err := durable.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	tmp := d.opts.State + ".tmp"
	if err := writeSynced(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(tmp, d.opts.State); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// Append adds one line of JSON to a file and makes it durable. Verdicts of operators are
// kept this way, for the next training.
func Append(path string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := writeSynced(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, append(line, '\n')); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func writeSynced(path string, flag int, data []byte) error {
	f, err := os.OpenFile(path, flag, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
