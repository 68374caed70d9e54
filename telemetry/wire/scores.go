package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Score is the calibrated probability of one label.
type Score struct {
	Label string
	Score float64 // 0..1
}

// Scores is a JSON object {"label": score, …} that keeps its order.
type Scores []Score

// MarshalJSON writes the object in order, scores rounded to six decimals.
func (s Scores) MarshalJSON() ([]byte, error) {
	buf := bytes.NewBufferString("{")
	for i, e := range s {
		if i > 0 {
			buf.WriteByte(',')
		}
		label, err := json.Marshal(e.Label)
		if err != nil {
			return nil, fmt.Errorf("score label %s: %w", clip(e.Label), err)
		}
		score, err := json.Marshal(round(e.Score))
		if err != nil {
			return nil, fmt.Errorf("score of %s: %w", clip(e.Label), err)
		}
		buf.Write(label)
		buf.WriteByte(':')
		buf.Write(score)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// UnmarshalJSON reads the object, keeps its order and refuses more than MaxList
// entries and repeated labels.
func (s *Scores) UnmarshalJSON(b []byte) error {
	*s = nil
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return scoresError("no object")
	}
	for d.More() {
		e, err := readScore(d)
		if err != nil {
			return err
		}
		if len(*s) == MaxList || s.has(e.Label) {
			return scoresError(fmt.Sprintf("label %s repeated or beyond %d entries", clip(e.Label), MaxList))
		}
		*s = append(*s, e)
	}
	return nil
}

func readScore(d *json.Decoder) (Score, error) {
	key, err := d.Token()
	if err != nil {
		return Score{}, scoresError("no label")
	}
	label, _ := key.(string)
	value, err := d.Token()
	if err != nil {
		return Score{}, scoresError("label without score")
	}
	score, ok := value.(float64)
	if !ok {
		return Score{}, scoresError("a score that is no number")
	}
	return Score{Label: label, Score: score}, nil
}

func scoresError(got string) error {
	return &FieldError{Field: "evidence.scores", Got: got, Want: "an object of numbers by label"}
}

func (s Scores) has(label string) bool {
	_, ok := s.Get(label)
	return ok
}

// Get returns the score of a label.
func (s Scores) Get(label string) (float64, bool) {
	for _, e := range s {
		if e.Label == label {
			return e.Score, true
		}
	}
	return 0, false
}

// MarshalJSON rounds scores to six decimals, which is more than they mean and far
// shorter than a float32 widened to 64 bits.
func (e Evidence) MarshalJSON() ([]byte, error) {
	type plain Evidence
	for _, f := range []*float64{&e.Score, &e.Calibrated, &e.Peak, &e.Threshold, &e.Release, &e.Area} {
		*f = round(*f)
	}
	b, err := json.Marshal(plain(e))
	var wrapped *json.MarshalerError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return b, err
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }
