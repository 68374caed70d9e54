package bench

import (
	_ "embed"
	"slices"
	"time"

	"emberwing/quant/accuracy"
)

// Version of the records; it grows when a field changes its meaning.
const Version = 1

// Schema is the JSON schema (draft 2020-12) of one line of a report.
//
//go:embed schema.json
var Schema []byte

// Kinds of lines.
const (
	KindRun      = "run"
	KindMode     = "mode"
	KindRoofline = "roofline"
	KindCompared = "compared"
)

// Run is the first line of a report: what was measured, and where.
type Run struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Time    string `json:"time"` // RFC 3339
	Model   string `json:"model"`
	// ModelVersion is that of the manifest.
	ModelVersion string   `json:"model_version"`
	Labels       []string `json:"labels"`
	Images       int      `json:"images"` // labelled ones that could be read
	Failed       int      `json:"failed"` // that could not
	// ImagesSHA256 is over the contents and labels of the pictures, in order;
	// two runs with the same sum are compared picture by picture.
	ImagesSHA256 string `json:"images_sha256,omitempty"`
	Truth        []int  `json:"truth,omitempty"` // label index of each picture
	// SpeedOnly says why no accuracy was measured, "" if it was.
	SpeedOnly   string      `json:"speed_only,omitempty"`
	Turns       int         `json:"turns"`
	Runs        int         `json:"runs_per_turn"`
	Reference   string      `json:"reference"` // the mode that drops and ratios refer to
	Environment Environment `json:"environment"`
}

// Environment is what a speed depends on besides the model. Empty fields are
// facts that the machine does not tell.
type Environment struct {
	Board       string   `json:"board"`
	CPU         string   `json:"cpu"`
	CPUFeatures []string `json:"cpu_features,omitempty"` // those that matter to inference
	Cores       int      `json:"cores"`
	Threads     int      `json:"threads"` // of the inference pool
	Kernel      string   `json:"kernel,omitempty"`
	Runtime     string   `json:"runtime"` // ONNX Runtime
	Program     string   `json:"program"` // this program's version
	Governor    string   `json:"governor,omitempty"`
	PowerMode   string   `json:"power_mode,omitempty"`
	CPUMHz      float64  `json:"cpu_mhz,omitempty"`
	GPUMHz      float64  `json:"gpu_mhz,omitempty"`
	LoadAverage float64  `json:"load_average"` // over one minute, before the run
	Celsius     float64  `json:"celsius,omitempty"`
	CelsiusEnd  float64  `json:"celsius_end,omitempty"`
	Watts       float64  `json:"watts,omitempty"`
}

// Same reports whether absolute times of two environments may be compared.
func (e Environment) Same(o Environment) bool {
	return e.Board == o.Board && e.CPU == o.CPU && e.Cores == o.Cores && e.Threads == o.Threads &&
		e.PowerMode == o.PowerMode && e.Governor == o.Governor
}

// Mode is the line of one mode.
type Mode struct {
	Kind     string `json:"kind"`
	Mode     string `json:"mode"`
	File     string `json:"file"`
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	Provider string `json:"provider"`
	// Computes is the precision that the provider really computes in.
	Computes string `json:"computes"`
	Fallback string `json:"fallback,omitempty"`
	// Emulated says how a precision was imitated that the provider lacks;
	// then there is an accuracy and no speed.
	Emulated string `json:"emulated,omitempty"`
	// SpeedOnly says why the accuracy is missing or means nothing.
	SpeedOnly string `json:"speed_only,omitempty"`

	Accuracy *Accuracy `json:"accuracy,omitempty"`
	// Answers is the label index for each picture, in the order of the run.
	Answers []int `json:"answers,omitempty"`

	Latency *Latency `json:"latency_ms,omitempty"`
	Ratio   *Ratio   `json:"speed_ratio,omitempty"`
	// CPURatio is the ratio of processor times, which a busy machine distorts
	// less than that of latencies.
	CPURatio  *Ratio           `json:"cpu_ratio,omitempty"`
	Scenarios []ScenarioResult `json:"scenarios,omitempty"`
	WarmUp    *WarmUp          `json:"warm_up,omitempty"`
	Idle      []IdleGap        `json:"idle,omitempty"`
	Memory    *Memory          `json:"memory,omitempty"`
}

