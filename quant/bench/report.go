package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is a whole run: its head, one line a mode and what else was printed.
type Report struct {
	Run   Run
	Modes []Mode
}

// Mode returns the line of a mode, and whether there is one.
func (r *Report) Mode(name string) (Mode, bool) {
	i := slices.IndexFunc(r.Modes, func(m Mode) bool { return m.Mode == name })
	if i < 0 {
		return Mode{}, false
	}
	return r.Modes[i], true
}

// Read reads a report that --json printed: one object a line. Lines of other
// kinds are skipped. A file without a run, of another version or with a mode
// that has a speed and neither accuracy nor a mark is an error.
func Read(r io.Reader) (*Report, error) {
	report, dec := &Report{}, json.NewDecoder(io.LimitReader(r, 256<<20))
	for n := 1; ; n++ {
		var line json.RawMessage
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = report.add(line)
		}
		if err != nil {
			return nil, fmt.Errorf("read report: object %d: %w", n, err)
		}
	}
	if report.Run.Kind == "" {
		return nil, fmt.Errorf("read report: got no line of kind %q, want what bench --json printed", KindRun)
	}
	return report, nil
}

// add takes one line.
func (r *Report) add(line []byte) error {
	var head struct{ Kind string }
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	switch head.Kind {
	case KindRun:
		return r.addRun(line)
	case KindMode:
		var m Mode
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		r.Modes = append(r.Modes, m)
		return m.check()
	}
	return nil
}

func (r *Report) addRun(line []byte) error {
	if r.Run.Kind != "" {
		return errors.New("got a second run, want one in a file")
	}
	if err := json.Unmarshal(line, &r.Run); err != nil {
		return err
	}
	if r.Run.Version != Version {
		return fmt.Errorf("got version %d, want %d: repeat the old run with this program", r.Run.Version, Version)
	}
	return nil
}

// check holds the rule that no speed stands without its accuracy.
func (m *Mode) check() error {
	if m.Latency != nil && m.Accuracy == nil && m.SpeedOnly == "" {
		return fmt.Errorf("mode %s: got a speed without an accuracy and without a mark", m.Mode)
	}
	if m.Latency != nil && len(m.Latency.Turns) == 0 {
		return fmt.Errorf("mode %s: got a latency of no turns", m.Mode)
	}
	return nil
}

// WriteJSON writes the report, one object a line.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(r.Run); err != nil {
		return err
	}
	for _, m := range r.Modes {
		if err := errors.Join(m.check(), e.Encode(m)); err != nil {
			return err
		}
	}
	return nil
}

// String names the machine for people.
func (e Environment) String() string {
	parts := []string{e.Board, e.CPU, fmt.Sprintf("%d cores", e.Cores), fmt.Sprintf("%d inference thread(s)", e.Threads),
		"ONNX Runtime " + e.Runtime}
	if len(e.CPUFeatures) > 0 {
		parts = append(parts, strings.Join(e.CPUFeatures, " "))
	}
	for _, fact := range []struct {
		text string
		set  bool
	}{
		{"power mode " + e.PowerMode, e.PowerMode != ""},
		{"governor " + e.Governor, e.Governor != ""},
		{fmt.Sprintf("CPU %.0f MHz", e.CPUMHz), e.CPUMHz > 0},
		{fmt.Sprintf("GPU %.0f MHz", e.GPUMHz), e.GPUMHz > 0},
		{fmt.Sprintf("%.1f to %.1f °C", e.Celsius, e.CelsiusEnd), e.Celsius != 0},
		{fmt.Sprintf("%.2f W", e.Watts), e.Watts > 0},
		{fmt.Sprintf("load %.1f", e.LoadAverage), e.LoadAverage > float64(e.Cores)/2},
	} {
		if fact.set {
			parts = append(parts, fact.text)
		}
	}
	return strings.Join(parts, ", ")
}
