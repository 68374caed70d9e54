package recipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"emberwing/quant"
	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
	"emberwing/quant/rounding"
)

// Auto is the method that tries all others on samples kept aside.
const Auto = "auto"

// Job is one model to quantise. Fields without a comment are required.
type Job struct {
	Model   *onnx.Model
	Input   quant.Input
	Open    quant.Opener
	Samples quant.Samples
	Profile qdq.Profile

	Method  string   // of [calib.ParseMethod], or Auto; "" is Auto
	Float   []string // names of nodes that stay float
	Outputs []string // float outputs whose error is compared; none = all
	Memory  int64    // budget of calibration in bytes; 0 = calib.DefaultMemory
	Stored  string   // file that keeps the calibration; "" = none
	Plain   bool     // without bias correction
	// Widen pads the picture to four channels, which x86-64 kernels take at
	// once: see qdq.Widen.
	Widen bool
	// Quick compares the result with the float model on a few of the samples
	// kept aside, for jobs that choose nothing by it.
	Quick    bool
	Progress quant.Progress

	// Graph, if set, is used instead of Model: a canonical graph.
	Graph *graph.Graph
	// Values and Weights are parameters that are taken as they are where the
	// target can: what training chose.
	Values  map[string]qdq.Params
	Weights map[string][]float32
	// Known holds ranges of values that need no measuring.
	Known map[string]calib.Range
}

// Prepared is a job whose graph has been measured.
type Prepared struct {
	Job         *Job
	Graph       *graph.Graph // canonical; not changed
	Notes       []string     // what could not be brought into canonical form
	Calibration *calib.Calibration
	Plan        *qdq.Plan // with the nodes of Job.Float in float

	unknown   int                  // values of a table that have no range
	shift     map[string][]float32 // measured shift of each layer's output
	moments   map[string]*rounding.Moments
	held      *kept       // samples kept aside, nil without samples
	some      *kept       // of the calibration, see calibrating
	reference [][]float32 // float outputs of each held sample
	outputs   []string
}

// held returns how many of n samples are kept aside to choose by.
func heldOf(n int) int { return min(32, n/4) }

// quickHeld is how many of the samples kept aside a quick job compares on.
const quickHeld = 8

