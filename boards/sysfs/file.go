package sysfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// Why a sensor gives no reading; permission is fs.ErrPermission.
var (
	// ErrAbsent: the machine has no such sensor.
	ErrAbsent = errors.New("no such sensor on this machine")
	// ErrNoData: the sensor is there and has no reading now.
	ErrNoData = errors.New("sensor has no reading now")
)

// maxFile bounds what is read of one file; /proc/cpuinfo of a large machine
// is the longest.
const maxFile = 1 << 20

// readFile reads one file and maps its errors to the three kinds.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, explain(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, explain(name, err)
	}
	return b, nil
}

// explain turns an error of a file into one of the kinds. Kernel drivers
// answer EINVAL, EAGAIN, ENODATA, ENODEV or EIO for a sensor without power.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read /%s: %w", name, ErrAbsent)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("read /%s: %w (run as root, or grant read access with a udev rule)", name, fs.ErrPermission)
	}
	for _, no := range []syscall.Errno{syscall.EINVAL, syscall.EAGAIN, syscall.ENODATA, syscall.ENODEV, syscall.EIO} {
		if errors.Is(err, no) {
			return fmt.Errorf("read /%s: %w: %w", name, ErrNoData, no)
		}
	}
	return fmt.Errorf("read /%s: %w", name, err)
}

// readText reads a short text: up to NUL or newline, printable runes only, at
// most 100 bytes.
func readText(fsys fs.FS, name string) (string, error) {
	b, err := readFile(fsys, name)
	if err != nil {
		return "", err
	}
	if i := bytes.IndexAny(b, "\x00\n"); i >= 0 {
		b = b[:i]
	}
	if len(b) > 100 {
		b = b[:100]
	}
	return strings.TrimSpace(strings.Map(printable, string(b))), nil
}

// printable drops what does not belong on a terminal.
func printable(r rune) rune {
	if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
		return -1
	}
	return r
}

// readInt reads one decimal number. Anything else in the file is ErrNoData.
func readInt(fsys fs.FS, name string) (int64, error) {
	text, err := readText(fsys, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read /%s: %w: got %q, want a number", name, ErrNoData, text)
	}
	return n, nil
}

// children returns the entries of a directory, sorted, whose names start with
// a prefix, as paths. A directory that is not there has none.
func children(fsys fs.FS, dir, prefix string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		if err = explain(dir, err); errors.Is(err, ErrAbsent) {
			return nil, nil
		}
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out, nil
}