// Accuracy of one mode.
type Accuracy struct {
	Accuracy float64          `json:"accuracy"`
	Interval Interval         `json:"interval_95"`
	Drop     *Drop            `json:"drop,omitempty"` // against the reference
	Classes  []accuracy.Class `json:"classes"`
	LogLoss  float64          `json:"log_loss"`
	Alarm    *accuracy.Alarm  `json:"alarm,omitempty"`
}

// Latency of single pictures in milliseconds, of the session alone: without
// decoding and preprocessing.
type Latency struct {
	Count     int       `json:"count"`
	P50       float64   `json:"p50"`
	P90       float64   `json:"p90"`
	P95       float64   `json:"p95"`
	P99       float64   `json:"p99"`
	Max       float64   `json:"max"`
	PerSecond float64   `json:"per_second"` // pictures, one after the other
	Turns     []float64 `json:"turns"`      // the median of each turn
	// CPU is the median processor time of a picture over all threads.
	CPU float64 `json:"cpu_p50"`
}

// LatencyOf summarises latencies in seconds.
func LatencyOf(t Timing) *Latency {
	l := t.Wall
	all := l.Sorted()
	out := &Latency{
		Count: len(all), P50: ms(Quantile(all, 0.50)), P90: ms(Quantile(all, 0.90)), P95: ms(Quantile(all, 0.95)),
		P99: ms(Quantile(all, 0.99)), Max: ms(Quantile(all, 1)), PerSecond: float64(len(all)) / sum(all),
		CPU: ms(Median(t.CPU.Sorted())),
	}
	for _, m := range l.Medians() {
		out.Turns = append(out.Turns, ms(m))
	}
	return out
}

// ScenarioResult is the metric of one scenario; the other two are 0.
type ScenarioResult struct {
	Scenario  Scenario `json:"scenario"`
	Queries   int      `json:"queries"`
	Batch     int      `json:"batch"` // pictures in one run of the model
	P90       float64  `json:"p90_ms,omitempty"`
	P99       float64  `json:"p99_ms,omitempty"`
	PerSecond float64  `json:"per_second,omitempty"`
}

// WarmUp is what the first pictures cost.
type WarmUp struct {
	LoadMS  float64   `json:"load_ms"` // reading, verifying and building the session
	FirstMS []float64 `json:"first_ms"`
}

// IdleGap is the latency of the first picture after a pause.
type IdleGap struct {
	PauseSeconds float64 `json:"pause_s"`
	Count        int     `json:"count"`
	MedianMS     float64 `json:"median_ms"`
	MaxMS        float64 `json:"max_ms"`
}

// Memory of a process that holds this mode alone.
type Memory struct {
	PeakBytes int64 `json:"peak_bytes"` // resident set at its highest
	BaseBytes int64 `json:"base_bytes"` // resident set before the model was read
}

// IdleGapOf summarises the first latencies, in seconds, after pauses.
func IdleGapOf(pause time.Duration, took []float64) IdleGap {
	return IdleGap{PauseSeconds: pause.Seconds(), Count: len(took), MedianMS: ms(Median(took)),
		MaxMS: ms(slices.Max(took))}
}

// Roofline is the line that bounds a model's speed on a board.
type Roofline struct {
	Kind      string          `json:"kind"`
	Label     string          `json:"label"` // "bound, not measured"
	Board     string          `json:"board"`
	Precision string          `json:"precision"`
	Model     string          `json:"model"`
	MACs      int64           `json:"macs"`
	Bytes     int64           `json:"bytes"`
	BoundMS   float64         `json:"bound_ms"`         // at least
	PerSecond float64         `json:"bound_per_second"` // at most
	LimitedBy string          `json:"limited_by"`       // most of the time: "compute" or "bandwidth"
	Unknown   []string        `json:"unknown,omitempty"`
	Sources   []string        `json:"sources"` // of the board's figures
	Layers    []RooflineLayer `json:"layers,omitempty"`
}

// RooflineLayer is the share of one layer.
type RooflineLayer struct {
	Name      string  `json:"name"`
	Op        string  `json:"op"`
	MACs      int64   `json:"macs"`
	Bytes     int64   `json:"bytes"`
	BoundUS   float64 `json:"bound_us"`
	LimitedBy string  `json:"limited_by"`
}
