package evaluate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"emberwing/firmware/predict"
	"emberwing/infer"
)

// Boxed is a full frame with the true box of its object, in pixels.
type Boxed struct {
	Path           string
	Truth          int
	X0, Y0, X1, Y1 float64
}

// ListBoxes reads a CSV file with columns file, class, xmin, ymin, xmax and
// ymax. A file is searched from the folder of the table upwards.
func ListBoxes(path string, labels []string) ([]Boxed, error) {
	rows, err := readCSV(path, "file", "class", "xmin", "ymin", "xmax", "ymax")
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	out := make([]Boxed, 0, len(rows))
	for i, r := range rows {
		truth, ok := index[r[1]]
		if !ok {
			return nil, fmt.Errorf("read boxes %s: row %d: got class %q, want one of %v", path, i+2, r[1], labels)
		}
		b := Boxed{Truth: truth}
		for k, to := range []*float64{&b.X0, &b.Y0, &b.X1, &b.Y1} {
			if *to, err = strconv.ParseFloat(r[2+k], 64); err != nil {
				return nil, fmt.Errorf("read boxes %s: row %d: %w", path, i+2, err)
			}
		}
		if !(b.X1 > b.X0) || !(b.Y1 > b.Y0) {
			return nil, fmt.Errorf("read boxes %s: row %d: got an empty box %v", path, i+2, r[2:])
		}
		if b.Path, err = upwards(filepath.Dir(path), r[0]); err != nil {
			return nil, fmt.Errorf("read boxes %s: row %d: %w", path, i+2, err)
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read boxes %s: got no rows", path)
	}
	return out, nil
}

// upwards finds a file below dir or one of the folders above it.
func upwards(dir, name string) (string, error) {
	for at, up := dir, 0; up < 4; at, up = filepath.Join(at, ".."), up+1 {
		file := filepath.Join(at, filepath.FromSlash(name))
		if _, err := os.Stat(file); err == nil {
			return file, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("find %s: %w", name, fs.ErrNotExist)
}

// enough is the overlap from which a box counts as the true one.
const enough = 0.3

// Frames counts how well objects are found and named in full frames.
type Frames struct {
	judge         *Judge
	n, found      int
	named, both   int
	signals, sent int // frames with a signal, and those reported right
	ignored       []bool
}

// NewFrames counts for a model whose decision ignores some labels.
func NewFrames(m *infer.Manifest, threshold float32) *Frames {
	f := &Frames{judge: NewJudge(m, threshold), ignored: make([]bool, len(m.Labels))}
	for _, l := range m.Decision.Ignore {
		f.ignored[m.Label(l)] = true
	}
	return f
}

// Add counts the answer for a frame of w by h pixels.
func (f *Frames) Add(b Boxed, w, h int, r *predict.Result) {
	hit := r.Boxed && matches(b, w, h, r.Box)
	right := f.judge.label(r) == b.Truth
	f.n++
	f.found += count(hit)
	f.named += count(right)
	f.both += count(hit && right)
	if !f.ignored[b.Truth] {
		f.signals++
		f.sent += count(right && r.Trigger >= f.judge.threshold)
	}
}

// matches is a box that overlaps the true one by 0.3, or whose centre lies
// inside it.
func matches(b Boxed, w, h int, r predict.Rect) bool {
	x0, y0 := float64(r.X)*float64(w), float64(r.Y)*float64(h)
	x1, y1 := x0+float64(r.W)*float64(w), y0+float64(r.H)*float64(h)
	if x, y := (x0+x1)/2, (y0+y1)/2; x >= b.X0 && x <= b.X1 && y >= b.Y0 && y <= b.Y1 {
		return true
	}
	both := max(min(x1, b.X1)-max(x0, b.X0), 0) * max(min(y1, b.Y1)-max(y0, b.Y0), 0)
	union := (x1-x0)*(y1-y0) + (b.X1-b.X0)*(b.Y1-b.Y0) - both
	return union > 0 && both/union >= enough
}

// FramesLine is the report.
type FramesLine struct {
	Kind     string `json:"kind"` // "frames"
	Found    *Share `json:"found"`
	Named    *Share `json:"named"`           // label right, wherever it was seen
	Both     *Share `json:"found_and_named"` // the object found and its label right
	Reported *Share `json:"reported"`        // of frames with a signal: right and above the threshold
}

// Report computes the shares.
func (f *Frames) Report() FramesLine {
	return FramesLine{
		"frames",
		ShareOf(f.found, f.n),
		ShareOf(f.named, f.n),
		ShareOf(f.both, f.n),
		ShareOf(f.sent, f.signals),
	}
}
