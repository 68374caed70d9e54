package calib_test

import (
	"context"
	"testing"

	"emberwing/quant/calib"
	"emberwing/quant/graph"
	"emberwing/quant/quanttest"
)

// A value without dimensions is measured like any other.
func TestScalarsAreMeasured(t *testing.T) {
	open := quanttest.Open(t)
	b := quanttest.NewBuilder(1)
	top := b.Node("ReduceMax", []string{b.Input("input", 1, 3, 16, 16)}, graph.IntAttr("keepdims", 0))
	b.Output(b.Node("Neg", []string{top}))
	g, _, err := graph.Canonical(b.Model(t, 13))
	if err != nil {
		t.Fatal(err)
	}
	samples := quanttest.NewSamples(5)
	m := calib.Measurer{Graph: g, Input: quanttest.Input(), Open: open, Samples: samples}
	c := calib.New("model", samples.ID(), samples.Len())
	if err := m.Measure(context.Background(), c, []string{"input", top}, nil, true); err != nil {
		t.Fatal(err)
	}
	all, one := c.Tensors["input"], c.Tensors[top]
	if one.Max != all.Max || one.Min <= 0 || one.Binned != 5 {
		t.Errorf("got %v to %v of %d samples, want the greatest of %v", one.Min, one.Max, one.Binned, all.Max)
	}
}
