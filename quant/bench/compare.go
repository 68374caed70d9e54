package bench

import (
	"fmt"
	"slices"
)

// Margins that a difference must pass besides its interval.
const (
	// speedMargin: code moves in memory and kernels change their luck; within
	// one machine, ratios of two runs of the same file differ by this much.
	speedMargin = 0.05
	// absoluteMargin is for times of the reference mode, which nothing in
	// their own run is compared with.
	absoluteMargin = 0.25
	// sizeMargin: a file's size has no noise; names and metadata may change.
	sizeMargin = 0.01
	// memoryMargin and memoryNoise: peaks of one file differ from process to
	// process with the allocator and with what the page cache holds.
	memoryMargin = 0.10
	memoryNoise  = 8 << 20 // bytes
)

// Verdict is the line of one mode in a comparison of two runs.
type Verdict struct {
	Kind      string `json:"kind"`
	Mode      string `json:"mode"`
	Regressed bool   `json:"regressed"`
	// Accuracy, Speed, Size and Memory say what was found, and by which test.
	Accuracy string `json:"accuracy"`
	Speed    string `json:"speed"`
	Size     string `json:"size,omitempty"`
	Memory   string `json:"memory,omitempty"`
	// Drop is that of the accuracy from the old run to the new one, when both
	// saw the same pictures.
	Drop *Drop `json:"drop,omitempty"`
	// SpeedChange is the new ratio to the reference over the old one; below 1
	// is slower.
	SpeedChange   float64   `json:"speed_change,omitempty"`
	SpeedInterval *Interval `json:"speed_interval_95,omitempty"`
}

// Compare judges every mode of the new run against the same mode of the old.
//
// Accuracy regressed when McNemar's test on the same pictures gives p < 0.05
// for a loss; on other pictures, when the interval of the difference is above
// 0. Speed regressed when the ratio to the reference mode of its own run (in
// processor time, where both runs have it) fell by more than a twentieth with
// the whole bootstrap interval below 1. The
// reference mode itself is judged by its time, only on an equal machine, and
// only when all turns of the new run are slower than all of the old and the
// median by more than a quarter.
//
// Size regressed when the file grew by more than a hundredth. Memory regressed
// when what the model adds to the process at its peak grew by more than a tenth
// and by more than 8 MiB, on an equal machine.
func Compare(before, after *Report) []Verdict {
	var out []Verdict
	for _, m := range after.Modes {
		v := Verdict{Kind: KindCompared, Mode: m.Mode, Accuracy: "not in the old run", Speed: "not in the old run"}
		if old, ok := before.Mode(m.Mode); ok {
			v.judgeAccuracy(before, after, old, m)
			v.judgeSpeed(before, after, old, m)
			v.judgeSize(old, m)
			v.judgeMemory(before, after, old, m)
		}
		out = append(out, v)
	}
	for _, m := range before.Modes {
		if _, ok := after.Mode(m.Mode); !ok {
			out = append(out, Verdict{Kind: KindCompared, Mode: m.Mode, Accuracy: "not in the new run",
				Speed: "not in the new run"})
		}
	}
	return out
}

// Regressed reports whether any mode did.
func Regressed(vs []Verdict) bool {
	return slices.ContainsFunc(vs, func(v Verdict) bool { return v.Regressed })
}

func (v *Verdict) judgeAccuracy(before, after *Report, old, now Mode) {
	if old.Accuracy == nil || now.Accuracy == nil || old.SpeedOnly != "" || now.SpeedOnly != "" {
		v.Accuracy = "speed only: not compared"
		return
	}
	if before.Run.ImagesSHA256 == after.Run.ImagesSHA256 && len(old.Answers) == len(now.Answers) && len(now.Answers) > 0 {
		v.judgePaired(before, after, old, now)
		return
	}
	d := Unpaired(old.Accuracy.Accuracy, now.Accuracy.Accuracy, old.Accuracy.Interval, now.Accuracy.Interval)
	v.Accuracy = fmt.Sprintf("%+.2f points on other pictures (95 %%: %+.2f..%+.2f)",
		100*(now.Accuracy.Accuracy-old.Accuracy.Accuracy), -100*d.High, -100*d.Low)
	v.Regressed = v.Regressed || d.Low > 0
}

