package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// result is the part of one line of "emberwing classify --json" that must not depend on the machine.
type result struct {
	Path   string             `json:"path"`
	Label  string             `json:"label"`
	Score  float64            `json:"score"`
	Scores map[string]float64 `json:"scores"`
}

// readResults reads one result a line.
func readResults(path string) ([]result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer f.Close()
	rs, err := decodeResults(f)
	if err != nil {
		return nil, fmt.Errorf("read results from %s: %w", path, err)
	}
	return rs, nil
}

func decodeResults(r io.Reader) ([]result, error) {
	var rs []result
	for d := json.NewDecoder(r); ; {
		var one result
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return rs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(rs)+1, err)
		}
		if one.Path == "" || one.Label == "" {
			return nil, fmt.Errorf("line %d: got no path or no label, want both", len(rs)+1)
		}
		rs = append(rs, one)
	}
}

// comparison says how far two machines agree about the same images.
type comparison struct {
	images    int
	labels    map[string]int // how often each label was right, to show that the images differ
	largest   float64        // largest difference of any score
	faults    []string
	tolerance float64
}

// compare matches results by path.
func compare(want, got []result, tolerance float64) comparison {
	c := comparison{labels: map[string]int{}, tolerance: tolerance}
	byPath := make(map[string]result, len(got))
	for _, r := range got {
		byPath[r.Path] = r
	}
	for _, w := range want {
		g, ok := byPath[w.Path]
		if !ok {
			c.fault("%s: no result", w.Path)
			continue
		}
		delete(byPath, w.Path)
		c.add(w, g)
	}
	for path := range byPath {
		c.fault("%s: got a result, want none", path)
	}
	return c
}

// add compares the two results of one image.
func (c *comparison) add(want, got result) {
	c.images++
	if got.Label != want.Label {
		c.fault("%s: got label %s (%.4f), want %s (%.4f)", want.Path, got.Label, got.Score, want.Label, want.Score)
		return
	}
	c.labels[want.Label]++
	if len(got.Scores) != len(want.Scores) {
		c.fault("%s: got %d scores, want %d", want.Path, len(got.Scores), len(want.Scores))
	}
	for label, score := range want.Scores {
		other, ok := got.Scores[label]
		if !ok {
			c.fault("%s: no score for %s", want.Path, label)
			continue
		}
		c.score(want.Path, label, other, score)
	}
	c.score(want.Path, "the label", got.Score, want.Score)
}

func (c *comparison) score(path, name string, got, want float64) {
	difference := math.Abs(got - want)
	c.largest = max(c.largest, difference)
	if !(difference <= c.tolerance) { // a NaN is a fault too
		c.fault("%s: score of %s: got %.6f, want %.6f within %g", path, name, got, want, c.tolerance)
	}
}

func (c *comparison) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// String is the one-line report.
func (c comparison) String() string {
	equal := 0
	for _, n := range c.labels {
		equal += n
	}
	return fmt.Sprintf("%d images: %d labels equal %v, largest score difference %.2g, tolerance %g",
		c.images, equal, c.labels, c.largest, c.tolerance)
}

// verdict is an error when anything differs or fewer than least images were compared.
func (c comparison) verdict(least int) error {
	if c.images < least {
		return fmt.Errorf("compare scores: got %d images, want at least %d", c.images, least)
	}
	if len(c.faults) > 0 {
		return fmt.Errorf("compare scores: %d differences\n  %s", len(c.faults), strings.Join(c.faults, "\n  "))
	}
	return nil
}
