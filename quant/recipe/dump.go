package recipe

import (
	"fmt"
	"slices"

	"emberwing/quant/calib"
	"emberwing/quant/qdq"
)

// Dump returns what was measured and what was chosen of each value. values
// may be nil.
func (p *Prepared) Dump(method string, ranges map[string]calib.Range, values map[string]qdq.Params) *calib.Dump {
	c := p.Calibration
	d := &calib.Dump{Model: c.Model, Samples: c.Samples, Count: c.Count, Method: method,
		Tensors: map[string]calib.DumpTensor{}}
	for name, r := range ranges {
		d.Tensors[name] = calib.DumpTensor{Stats: c.Tensors[name], Range: r, Scale: values[name].Scale,
			Zero: values[name].Zero}
	}
	return d
}

// SVG draws the histogram of a value with its chosen range. A name of no value
// is an error that lists some.
func (p *Prepared) SVG(name, method string, ranges map[string]calib.Range) (string, error) {
	r, ok := ranges[name]
	if !ok {
		var names []string
		for n := range ranges {
			names = append(names, n)
		}
		slices.Sort(names)
		return "", fmt.Errorf("draw histogram: got %q, want a value that is quantised, such as %q", name, names[:min(8,
			len(names))])
	}
	s := p.Calibration.Tensors[name]
	if s == nil {
		s = new(calib.Stats) // the range came with the model
	}
	return s.SVG(name, method, r), nil
}
