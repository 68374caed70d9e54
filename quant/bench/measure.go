package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Subject is one mode under measurement.
type Subject struct {
	Name string
	// Prepare puts the i-th query in place, outside the measured time.
	Prepare func(i int)
	// Run answers the query in place.
	Run func() error
}

// Timing is what one mode took: time on the wall, and time on the processor,
// which other programs disturb much less.
type Timing struct {
	Wall, CPU Latencies
}

// Plan says how often everything runs.
type Plan struct {
	Turns int // each mode has one block of queries in each turn
	Runs  int // measured queries in a block
	Warm  int // queries before them that are not measured
}

// Queries returns the number of queries of one mode, measured or not.
func (p Plan) Queries() int { return p.Turns * (p.Runs + p.Warm) }

// Latencies of one mode in seconds: a list for each turn.
type Latencies [][]float64

// Sorted returns all of them in order.
func (l Latencies) Sorted() []float64 { return slices.Sorted(slices.Values(slices.Concat(l...))) }

// Medians returns the median of each turn.
func (l Latencies) Medians() []float64 {
	out := make([]float64, len(l))
	for i, turn := range l {
		out[i] = Median(turn)
	}
	return out
}

// Clock returns the processor time used so far.
type Clock func() time.Duration

// Interleave measures the subjects in turns. The order within a turn is
// rotated, so that none always follows the same one. After each block progress
// is called with the share done. It ends early with the error of a subject, or
// that of ctx, between two queries. clock is the processor time used so far, as
// [ThreadTime]; the caller's goroutine stays on its thread meanwhile.
func Interleave(ctx context.Context, subjects []Subject, plan Plan, clock Clock,
	progress func(done float64)) ([]Timing, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := make([]Timing, len(subjects))
	blocks := float64(plan.Turns * len(subjects))
	for turn := range plan.Turns {
		for k := range subjects {
			i := (turn + k) % len(subjects)
			if err := out[i].measure(ctx, subjects[i], plan, turn, clock); err != nil {
				return nil, err
			}
			progress(float64(turn*len(subjects)+k+1) / blocks)
		}
	}
	return out, nil
}

// measure runs one block.
func (t *Timing) measure(ctx context.Context, s Subject, plan Plan, turn int, clock Clock) error {
	wall, cpu := make([]float64, 0, plan.Runs), make([]float64, 0, plan.Runs)
	for n := range plan.Warm + plan.Runs {
		s.Prepare(turn*plan.Runs + n)
		before := clock()
		took, err := once(ctx, s)
		if err != nil {
			return err
		}
		if n >= plan.Warm {
			wall, cpu = append(wall, took), append(cpu, max(clock()-before, time.Nanosecond).Seconds())
		}
	}
	t.Wall, t.CPU = append(t.Wall, wall), append(t.CPU, cpu)
	return nil
}

// once measures the query in place in seconds.
func once(ctx context.Context, s Subject) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := s.Run(); err != nil {
		return 0, fmt.Errorf("measure %s: %w", s.Name, err)
	}
	return max(time.Since(start), time.Nanosecond).Seconds(), nil
}

// Idle measures the first query after a pause, n times.
func Idle(ctx context.Context, s Subject, pause time.Duration, n int) ([]float64, error) {
	out := make([]float64, 0, n)
	for i := range n {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		s.Prepare(i)
		took, err := once(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, took)
	}
	return out, nil
}

// Scenario is a way to send queries, named as in MLPerf Inference.
type Scenario string

// The scenarios. A model whose batch axis is free, or can be freed without
// changing its answers, takes the pictures of a MultiStream query in one run,
// and those of Offline in runs of as many; others take them one after the other.
const (
	SingleStream Scenario = "SingleStream" // one picture a query, the next when it is answered; judged by p90
	MultiStream  Scenario = "MultiStream"  // eight pictures a query; judged by p99 of the query
	Offline      Scenario = "Offline"      // all pictures at once; judged by pictures a second
)

// Samples is the number of pictures of a MultiStream query.
const Samples = 8

// Scenarios lists all of them.
func Scenarios() []Scenario { return []Scenario{SingleStream, MultiStream, Offline} }

// Several says whether the queries of a scenario have more than one picture.
func (s Scenario) Several() bool { return s == MultiStream || s == Offline }

// ParseScenario reads a name, in any case of letters.
func ParseScenario(name string) (Scenario, error) {
	for _, s := range Scenarios() {
		if strings.EqualFold(name, string(s)) {
			return s, nil
		}
	}
	return "", fmt.Errorf("read scenario: got %q, want one of %v", name, Scenarios())
}

// Score turns latencies, in seconds, of runs over batch pictures each into the
// metric of the scenario. With batch 1 a MultiStream query is eight runs that
// followed each other in one turn.
func (s Scenario) Score(l Latencies, batch int) ScenarioResult {
	r := ScenarioResult{Scenario: s, Batch: batch}
	switch s {
	case SingleStream:
		r.Queries, r.P90 = len(l.Sorted()), ms(Quantile(l.Sorted(), 0.90))
	case MultiStream:
		if queries := l.grouped(max(1, Samples/batch)); len(queries) > 0 {
			r.Queries, r.P99 = len(queries), ms(Quantile(queries, 0.99))
		}
	case Offline:
		all := l.Sorted()
		r.Queries, r.PerSecond = 1, float64(batch*len(all))/sum(all)
	}
	return r
}

// grouped adds up n latencies that followed each other, and sorts the sums.
func (l Latencies) grouped(n int) []float64 {
	var out []float64
	for _, turn := range l {
		for chunk := range slices.Chunk(turn, n) {
			if len(chunk) == n {
				out = append(out, sum(chunk))
			}
		}
	}
	slices.Sort(out)
	return out
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

// ms converts seconds to milliseconds.
func ms(seconds float64) float64 { return seconds * 1e3 }
