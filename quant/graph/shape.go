package graph

import (
	"slices"

	"emberwing/quant/onnx"
	"emberwing/quant/onnx/onnxpb"
)

// Value is what is known about a value: its type and shape.
type Value struct {
	Type  onnx.ElemType // Undefined if not known
	Known bool          // whether the number of dimensions is known
	Dims  []int64       // -1 = not known
}

// Static says whether every dimension is known.
func (v Value) Static() bool {
	return v.Known && !slices.ContainsFunc(v.Dims, func(d int64) bool { return d < 0 })
}

// Len returns the number of elements, -1 if it is not known.
func (v Value) Len() int64 {
	if !v.Static() {
		return -1
	}
	n := int64(1)
	for _, d := range v.Dims {
		n *= d
	}
	return n
}

// Shapes holds what is known about the values of a graph, by name.
type Shapes map[string]Value

// Float says whether a value is known to be a float32 tensor.
func (s Shapes) Float(name string) bool { return s[name].Type == onnx.Float }

// Shapes infers types and shapes from the declared inputs, for the operators
// of convolutional classifiers, detectors and segmenters. Values of other
// operators take what the file declares of them, or stay unknown. Free
// dimensions of the inputs are -1; see [Graph.ShapesFor].
func (g *Graph) Shapes() Shapes { return g.ShapesFor(nil) }

// ShapesFor infers shapes with the given dimensions of the inputs by name.
func (g *Graph) ShapesFor(inputs map[string][]int64) Shapes {
	inf := inference{g: g, shapes: Shapes{}, ints: map[string][]int64{}}
	for _, v := range slices.Concat(g.pb.Graph.ValueInfo, g.pb.Graph.Output, g.pb.Graph.Input) {
		inf.shapes[v.GetName()] = declared(v)
	}
	for name, dims := range inputs {
		inf.shapes[name] = Value{inf.shapes[name].Type, true, dims}
	}
	for _, t := range g.pb.Graph.Initializer {
		inf.shapes[t.GetName()] = Value{onnx.ElemType(t.GetDataType()), true, t.GetDims()}
		if v, err := onnx.TensorOf(t).Int64s(); err == nil && len(v) <= maxInts {
			inf.ints[t.GetName()] = v
		}
	}
	rules := shapeRules()
	for _, n := range g.Nodes() {
		inf.node(n, rules)
	}
	return inf.shapes
}

// maxInts is the size up to which integer tensors are computed, so that
// shapes made of shapes become known.
const maxInts = 64

// declared reads a declaration.
func declared(v *onnxpb.ValueInfoProto) Value {
	tensor := v.GetType().GetTensorType()
	out := Value{Type: onnx.ElemType(tensor.GetElemType())}
	if tensor.GetShape() == nil {
		return out
	}
	out.Known, out.Dims = true, []int64{}
	for _, d := range tensor.Shape.Dim {
		size := int64(-1)
		if n, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && n.DimValue > 0 {
			size = n.DimValue
		}
		out.Dims = append(out.Dims, size)
	}
	return out
}

// inference walks the nodes in order.
type inference struct {
	g      *Graph
	shapes Shapes
	ints   map[string][]int64 // values of small integer tensors
}

// in returns what is known of input i.
func (f *inference) in(n *Node, i int) Value { return f.shapes[last(n.Input, i)] }

// set notes an output. What the file declares fills what stays unknown.
func (f *inference) set(n *Node, i int, v Value) {
	if i >= len(n.Output) || n.Output[i] == "" {
		return
	}
	old := f.shapes[n.Output[i]]
	if v.Type == onnx.Undefined {
		v.Type = old.Type
	}
	if !v.Known {
		v.Known, v.Dims = old.Known, old.Dims
	} else if old.Known && len(old.Dims) == len(v.Dims) {
		v.Dims = slices.Clone(v.Dims)
		for d := range v.Dims {
			if v.Dims[d] < 0 {
				v.Dims[d] = old.Dims[d]
			}
		}
	}
	f.shapes[n.Output[i]] = v
}

// node infers the outputs of one node.
func (f *inference) node(n *Node, rules map[string]func(*inference, *Node)) {
	if !standard(n) || len(n.Input) == 0 || len(n.Output) == 0 {
		return
	}
	if rule, ok := rules[n.GetOpType()]; ok {
		rule(f, n)
	}
	f.integers(n)
}

// shapeRules returns the operators whose outputs are inferred.
func shapeRules() map[string]func(*inference, *Node) {
	rules := map[string]func(*inference, *Node){
		"Conv": (*inference).conv, "ConvTranspose": (*inference).convTranspose,
		"MaxPool": (*inference).pool, "AveragePool": (*inference).pool, "LpPool": (*inference).pool,
		"GlobalAveragePool": (*inference).globalPool, "GlobalMaxPool": (*inference).globalPool,
		"Gemm": (*inference).gemm, "MatMul": (*inference).matmul, "Concat": (*inference).concat,
		"Reshape": (*inference).reshape, "Flatten": (*inference).flatten, "Transpose": (*inference).transpose,
		"Squeeze": (*inference).squeeze, "Unsqueeze": (*inference).unsqueeze, "Slice": (*inference).slice,
		"Split": (*inference).split, "Resize": (*inference).resize, "Upsample": (*inference).resize, "Pad": (*inference).pad,
		"Shape": (*inference).shape, "Cast": (*inference).cast, "Gather": (*inference).gather, "Expand": (*inference).expand,
		"ConstantOfShape": (*inference).ofShape, "DepthToSpace": (*inference).depthToSpace, "Where": (*inference).where,
		"QuantizeLinear": (*inference).quantize, "DequantizeLinear": (*inference).dequantize,
	}
	add := func(rule func(*inference, *Node), ops ...string) {
		for _, op := range ops {
			rules[op] = rule
		}
	}
	add((*inference).same, "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid",
		"HardSwish", "Tanh",
		"Softplus", "Softsign", "Softmax", "LogSoftmax", "Exp", "Log", "Sqrt", "Neg", "Abs", "Floor", "Ceil", "Round", "Erf",
		"Reciprocal", "BatchNormalization", "InstanceNormalization", "LRN", "LpNormalization", "Dropout", "Identity", "Mish")
	add((*inference).broadcast, "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Mod")
	add((*inference).compare, "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Xor")
	add((*inference).reduce, "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
		"ReduceProd", "ArgMax", "ArgMin")
	return rules
}
