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

// Boxed is a full frame with its objects.
type Boxed struct {
	Path    string
	Objects []Object
}

// Object is a label and a true box in pixels.
type Object struct {
	Truth          int
	X0, Y0, X1, Y1 float64
}

// ListBoxes reads a CSV file with columns file, class, xmin, ymin, xmax and
// ymax, an object a row. A file is searched from the folder of the table
// upwards; rows of one file are one frame.
func ListBoxes(path string, labels []string) ([]Boxed, error) {
	rows, err := readCSV(path, "file", "class", "xmin", "ymin", "xmax", "ymax")
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	out, at := make([]Boxed, 0, len(rows)), map[string]int{}
	for i, r := range rows {
		object, err := parseObject(r[1:], index, labels)
		if err != nil {
			return nil, fmt.Errorf("read boxes %s: row %d: %w", path, i+2, err)
		}
		known, ok := at[r[0]]
		if !ok {
			file, err := upwards(filepath.Dir(path), r[0])
			if err != nil {
				return nil, fmt.Errorf("read boxes %s: row %d: %w", path, i+2, err)
			}
			known, at[r[0]] = len(out), len(out)
			out = append(out, Boxed{Path: file})
		}
		out[known].Objects = append(out[known].Objects, object)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read boxes %s: got no rows", path)
	}
	return out, nil
}

// parseObject reads class, xmin, ymin, xmax and ymax.
func parseObject(row []string, index map[string]int, labels []string) (o Object, err error) {
	truth, ok := index[row[0]]
	if !ok {
		return o, fmt.Errorf("got class %q, want one of %v", row[0], labels)
	}
	o.Truth = truth
	for k, to := range []*float64{&o.X0, &o.Y0, &o.X1, &o.Y1} {
		if *to, err = strconv.ParseFloat(row[1+k], 64); err != nil {
			return o, err
		}
	}
	if !(o.X1 > o.X0) || !(o.Y1 > o.Y0) {
		return o, fmt.Errorf("got an empty box %v", row[1:])
	}
	return o, nil
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

// Frames counts how well objects are found and named in full frames. A frame
// has one answer, so it counts once, however many objects it shows.
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
	label := f.judge.label(r)
	var hit, named, both, signal bool
	for _, o := range b.Objects {
		on, right := r.Boxed && matches(o, w, h, r.Box), label == o.Truth
		hit, named, both = hit || on, named || right, both || on && right
		signal = signal || !f.ignored[o.Truth]
	}
	f.n++
	f.found += count(hit)
	f.named += count(named)
	f.both += count(both)
	if signal {
		f.signals++
		f.sent += count(named && !f.ignored[label] && r.Trigger >= f.judge.threshold)
	}
}

// matches is a box that overlaps the true one by 0.3, or whose centre lies
// inside it.
func matches(b Object, w, h int, r predict.Rect) bool {
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
	Kind     string `json:"kind"`            // "frames"
	Found    *Share `json:"found"`           // the answer's box lies on an object
	Named    *Share `json:"named"`           // the label is an object's, wherever it was seen
	Both     *Share `json:"found_and_named"` // the box lies on an object, and the label is that object's
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
