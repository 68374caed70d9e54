package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// order is one line of input. What it leaves out has a default.
type order struct {
	Do         string           `json:"do"`     // "status", "alert", "stats", "health", "obey" or "crowd"
	Key        string           `json:"key"`    // of the station that is obeyed
	Drones     int              `json:"drones"` // of a crowd
	Events     int              `json:"events"` // of a crowd
	Fleet      string           `json:"fleet"`
	Drone      string           `json:"drone"`
	State      wire.StatusState `json:"state"`
	Reason     string           `json:"reason"`
	Task       wire.Task        `json:"task"`
	Event      string           `json:"event"`
	Phase      wire.Phase       `json:"phase"`
	Revision   int              `json:"revision"`
	Label      string           `json:"label"`
	Calibrated float64          `json:"calibrated"`
	LateMS     int64            `json:"late_ms"`  // captured so long ago
	Exercise   bool             `json:"exercise"` //
	Strange    bool             `json:"strange"`  // unlike what the model was trained on, and run as fallback
	Lat        float64          `json:"lat"`
	Lon        float64          `json:"lon"`
	Heading    float64          `json:"heading"`
	AlertDepth uint64           `json:"alert_depth"`
	Alarm      string           `json:"alarm"` // text of an alarm in the health
	Hold       bool             `json:"hold"`  // number the message but do not send it
}

// drone numbers its messages as a real one does.
type drone struct {
	id      string
	boot    string
	started time.Time
	begun   map[string]time.Time // event to the time of its begin
	alerts  atomic.Uint64
	bulk    uint64
}

func (d *drone) message(o *order) (wire.Message, error) {
	h := d.header(o, time.Duration(o.LateMS)*time.Millisecond)
	switch o.Do {
	case "obey":
		key, err := wire.ParseKey(o.Key)
		return &wire.Status{Header: h, State: wire.Online, Generation: 1, Software: "emberwing test",
			Board:   "jetson-orin-nano",
			Started: wire.At(d.started), Ack: wire.AckReceipt, Keys: []string{wire.KeyID(key)}}, err
	case "status":
		return &wire.Status{Header: h, State: o.State, Reason: o.Reason, Generation: 1, Software: "emberwing test",
			Board: "jetson-orin-nano", Started: wire.At(d.started)}, nil
	case "alert":
		h.Seq = d.alerts.Add(1)
		return d.alert(o, h), nil
	case "stats":
		d.bulk++
		h.Seq = d.bulk
		return stats(o, h), nil
	case "health":
		d.bulk++
		h.Seq = d.bulk
		return health(o, h), nil
	}
	return nil, fmt.Errorf("got %q, want status, alert, stats or health", o.Do)
}

// header of a message about what was captured that long ago.
func (d *drone) header(o *order, ago time.Duration) wire.Header {
	now := time.Now()
	at := now.Add(-ago)
	return wire.Header{Fleet: o.Fleet, Drone: d.id, Boot: d.boot, Captured: wire.At(at),
		MonoNS: max(0, int64(at.Sub(d.started))),
		Clock:  wire.ClockGPS, Published: wire.At(now)}
}

func (d *drone) alert(o *order, h wire.Header) *wire.Alert {
	if o.Phase == wire.PhaseBegin {
		d.begun[o.Event] = h.Captured.Time
	}
	a := &wire.Alert{
		Header: h, Event: o.Event, Task: o.Task, Phase: o.Phase, Revision: o.Revision, Label: o.Label, Exercise: o.Exercise,
		Started: wire.At(d.begun[o.Event]), Evidence: evidence(o),
	}
	if a.Started.IsZero() {
		a.Started = h.Captured
	}
	if o.Phase == wire.PhaseEnd {
		a.Ended = h.Captured
	}
	return a
}

func evidence(o *order) wire.Evidence {
	e := wire.Evidence{
		Agree: 7, Window: 8, Score: 2.3, Calibrated: o.Calibrated, Peak: o.Calibrated, Threshold: 0.62, Release: 0.4,
		DwellMS: 1870,
		Scores:  wire.Scores{{Label: "nofire", Score: 1 - o.Calibrated}, {Label: o.Label, Score: o.Calibrated}},
		Model:   model(o), OOD: &wire.OOD{Score: 31.4, Limit: 96.2}, Area: 0.034, Position: o.position(), Thumb: picture(o),
	}
	if e.Position != nil {
		e.View = o.view()
	}
	if o.Strange {
		e.OOD.Score = 131.9
	}
	return e
}

func (o *order) position() *wire.Position {
	if o.Lat == 0 && o.Lon == 0 {
		return nil
	}
	return &wire.Position{Lat: o.Lat, Lon: o.Lon, AltM: 612, UncertaintyM: 25}
}

func (o *order) view() *wire.View {
	return &wire.View{HeadingDeg: o.Heading, BearingDeg: math.Mod(o.Heading+11, 360), FOVDeg: 62}
}

func model(o *order) wire.Model {
	m := wire.Model{Name: string(o.Task), SHA256: strings.Repeat("0af9", 16), RequestedPrecision: "int8",
		EffectivePrecision: "int8",
		RequestedProvider:  "tensorrt", EffectiveProvider: "tensorrt"}
	if o.Strange {
		m.EffectiveProvider, m.EffectivePrecision, m.Fallback = "cpu", "fp32", "libnvinfer.so.10 not found"
	}
	return m
}

func stats(o *order, h wire.Header) *wire.Stats {
	var decide latency.Histogram
	for i := range 15 {
		decide.Record(time.Duration(24+3*i)*time.Millisecond + time.Duration(h.Seq%7)*time.Millisecond)
	}
	return &wire.Stats{
		Header: h, PeriodMS: 1000, FPS: 14.6, Frames: wire.Frames{Captured: 15, Inferred: 15},
		Stages:    []wire.Stage{{Name: "capture-decision", Histogram: decide.Wire()}},
		Models:    []wire.Model{model(o)},
		Telemetry: wire.Delivery{Queued: h.Seq, Sent: h.Seq, Acked: h.Seq, AlertDepth: o.AlertDepth, BulkDepth: h.Seq % 3},
	}
}

func health(o *order, h wire.Header) *wire.Health {
	m := &wire.Health{
		Header: h, State: wire.HealthOK, Models: []wire.Model{model(o)}, Telemetry: wire.Delivery{AlertDepth: o.AlertDepth},
		Source:  &wire.SourceState{Name: "csi0", State: "ok"},
		Link:    &wire.LinkState{Connected: true, Generation: 1},
		Sensors: []wire.Sensor{{Name: "CPU-therm", Kind: "temperature", Unit: "celsius", Value: 48.5 + float64(h.Seq%5)}},
		Memory:  &wire.Memory{AvailableBytes: 1800 << 20, TotalBytes: 4 << 30, ProcessBytes: 310 << 20},
		Disk:    &wire.Disk{FreeBytes: 9 << 30, TotalBytes: 29 << 30, OutboxBytes: 1 << 20},
	}
	if m.Position = o.position(); m.Position != nil {
		m.View = o.view()
	}
	if o.Alarm != "" {
		m.State, m.Conditions = wire.HealthAlarm, []wire.Condition{{Code: "test-alarm", Severity: wire.SeverityAlarm,
			Text: o.Alarm, Since: h.Captured}}
	}
	return m
}

const width, height = 320, 200 // pixels of every picture

// picture draws a hillside with a column of smoke, so that a picture looks like one.
func picture(o *order) []byte {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, shade(float64(x)/width, float64(y)/height, o.Label == "fire"))
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, m, &jpeg.Options{Quality: 92}); err != nil {
		return nil
	}
	return buf.Bytes()
}

func shade(x, y float64, fire bool) color.RGBA {
	hill := 0.55 + 0.12*math.Sin(5*x+1) + 0.04*math.Sin(17*x)
	bend := 0.62 + 0.25*(0.6-y)*(0.6-y)
	smoke := math.Exp(-math.Pow((x-bend)/(0.03+0.12*(0.65-y)), 2))
	if y > hill+0.05 || y > 0.66 {
		smoke = 0
	}
	base := [3]float64{150 + 60*y, 175 + 40*y, 210}
	if y > hill {
		base = [3]float64{44 + 40*y, 58 + 30*y, 36}
	}
	if fire && math.Hypot((x-0.63)/0.03, (y-0.66)/0.05) < 1 {
		return color.RGBA{255, 150, 40, 255}
	}
	mix := func(v float64) uint8 { return uint8(v*(1-0.75*smoke)+222*0.75*smoke) &^ 7 } // few colours make small files
	return color.RGBA{mix(base[0]), mix(base[1]), mix(base[2]), 255}
}
