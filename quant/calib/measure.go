package calib

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"emberwing/quant"
	"emberwing/quant/graph"
)

// DefaultMemory is the memory budget of tensors that are held at once.
const DefaultMemory = 512 << 20

// savePeriod is how often an unfinished calibration is stored.
const savePeriod = 10 * time.Second

// Measurer measures tensors of one graph.
type Measurer struct {
	Graph   *graph.Graph // canonical; it is not changed
	Input   quant.Input
	Open    quant.Opener
	Samples quant.Samples
	// Memory bounds the bytes of tensors held at once; 0 is DefaultMemory.
	Memory   int64
	Progress quant.Progress
	// Save, if set, is called with unfinished work every ten seconds and when
	// measuring is interrupted.
	Save func(*Calibration) error

	saved time.Time
}

// ErrValues means that a tensor took values that cannot be quantised.
var ErrValues = errors.New("tensor takes values that are not finite")

// Hash returns the identity of a graph that a calibration belongs to.
func Hash(model []byte) string {
	sum := sha256.Sum256(model)
	return hex.EncodeToString(sum[:])
}

// Measure fills in c what is missing of the given tensors; means names those
// whose channel means are wanted. With histograms false only the first pass
// runs. When ctx is done it stores what it has and returns ctx's error.
func (m *Measurer) Measure(ctx context.Context, c *Calibration, tensors, means []string, histograms bool) error {
	m.saved = time.Now()
	for _, name := range tensors {
		if s := c.Tensors[name]; s == nil || slices.Contains(means, name) && s.ChannelSum == nil {
			c.Tensors[name] = new(Stats)
		}
	}
	err := m.ranges(ctx, c, tensors, means)
	if err == nil && histograms {
		err = m.histograms(ctx, c, tensors)
	}
	if m.Save == nil {
		return err
	}
	return errors.Join(err, m.Save(c))
}

