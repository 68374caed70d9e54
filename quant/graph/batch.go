package graph

import (
	"errors"
	"fmt"

	"emberwing/quant/onnx/onnxpb"
)

// Batch sets the first dimension of every float input and output to n and
// forgets the shapes between them. Whether the operators agree is for the
// runtime to find out: a Reshape to a constant shape may not.
func (g *Graph) Batch(n int64) error {
	if len(g.Inputs()) == 0 {
		return errors.New("set batch: the graph has no input")
	}
	for _, v := range append(g.Inputs(), g.Outputs()...) {
		dims := v.GetType().GetTensorType().GetShape().GetDim()
		if len(dims) == 0 {
			if g.Producer(v.GetName()) != nil {
				continue // an output of unknown shape
			}
			return fmt.Errorf("set batch: input %q has no batch axis", v.GetName())
		}
		if d, fixed := dims[0].GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed && d.DimValue != 1 {
			return fmt.Errorf("set batch: %q has a first dimension of %d, want 1 or a free one", v.GetName(), d.DimValue)
		}
		dims[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}
	}
	g.ForgetValues()
	return nil
}