// thin takes at most n of a list, evenly spread.
func thin(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	out := make([]int, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// split divides samples: every k-th is kept aside.
func split(s quant.Samples) (calibrate, held quant.Subset) {
	calibrate, held = quant.Subset{Samples: s, Name: "calibrate"}, quant.Subset{Samples: s, Name: "held"}
	n := s.Len()
	want := heldOf(n)
	for i := range n {
		if want > 0 && i*want/n != (i+1)*want/n {
			held.Index = append(held.Index, i)
		} else {
			calibrate.Index = append(calibrate.Index, i)
		}
	}
	return calibrate, held
}

// Prepare brings the graph into canonical form and measures what the target
// needs. A stored calibration of the same graph and samples is continued.
func (j *Job) Prepare(ctx context.Context) (*Prepared, error) {
	g, notes := j.Graph, []string(nil)
	var err error
	if g == nil {
		if g, notes, err = graph.Canonical(j.Model); err != nil {
			return nil, err
		}
	}
	p := &Prepared{Job: j, Graph: g, Notes: notes}
	if p.Plan, err = qdq.Make(g, j.Profile, j.Float); err != nil {
		return nil, err
	}
	if len(p.Plan.Layers()) == 0 && j.Profile.Placement != qdq.Nowhere {
		return nil, errors.New("quantise: got no layer with constant weights in this graph, want a float model")
	}
	if j.Samples == nil || j.Samples.Len() == 0 {
		return p, p.knowsAll()
	}
	calibrate, held := split(j.Samples)
	if j.Quick {
		held.Index = thin(held.Index, quickHeld)
	}
	p.held = &kept{Subset: held}
	return p, p.measure(ctx, calibrate)
}

// knowsAll refuses to go on without samples where ranges are missing.
func (p *Prepared) knowsAll() error {
	var missing []string
	for _, name := range p.Plan.Tensors() {
		if _, ok := p.Job.Known[name]; !ok {
			missing = append(missing, name)
		}
	}
	p.Calibration = calib.New("", "none", 0)
	if len(missing) == 0 || p.Job.Profile.Placement == qdq.Nowhere && len(p.Job.Known) > 0 {
		p.unknown = len(missing)
		return nil
	}
	return fmt.Errorf("calibrate: got no samples, want at least one to measure %d values such as %q; a hundred or "+
		"more give sound ranges",
		len(missing), missing[0])
}

// measure fills the calibration.
func (p *Prepared) measure(ctx context.Context, samples quant.Subset) error {
	j := p.Job
	model, err := p.Graph.Clone().Model()
	if err != nil {
		return err
	}
	hash, n := calib.Hash(model.Bytes()), samples.Len()
	p.Calibration = calib.New(hash, samples.ID(), n)
	m := calib.Measurer{Graph: p.Graph, Input: j.Input, Open: j.Open, Samples: samples, Memory: j.Memory,
		Progress: j.Progress}
	if j.Stored != "" {
		stored, err := calib.Load(j.Stored, hash, samples.ID(), n)
		if err == nil {
			p.Calibration = stored
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		m.Save = func(c *calib.Calibration) error { return c.Save(j.Stored) }
	}
	return m.Measure(ctx, p.Calibration, p.Plan.Tensors(), p.Plan.WeightedInputs(), p.histograms())
}

// histograms says whether the method needs the second pass.
func (p *Prepared) histograms() bool {
	m, err := calib.ParseMethod(p.Job.Method)
	return err != nil || m.NeedsHistogram()
}

// Ranges returns the range of each value that the plan quantises.
func (p *Prepared) Ranges(m calib.Method) map[string]calib.Range {
	out := map[string]calib.Range{}
	for _, name := range p.Plan.Tensors() {
		if r, ok := p.Job.Known[name]; ok {
			out[name] = r
		} else if s := p.Calibration.Tensors[name]; s != nil {
			out[name] = s.Range(m, p.Job.Profile.Scheme())
		}
	}
	return out
}

// means returns the channel means of each value that a layer reads.
func (p *Prepared) means() map[string][]float64 {
	if p.Job.Plain {
		return nil
	}
	out := map[string][]float64{}
	for name, s := range p.Calibration.Tensors {
		if m := s.ChannelMeans(); m != nil {
			out[name] = m
		}
	}
	return out
}

// Choice is a way to quantise and what it costs.
type Choice struct {
	Method         string  `json:"method"`
	BiasCorrection bool    `json:"bias_correction"`
	Rounding       string  `json:"rounding,omitempty"`  // of the weights; "" is to the nearest
	Layerwise      bool    `json:"layerwise,omitempty"` // biases were corrected layer by layer
	SQNR           float64 `json:"sqnr_db"`             // of the outputs on the held samples
}

// Compensated is the rounding of weights in which errors cancel.
const Compensated = "compensated"

// Written is a quantised model.
type Written struct {
	Model  *onnx.Model
	Result *qdq.Result
	Ranges map[string]calib.Range
	Choice Choice
	Tried  []Choice // by Auto, in order
	Float  []string // layers kept in float
	Took   time.Duration
}

// Write quantises with the method of the job.
func (p *Prepared) Write(ctx context.Context) (*Written, error) {
	began := time.Now()
	w, err := p.choose(ctx)
	if err != nil {
		return nil, err
	}
	w.Took = time.Since(began)
	return w, nil
}

// choose writes by the method of the job, or by all and keeps the best.
func (p *Prepared) choose(ctx context.Context) (*Written, error) {
	method := p.Job.Method
	if p.Calibration.Count == 0 {
		method = string(calib.MinMax) // every range is known
	}
	if method != "" && method != Auto {
		m, err := calib.ParseMethod(method)
		if err != nil {
			return nil, err
		}
		return p.one(ctx, m, p.Ranges(m), !p.Job.Plain)
	}
	var best *Written
	var tried []Choice
	methods := calib.Methods()
	for i, m := range methods {
		ranges := p.Ranges(m)
		for _, correct := range []bool{true, false} {
			if correct && p.Job.Plain {
				continue
			}
			w, err := p.one(ctx, m, ranges, correct)
			if err != nil {
				return nil, err
			}
			tried = append(tried, w.Choice)
			if best == nil || w.Choice.SQNR > best.Choice.SQNR {
				best = w
			}
		}
		p.Job.Progress.Report("methods", i+1, len(methods))
	}
	best.Tried = tried
	return best, nil
}

// one quantises in one way and measures it on the held samples.
func (p *Prepared) one(ctx context.Context, m calib.Method, ranges map[string]calib.Range,
	correct bool) (*Written, error) {
	plan, err := qdq.Make(p.Graph, p.Job.Profile, p.Job.Float)
	if err != nil {
		return nil, err
	}
	return p.write(ctx, plan, Choice{Method: m.String(), BiasCorrection: correct}, ranges, p.Job.Float)
}

// write carries out a plan and measures the result.
func (p *Prepared) write(ctx context.Context, plan *qdq.Plan, c Choice, ranges map[string]calib.Range,
	float []string) (*Written, error) {
	if c.BiasCorrection {
		plan.Means = p.means()
	}
	plan.Shift, plan.Values, plan.Weights = p.shift, p.Job.Values, p.Job.Weights
	w := &Written{Ranges: ranges, Choice: c, Float: float}
	var err error
	if w.Result, err = plan.Write(ranges); err != nil {
		return nil, err
	}
	if p.Job.Widen {
		qdq.Widen(w.Result.Graph)
	}
	if w.Model, err = p.finish(w.Result.Graph); err != nil {
		return nil, err
	}
	w.Choice.SQNR, err = p.Compare(ctx, w.Model)
	return w, err
}

// finish stamps a graph and encodes it.
func (p *Prepared) finish(g *graph.Graph) (*onnx.Model, error) {
	g.Stamp("emberwing", map[string]string{"emberwing.target": p.Job.Profile.Name,
		"emberwing.calibration": p.Calibration.Samples})
	m, err := g.Model()
	if err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	return m, nil
}
