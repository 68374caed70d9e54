package cli

import (
	"fmt"
	"io"
	"time"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/wire"
)

// feedLine is one message of the feed as watch --json and demo --json print it.
type feedLine struct {
	Type      string       `json:"type"` // alert, status, health, stats or result
	Topic     string       `json:"topic"`
	Received  string       `json:"received"`   // RFC 3339 with milliseconds
	LatencyMS float64      `json:"latency_ms"` // capture to arrival, by the clocks of both ends
	Missing   uint64       `json:"missing,omitempty"`
	Retained  bool         `json:"retained,omitempty"`
	Message   wire.Message `json:"message"`
}

func lineOf(r ground.Received) feedLine {
	h := r.Message.Head()
	return feedLine{
		Type: string(h.Kind), Topic: r.Message.Topic().String(), Received: r.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		LatencyMS: milliseconds(r.At.Round(0).Sub(h.Captured.Time)), Missing: r.Missing, Retained: r.Retained,
		Message: r.Message,
	}
}

// describe is one line for people; "" for messages they need not see.
func describe(r ground.Received) string {
	h := r.Message.Head()
	head := fmt.Sprintf("%s %s/%s ", r.At.Format(time.TimeOnly), h.Fleet, h.Drone)
	switch m := r.Message.(type) {
	case *wire.Alert:
		return head + describeAlert(m, r.Missing)
	case *wire.Status:
		return head + fmt.Sprintf("%s %s (%s)", m.State, m.Reason, m.Software)
	case *wire.Health:
		return head + describeHealth(m)
	}
	return ""
}

func describeAlert(a *wire.Alert, missing uint64) string {
	e := a.Evidence
	s := fmt.Sprintf("%-7s %-6s %-10s score %.2f (threshold %.2f), %d of %d frames, %.1f s, %s on %s",
		a.Task, a.Phase, a.Label, e.Calibrated, e.Threshold, e.Agree, e.Window, float64(e.DwellMS)/1000,
		e.Model.EffectivePrecision, e.Model.EffectiveProvider)
	if a.Late {
		s += fmt.Sprintf(", LATE: captured %s", a.Captured.Local().Format(time.TimeOnly))
	}
	if missing > 0 {
		s += fmt.Sprintf(", %d earlier alert(s) still missing", missing)
	}
	return s
}

func describeHealth(h *wire.Health) string {
	if len(h.Conditions) == 0 {
		return "health  ok"
	}
	s := fmt.Sprintf("health  %s:", h.State)
	for _, c := range h.Conditions {
		s += fmt.Sprintf(" [%s] %s", c.Code, c.Text)
	}
	return s
}

// printer writes the feed. Health is shown to people only when it changes.
type printer struct {
	out    io.Writer
	json   bool
	health map[string]string // latest health line by drone
	err    error
	broken func() // called once when out does not take what is written; nil for nobody
}

const maxHealth = 16384 // drones whose latest health is remembered

func newPrinter(out io.Writer, json bool) *printer {
	return &printer{out: out, json: json, health: make(map[string]string)}
}

// Handle implements ground.Handler.
func (p *printer) Handle(r ground.Received) {
	if p.err != nil {
		return
	}
	if p.err = p.print(r); p.err != nil && p.broken != nil {
		p.broken()
	}
}

func (p *printer) print(r ground.Received) (err error) {
	if p.json {
		return emit(p.out, lineOf(r))
	}
	if h, ok := r.Message.(*wire.Health); ok {
		key := h.Fleet + "/" + h.Drone
		now := describeHealth(h)
		if p.health[key] == now {
			return nil
		}
		if len(p.health) >= maxHealth { // somebody makes names up
			clear(p.health)
		}
		p.health[key] = now
	}
	if line := describe(r); line != "" {
		_, err = fmt.Fprintln(p.out, line)
	}
	return err
}