// judgePaired compares picture by picture.
func (v *Verdict) judgePaired(before, after *Report, old, now Mode) {
	d := Paired(right(old.Answers, before.Run.Truth), right(now.Answers, after.Run.Truth))
	v.Drop = &d
	v.Accuracy = fmt.Sprintf("%+.2f points on the same %d pictures (95 %%: %+.2f..%+.2f, McNemar p %.3f)",
		100*(0-d.Drop), d.Images, -100*d.Interval.High, -100*d.Interval.Low, d.P)
	v.Regressed = v.Regressed || d.Drop > 0 && d.P < 0.05
}

// right compares answers with the truth.
func right(answers, truth []int) []bool {
	out := make([]bool, min(len(answers), len(truth)))
	for i := range out {
		out[i] = answers[i] == truth[i]
	}
	return out
}

func (v *Verdict) judgeSpeed(before, after *Report, old, now Mode) {
	switch {
	case old.Latency == nil || now.Latency == nil:
		v.Speed = "not measured in both runs"
	case old.CPURatio.comparable(now.CPURatio):
		v.judgeRatio("processor time", old.CPURatio, now.CPURatio)
	case old.Ratio.comparable(now.Ratio):
		v.judgeRatio("latency", old.Ratio, now.Ratio)
	case !before.Run.Environment.Same(after.Run.Environment):
		v.Speed = fmt.Sprintf("%.2f to %.2f ms on another machine: not compared", old.Latency.P50, now.Latency.P50)
	default:
		v.judgeTime(old.Latency, now.Latency)
	}
}

// comparable reports whether both ratios are there and to the same mode.
func (r *Ratio) comparable(o *Ratio) bool {
	return r != nil && o != nil && r.To == o.To && len(r.Turns) > 0 && len(o.Turns) > 0
}

func (v *Verdict) judgeRatio(of string, old, now *Ratio) {
	i := BootstrapQuotient(now.Turns, old.Turns)
	v.SpeedChange, v.SpeedInterval = now.Median/old.Median, &i
	v.Speed = fmt.Sprintf("%.2f x %s in %s, was %.2f: %+.1f %% (95 %%: %+.1f..%+.1f)", now.Median, now.To, of, old.Median,
		100*(v.SpeedChange-1), 100*(i.Low-1), 100*(i.High-1))
	v.Regressed = v.Regressed || v.SpeedChange < 1-speedMargin && i.High < 1
}

func (v *Verdict) judgeTime(old, now *Latency) {
	change := Median(now.Turns)/Median(old.Turns) - 1
	v.Speed = fmt.Sprintf("%.2f ms, was %.2f: %+.1f %%", now.P50, old.P50, 100*change)
	v.Regressed = v.Regressed || change > absoluteMargin && slices.Min(now.Turns) > slices.Max(old.Turns)
}

func (v *Verdict) judgeSize(old, now Mode) {
	if old.Bytes == 0 || now.Bytes == 0 {
		return
	}
	change := float64(now.Bytes)/float64(old.Bytes) - 1
	v.Size = fmt.Sprintf("%.2f MB, was %.2f: %+.1f %%", float64(now.Bytes)/1e6, float64(old.Bytes)/1e6, 100*change)
	v.Regressed = v.Regressed || change > sizeMargin
}

func (v *Verdict) judgeMemory(before, after *Report, old, now Mode) {
	if old.Memory == nil || now.Memory == nil || !before.Run.Environment.Same(after.Run.Environment) {
		return
	}
	was, is := old.Memory.PeakBytes-old.Memory.BaseBytes, now.Memory.PeakBytes-now.Memory.BaseBytes
	v.Memory = fmt.Sprintf("%.1f MB, was %.1f", float64(is)/1e6, float64(was)/1e6)
	v.Regressed = v.Regressed || is-was > memoryNoise && float64(is) > (1+memoryMargin)*float64(was)
}
