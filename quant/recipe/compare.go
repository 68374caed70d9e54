package recipe

import (
	"context"
	"math"
	"slices"

	"emberwing/quant"
	"emberwing/quant/onnx"
)

// SQNR is the ratio of signal to quantisation noise in decibels:
// 10*log10(sum want^2 / sum (want-got)^2). Equal values give +Inf.
type SQNR struct{ signal, noise float64 }

// Add counts values.
func (s *SQNR) Add(want, got []float32) {
	for i, w := range want {
		d := float64(w) - float64(got[i])
		s.signal += float64(w) * float64(w)
		s.noise += d * d
	}
}

// Decibels returns the ratio.
func (s *SQNR) Decibels() float64 { return 10 * math.Log10(s.signal/s.noise) }

// maxDecibels stands for no error at all, which JSON cannot say as infinity.
const maxDecibels = 200

// Compare runs a model on the held samples and returns the SQNR of its outputs
// against the float model's, the least of the outputs compared; 0 where no
// samples are held.
func (p *Prepared) Compare(ctx context.Context, m *onnx.Model) (float64, error) {
	if p.held == nil || p.held.Len() == 0 {
		return 0, nil
	}
	if p.reference == nil {
		if err := p.refer(ctx); err != nil {
			return 0, err
		}
	}
	ratios := make([]SQNR, len(p.outputs))
	err := p.run(ctx, m, p.held, p.outputs, func(i int, s quant.Session) {
		for o := range p.outputs {
			ratios[o].Add(p.reference[i*len(p.outputs)+o], s.Output(o))
		}
	})
	least := float64(maxDecibels)
	for _, r := range ratios {
		if d := r.Decibels(); !math.IsNaN(d) {
			least = math.Min(least, d)
		}
	}
	return least, err
}

// refer keeps the outputs of the float graph on the held samples.
func (p *Prepared) refer(ctx context.Context) error {
	p.outputs = p.Job.Outputs
	if len(p.outputs) == 0 {
		shapes := p.Graph.Shapes()
		for _, out := range p.Graph.Outputs() {
			if shapes.Float(out.GetName()) {
				p.outputs = append(p.outputs, out.GetName())
			}
		}
	}
	m, err := p.Graph.Clone().Model()
	if err != nil {
		return err
	}
	return p.run(ctx, m, p.held, p.outputs, func(_ int, s quant.Session) {
		for o := range p.outputs {
			p.reference = append(p.reference, slices.Clone(s.Output(o)))
		}
	})
}

// run runs a model on samples, and hands over the session after each.
func (p *Prepared) run(ctx context.Context, m *onnx.Model, samples quant.Samples, outputs []string,
	take func(i int, s quant.Session)) error {
	s, err := p.Job.Open(m.Bytes(), []quant.Input{p.Job.Input}, outputs)
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range samples.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := samples.Load(i, s.Input(0)); err != nil {
			return err
		}
		if err := s.Run(); err != nil {
			return err
		}
		take(i, s)
	}
	return nil
}

// kept are samples that are prepared once and then kept in memory.
type kept struct {
	quant.Subset
	data [][]float32
}

// Load fills dst with a sample.
func (k *kept) Load(i int, dst []float32) error {
	if k.data == nil {
		k.data = make([][]float32, k.Len())
	}
	if k.data[i] == nil {
		if err := k.Subset.Load(i, dst); err != nil {
			return err
		}
		k.data[i] = slices.Clone(dst)
		return nil
	}
	copy(dst, k.data[i])
	return nil
}

// someSamples is how many of the calibration's samples are kept for what is
// measured often.
const someSamples = 128

// calibrating returns some of the samples that the calibration measures.
func (p *Prepared) calibrating() *kept {
	if p.some == nil {
		calibrate, _ := split(p.Job.Samples)
		every := make([]int, calibrate.Len())
		for i := range every {
			every[i] = i
		}
		p.some = &kept{Subset: quant.Subset{Samples: calibrate, Name: "some", Index: thin(every, someSamples)}}
	}
	return p.some
}
