package replay

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"time"
)

// maxOffset bounds the length of a recording.
const maxOffset = 30 * 24 * time.Hour

// readTiming parses timing.csv. The error wraps [ErrTiming] or
// [ErrNoPictures] and names the line.
func readTiming(r io.Reader) ([]entry, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = 2
	reader.TrimLeadingSpace = true
	reader.Comment = '#'
	var entries []entry
	for {
		record, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrTiming, TimingFile, err)
		}
		if len(entries) == 0 && record[0] == "file" && record[1] == "offset_ms" {
			continue
		}
		e, err := parseEntry(record, entries)
		if err != nil {
			line, _ := reader.FieldPos(0)
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrTiming, TimingFile, line, err)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: %s lists none", ErrNoPictures, TimingFile)
	}
	return entries, nil
}

// parseEntry reads one line; earlier are the entries before it.
func parseEntry(record []string, earlier []entry) (entry, error) {
	name := record[0]
	if !filepath.IsLocal(name) {
		return entry{}, fmt.Errorf("got file %q, want a name inside the folder", name)
	}
	ms, err := strconv.ParseFloat(record[1], 64)
	if err != nil || math.IsNaN(ms) || ms < 0 || ms > float64(maxOffset/time.Millisecond) {
		return entry{}, fmt.Errorf("got offset_ms %q, want a number from 0 to %d", record[1], maxOffset/time.Millisecond)
	}
	e := entry{name, time.Duration(ms * float64(time.Millisecond))}
	if n := len(earlier); n > 0 && e.offset < earlier[n-1].offset {
		return entry{}, fmt.Errorf("got offset_ms %s after %v, want times that do not fall", record[1], earlier[n-1].offset)
	}
	return e, nil
}
