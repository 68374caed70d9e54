package bench

import (
	"slices"
	"strings"
	"testing"
)

// verdict compares sample with a changed copy of it and returns int8's line.
func verdict(change func(*Report)) Verdict {
	now := sample()
	change(now)
	vs := Compare(sample(), now)
	return vs[slices.IndexFunc(vs, func(v Verdict) bool { return v.Mode == "int8" })]
}

// wrong makes n more answers of int8 wrong.
func wrong(r *Report, n int) {
	for i := 20; i < 20+n; i++ {
		r.Modes[2].Answers[i] = 1 - r.Run.Truth[i]
	}
	r.Modes[2].Accuracy.Accuracy -= float64(n) / 200
}

// slower multiplies the ratios of int8.
func slower(r *Report, by float64) {
	for _, x := range []*Ratio{r.Modes[2].Ratio, r.Modes[2].CPURatio} {
		for i := range x.Turns {
			x.Turns[i] *= by
		}
		x.Median *= by
	}
}

func TestCompareFindsGrowth(t *testing.T) {
	for _, tt := range []struct {
		name      string
		change    func(m *Mode)
		regressed bool
		says      string
	}{
		{"a half larger", func(m *Mode) { m.Bytes += m.Bytes / 2 }, true, "+50.0 %"},
		{"two in a thousand larger", func(m *Mode) { m.Bytes += m.Bytes / 500 }, false, "+0.2 %"},
		{"smaller", func(m *Mode) { m.Bytes /= 2 }, false, "-50.0 %"},
		{"twice the memory", func(m *Mode) { m.Memory.PeakBytes += 64 << 20 }, true, ""},
		{"some pages", func(m *Mode) { m.Memory.PeakBytes += 1 << 20 }, false, ""},
		{"a larger process, an equal model", func(m *Mode) {
			m.Memory.PeakBytes, m.Memory.BaseBytes = m.Memory.PeakBytes+64<<20, m.Memory.BaseBytes+64<<20
		}, false, ""},
		{"memory not measured", func(m *Mode) { m.Memory = nil }, false, ""},
	} {
		old, now := sample(), sample()
		for _, r := range []*Report{old, now} {
			r.Modes[2].Bytes, r.Modes[2].Memory = 4_000_000, &Memory{PeakBytes: 80 << 20, BaseBytes: 30 << 20}
		}
		tt.change(&now.Modes[2])
		vs := Compare(old, now)
		v := vs[slices.IndexFunc(vs, func(v Verdict) bool { return v.Mode == "int8" })]
		if v.Regressed != tt.regressed || !strings.Contains(v.Size, tt.says) || now.Modes[2].Memory != nil && v.Memory == "" {
			t.Errorf("%s: got %+v, want regressed %v and %q", tt.name, v, tt.regressed, tt.says)
		}
	}
}

func TestCompareFindsRegressionsBeyondNoise(t *testing.T) {
	for _, tt := range []struct {
		name      string
		change    func(*Report)
		regressed bool
		says      string
	}{
		{"nothing changed", func(*Report) {}, false, "+0.00 points on the same 200 pictures"},
		{"five pictures fewer are noise", func(r *Report) { wrong(r, 5) }, false, "-2.50 points"},
		{"six pictures fewer are not", func(r *Report) { wrong(r, 6) }, true, "McNemar p 0.031"},
		{"better is no regression", func(r *Report) {
			for i := range 8 {
				r.Modes[2].Answers[i] = r.Run.Truth[i]
			}
		}, false, "+4.00 points"},
		{"a tenth slower than FP32 of its own run", func(r *Report) { slower(r, 0.85) }, true,
			"processor time, was 2.25: -15.0 %"},
		{"two in a hundred slower is within the margin", func(r *Report) { slower(r, 0.98) }, false, "-2.0 %"},
		{"faster", func(r *Report) { slower(r, 1.5) }, false, "+50.0 %"},
		{"other pictures, a large loss", func(r *Report) {
			r.Run.ImagesSHA256 = strings.Repeat("0", 64)
			r.Modes[2].Accuracy.Accuracy, r.Modes[2].Accuracy.Interval = 0.8, Interval{0.74, 0.85}
		}, true, "on other pictures"},
		{"other pictures, nearly the same", func(r *Report) {
			r.Run.ImagesSHA256 = strings.Repeat("0", 64)
			r.Modes[2].Accuracy.Accuracy = 0.95
		}, false, "on other pictures"},
		{"speed only", func(r *Report) { r.Modes[2].SpeedOnly = "noise" }, false, "speed only: not compared"},
		{"no latency", func(r *Report) { r.Modes[2].Latency = nil }, false, "not measured in both runs"},
	} {
		v := verdict(tt.change)
		if v.Regressed != tt.regressed || !strings.Contains(v.Accuracy+"; "+v.Speed, tt.says) {
			t.Errorf("%s: got regressed %v, %s; %s; want %v and %q", tt.name, v.Regressed, v.Accuracy, v.Speed, tt.regressed,
				tt.says)
		}
	}
}

// TestCompareReferenceByTime: FP32 has no ratio; its time counts on an equal
// machine only, and only when no turn overlaps.
func TestCompareReferenceByTime(t *testing.T) {
	for _, tt := range []struct {
		factor    float64
		threads   int
		regressed bool
	}{{1, 1, false}, {1.15, 1, false}, {2, 1, true}, {2, 2, false}} {
		now := sample()
		now.Run.Environment.Threads = tt.threads
		for i := range now.Modes[0].Latency.Turns {
			now.Modes[0].Latency.Turns[i] *= tt.factor
		}
		if got := Compare(sample(), now)[0]; got.Regressed != tt.regressed {
			t.Errorf("%v times, %d threads: %+v", tt.factor, tt.threads, got)
		}
	}
}

func TestCompareNamesWhatIsMissing(t *testing.T) {
	now := sample()
	now.Modes = append(now.Modes[:2], Mode{Kind: KindMode, Mode: "new"})
	vs := Compare(sample(), now)
	if len(vs) != 4 || vs[2].Speed != "not in the old run" || vs[3].Mode != "int8" ||
		vs[3].Accuracy != "not in the new run" || Regressed(vs) {
		t.Errorf("%+v", vs)
	}
}
