// Package evaluate judges a model on labelled pictures: whole folders, full
// frames with boxes, masks, and how its answers hold up when pictures are
// coarser, spoilt or moved. It goes through package predict like the frame path.
package evaluate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"emberwing/firmware/classify"
)

// Picture is one picture with its true label.
type Picture struct {
	Path   string
	Truth  int
	Source string // where it comes from, for results by source
}

// List reads DIR/<class>/*. Folders that are no label of the model are an
// error: a misspelt class would otherwise vanish from the result. The source of
// a picture is the folder below its class that holds it, else the beginning of
// its name (see [SourceOf]). What can be passed over is told to warn.
func List(dir string, labels []string, warn func(string)) ([]Picture, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read classes: %w", err)
	}
	var out []Picture
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		truth := slices.Index(labels, entry.Name())
		if truth < 0 {
			return nil, fmt.Errorf("read classes: %s: got class folder %q, want one of %v", dir, entry.Name(), labels)
		}
		folder := filepath.Join(dir, entry.Name())
		files, skipped, errs := classify.Files([]string{folder})
		for _, err := range errs {
			warn(err.Error())
		}
		if skipped > 0 {
			warn(fmt.Sprintf("%s: skipped %d file(s) that are neither JPEG nor PNG by name", entry.Name(), skipped))
		}
		for _, f := range files {
			out = append(out, Picture{f, truth, sourceIn(folder, f)})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf(
			"read classes: %s: got no pictures, want DIR/<class>/*.jpg with classes from %v",
			dir,
			labels,
		)
	}
	return out, nil
}

// sourceIn is the source of a file below the folder of its class.
func sourceIn(folder, file string) string {
	if rel, err := filepath.Rel(folder, file); err == nil && filepath.Dir(rel) != "." {
		return filepath.ToSlash(filepath.Dir(rel))
	}
	return SourceOf(filepath.Base(file), filepath.Base(folder))
}

var number = regexp.MustCompile(`[-_ ]*\d+$`)

// SourceOf guesses the source of a picture from its name: what stands before
// the class and the number, "deepfire" for "deepfire_fire_0001.jpg".
func SourceOf(name, class string) string {
	s := strings.TrimSuffix(name, filepath.Ext(name))
	s = number.ReplaceAllString(s, "")
	s = strings.TrimRight(strings.TrimSuffix(s, class), "-_ ")
	if s == "" {
		return "unnamed"
	}
	return s
}

// Sources reads a CSV file with columns "file" and "source" and sets the
// source of each picture whose name it holds. It returns how many it found.
func Sources(path string, pictures []Picture) (found int, err error) {
	rows, err := readCSV(path, "file", "source")
	if err != nil {
		return 0, err
	}
	by := make(map[string]string, len(rows))
	for _, r := range rows {
		by[filepath.Base(r[0])] = r[1]
	}
	for i := range pictures {
		if s, ok := by[filepath.Base(pictures[i].Path)]; ok && s != "" {
			pictures[i].Source = s
			found++
		}
	}
	if found == 0 {
		return 0, fmt.Errorf("read sources: %s: got none of the %d pictures in it", path, len(pictures))
	}
	return found, nil
}

// maxRows bounds a CSV file.
const maxRows = 1 << 22

// readCSV returns the named columns of a CSV file with a header line.
func readCSV(path string, columns ...string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read table %s: header: %w", path, err)
	}
	at := make([]int, len(columns))
	for i, c := range columns {
		if at[i] = slices.Index(head, c); at[i] < 0 {
			return nil, fmt.Errorf("read table %s: got columns %v, want %v among them", path, head, columns)
		}
	}
	var rows [][]string
	for len(rows) < maxRows {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", path, err)
		}
		row := make([]string, len(at))
		for i, c := range at {
			row[i] = record[c]
		}
		rows = append(rows, row)
	}
	return nil, fmt.Errorf("read table %s: got more than %d rows", path, maxRows)
}

// Limit returns at most n pictures, as many of each class as possible, chosen
// by seed, in the order of pictures. n of 0 keeps all.
func Limit(pictures []Picture, n int, seed uint64) []Picture {
	if n <= 0 || n >= len(pictures) {
		return pictures
	}
	r := rand.New(rand.NewPCG(seed, 0))
	classes := map[int][]int{}
	var order []int
	for _, i := range r.Perm(len(pictures)) {
		t := pictures[i].Truth
		if classes[t] == nil {
			order = append(order, t)
		}
		classes[t] = append(classes[t], i)
	}
	slices.Sort(order)
	var chosen []int
	for turn := 0; len(chosen) < n; turn++ {
		for _, t := range order {
			if turn < len(classes[t]) && len(chosen) < n {
				chosen = append(chosen, classes[t][turn])
			}
		}
	}
	slices.Sort(chosen)
	out := make([]Picture, n)
	for i, c := range chosen {
		out[i] = pictures[c]
	}
	return out
}