// group returns the tensors that lack samples, those of equal progress
// together, the furthest first.
func group(c *Calibration, tensors []string, progress func(*Stats) int) [][]string {
	by := map[int][]string{}
	for _, name := range tensors {
		if p := progress(c.Tensors[name]); p < c.Count {
			by[p] = append(by[p], name)
		}
	}
	keys := make([]int, 0, len(by))
	for k := range by {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	out := make([][]string, len(keys))
	for i, k := range keys {
		out[i] = by[k]
	}
	return out
}

// ranges runs the first pass.
func (m *Measurer) ranges(ctx context.Context, c *Calibration, tensors, means []string) error {
	for _, names := range group(c, tensors, func(s *Stats) int { return s.Ranged }) {
		if err := m.rangesOf(ctx, c, names, means); err != nil {
			return fmt.Errorf("measure ranges: %w", err)
		}
	}
	return nil
}

func (m *Measurer) rangesOf(ctx context.Context, c *Calibration, names, means []string) error {
	g := m.Graph.Clone()
	taps := tapRanges(g, m.shapes(), names, means)
	s, err := m.open(g, taps.outputs)
	if err != nil {
		return err
	}
	defer s.Close()
	return m.each(ctx, c, "ranges", c.Tensors[names[0]].Ranged, s, func() error {
		for i, name := range names {
			lo, hi := float64(s.Output(2 * i)[0]), float64(s.Output(2*i + 1)[0])
			if !finite(lo, hi) {
				return fmt.Errorf("tensor %q: %w: got %v to %v", name, ErrValues, lo, hi)
			}
			c.Tensors[name].observe(lo, hi)
			if at, ok := taps.means[name]; ok {
				c.Tensors[name].addMeans(s.Output(at))
			}
		}
		return nil
	})
}

// histograms runs the second pass, a chunk of tensors at a time.
func (m *Measurer) histograms(ctx context.Context, c *Calibration, tensors []string) error {
	shapes := m.shapes()
	for _, names := range group(c, tensors, func(s *Stats) int { return s.Binned }) {
		for chunk := range m.chunks(names, shapes) {
			if err := m.histogramsOf(ctx, c, chunk); err != nil {
				return fmt.Errorf("count values: %w", err)
			}
		}
	}
	return nil
}

func (m *Measurer) histogramsOf(ctx context.Context, c *Calibration, names []string) error {
	g, shapes := m.Graph.Clone(), m.shapes()
	outputs := make([]string, len(names))
	for i, name := range names {
		outputs[i] = g.Tap(dimensioned(g, shapes, name))
		if s := c.Tensors[name]; s.Hist == nil {
			s.Hist = newHistogram(s.Min, s.Max)
		}
	}
	s, err := m.open(g, outputs)
	if err != nil {
		return err
	}
	defer s.Close()
	return m.each(ctx, c, "histograms", c.Tensors[names[0]].Binned, s, func() error {
		for i, name := range names {
			c.Tensors[name].Hist.add(s.Output(i))
			c.Tensors[name].Binned++
		}
		return nil
	})
}

// each runs the session on every sample from the given one on.
func (m *Measurer) each(ctx context.Context, c *Calibration, step string, from int, s quant.Session,
	take func() error) error {
	for i := from; i < c.Count; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.Samples.Load(i, s.Input(0)); err != nil {
			return err
		}
		if err := s.Run(); err != nil {
			return err
		}
		if err := take(); err != nil {
			return err
		}
		m.Progress.Report(step, i+1, c.Count)
		if m.Save != nil && time.Since(m.saved) > savePeriod {
			m.saved = time.Now()
			if err := m.Save(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Measurer) shapes() graph.Shapes {
	return m.Graph.ShapesFor(map[string][]int64{m.Input.Name: m.Input.Dims})
}

// open builds a session for a graph with taps.
func (m *Measurer) open(g *graph.Graph, outputs []string) (quant.Session, error) {
	model, err := g.Model()
	if err != nil {
		return nil, err
	}
	return m.Open(model.Bytes(), []quant.Input{m.Input}, outputs)
}

// copies is how often a tapped tensor is in memory: in the runtime's arena,
// as the wrapper's first copy, and once to be safe.
const copies = 3

// chunks yields tensors whose bytes fit the budget. A tensor that does not fit
// alone goes alone; one of unknown size counts as a sixteenth of the budget.
func (m *Measurer) chunks(names []string, shapes graph.Shapes) func(func([]string) bool) {
	budget := m.Memory
	if budget <= 0 {
		budget = DefaultMemory
	}
	return func(yield func([]string) bool) {
		var chunk []string
		var used int64
		for _, name := range names {
			size := budget / 16
			if n := shapes[name].Len(); n >= 0 && n < math.MaxInt64/64 {
				size = copies * 4 * n
			}
			if len(chunk) > 0 && used+size > budget {
				if !yield(chunk) {
					return
				}
				chunk, used = nil, 0
			}
			chunk, used = append(chunk, name), used+size
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

// dimensioned returns a name for the numbers of a value as a tensor of at least
// one dimension: its own where it is known to have one, else that of a
// flattened copy, as the runtime's wrapper hands out no scalars.
func dimensioned(g *graph.Graph, shapes graph.Shapes, name string) string {
	if v := shapes[name]; v.Known && len(v.Dims) > 0 {
		return name
	}
	flat := g.Fresh(name + "_flat")
	g.Add("Reshape", []string{name, g.NewInts(flat+"_shape", -1)}, []string{flat})
	return flat
}

// taps are the outputs of the first pass: for each tensor its least and
// greatest value, then channel means.
type taps struct {
	outputs []string
	means   map[string]int // output that holds the channel means of a tensor
}

// tapRanges adds the reductions of the first pass to a graph.
func tapRanges(g *graph.Graph, shapes graph.Shapes, names, means []string) taps {
	t := taps{means: map[string]int{}}
	add := func(op, name string, attributes ...int64) {
		out := g.Fresh(name + "_" + op)
		name = dimensioned(g, shapes, name)
		n := g.Add(op, []string{name}, []string{out}, graph.IntAttr("keepdims", 1))
		if len(attributes) > 0 {
			n.Attribute = append(n.Attribute, graph.IntsAttr("axes", attributes...))
		}
		g.Expose(out)
		t.outputs = append(t.outputs, out)
	}
	for _, name := range names {
		add("ReduceMin", name)
		add("ReduceMax", name)
	}
	for _, name := range means {
		rank := len(shapes[name].Dims)
		if !slices.Contains(names, name) || rank < 2 {
			continue
		}
		axes := []int64{0}
		for a := 2; a < rank; a++ {
			axes = append(axes, int64(a))
		}
		t.means[name] = len(t.outputs)
		add("ReduceMean", name, axes...)
	}
	return t
}
