package recipe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"emberwing/quant/calib"
	"emberwing/quant/onnx"
	"emberwing/quant/qdq"
	"emberwing/quant/table"
)

// Tables is a float model with the calibration table that makes TensorRT run
// it in INT8.
type Tables struct {
	Model   *onnx.Model
	Table   table.Table
	Renamed int // values whose names held colons, which the native text cannot carry
	Unknown int // values without a range: TensorRT computes in higher precision what it cannot fuse around them
	Choice  Choice
	Tried   []Choice
	Ranges  map[string]calib.Range
}

// Table chooses ranges for every value of the graph. The method is chosen on
// the Q/DQ model of the tensorrt target, which computes what TensorRT would
// with the table's ranges and can be run here.
func (p *Prepared) Table(ctx context.Context) (*Tables, error) {
	if p.Job.Profile.Placement != qdq.Nowhere {
		return nil, errors.New("write table: want the target tensorrt-legacy-table")
	}
	choice, tried, err := p.chooseForTable(ctx)
	if err != nil {
		return nil, err
	}
	m, err := calib.ParseMethod(choice.Method)
	if err != nil {
		return nil, err
	}
	t := &Tables{Table: table.Table{}, Unknown: p.unknown, Choice: choice, Tried: tried, Ranges: p.Ranges(m)}
	g := p.Graph.Clone()
	names := g.RenameValues(func(name string) string { return strings.ReplaceAll(name, ":", "_") })
	for name, r := range t.Ranges {
		if now := names[name]; now != "" {
			name = now
			t.Renamed++
		}
		t.Table[name] = magnitude(r)
	}
	t.Model, err = p.finish(g)
	return t, err
}

// magnitude returns the largest magnitude of a range; TensorRT takes no zero.
func magnitude(r calib.Range) float64 {
	if m := math.Max(-r.Lo, r.Hi); m > 0 {
		return m
	}
	return 1e-6
}

// chooseForTable finds the method by writing Q/DQ models.
func (p *Prepared) chooseForTable(ctx context.Context) (Choice, []Choice, error) {
	if p.held == nil || p.held.Len() == 0 {
		return Choice{Method: string(calib.MinMax)}, nil, nil
	}
	if p.Job.Method != "" && p.Job.Method != Auto {
		m, err := calib.ParseMethod(p.Job.Method)
		return Choice{Method: m.String()}, nil, err
	}
	job := *p.Job
	profile, err := qdq.ProfileOf("tensorrt")
	if err != nil {
		return Choice{}, nil, err
	}
	job.Profile, job.Plain = profile, true
	q := *p
	q.Job = &job
	if q.Plan, err = qdq.Make(p.Graph, profile, job.Float); err != nil {
		return Choice{}, nil, err
	}
	w, err := q.choose(ctx)
	if err != nil {
		return Choice{}, nil, fmt.Errorf("choose method: %w", err)
	}
	return w.Choice, w.Tried, nil
}
