package sysfs

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// PowerMode is the nvpmodel mode a Jetson is in; speeds mean little without
// it.
type PowerMode struct {
	ID   int
	Name string // "MAXN", "15W"; "" if the configuration does not name it
}

// ReadPowerMode reads the mode that nvpmodel set last. No nvpmodel is
// ErrAbsent; a status file of another shape is ErrNoData.
func ReadPowerMode(fsys fs.FS) (PowerMode, error) {
	status, err := readText(fsys, "var/lib/nvpmodel/status")
	if err != nil {
		return PowerMode{}, fmt.Errorf("read power mode: %w", err)
	}
	word, _, _ := strings.Cut(status, " ")
	id, err := strconv.ParseUint(strings.TrimPrefix(word, "pmode:"), 10, 16)
	if err != nil || !strings.HasPrefix(word, "pmode:") {
		return PowerMode{}, fmt.Errorf("read power mode: %w: got status %q", ErrNoData, status)
	}
	conf, err := readFile(fsys, "etc/nvpmodel.conf")
	if err != nil {
		return PowerMode{ID: int(id)}, nil
	}
	return PowerMode{ID: int(id), Name: modeName(conf, int(id))}, nil
}

// modeName finds "< POWER_MODEL ID=2 NAME=MAXN_SUPER >".
func modeName(conf []byte, id int) string {
	lines := bufio.NewScanner(bytes.NewReader(conf))
	for lines.Scan() {
		words := strings.Fields(strings.Map(toSpace, lines.Text()))
		if len(words) < 4 || words[0] != "<" || words[1] != "POWER_MODEL" || words[2] != "ID="+strconv.Itoa(id) {
			continue
		}
		if name, ok := strings.CutPrefix(words[3], "NAME="); ok {
			return name
		}
	}
	return ""
}
