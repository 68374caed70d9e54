// Package half makes models that compute in 16-bit floating point, and models
// in 32 bit that round as those do.
//
// Inputs and outputs stay float32. What 16 bits cannot hold is reported and
// stays in float32; nothing is clipped.
package half

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// Limits of 16-bit floating point (IEEE 754 binary16).
const (
	Max      = 65504                 // largest number
	Smallest = 5.960464477539063e-08 // smallest number above 0
)

// DefaultBlocked are operators that stay in float32: runtimes lack a kernel
// for them, or they need the precision.
func DefaultBlocked() []string {
	return []string{"NonMaxSuppression", "TopK", "RoiAlign", "Resize", "Upsample", "Range", "CumSum", "Cast",
		"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "ConstantOfShape", "Constant",
		"QuantizeLinear", "DequantizeLinear", "If", "Loop", "Scan"}
}

// Options says what stays in float32.
type Options struct {
	Ops   []string // operators; nil is DefaultBlocked
	Nodes []string // nodes by name
	// Largest holds the largest magnitude seen of values, by name. Nodes that
	// read or compute one beyond Max stay in float32.
	Largest map[string]float64
}

// Finding is something that 16 bits cannot hold.
type Finding struct {
	Name  string  `json:"name"`  // of the constant or value
	Node  string  `json:"node"`  // that uses it
	Worst float64 `json:"worst"` // largest magnitude
	Lost  int     `json:"lost"`  // numbers other than 0 that become 0
	Kept  bool    `json:"kept"`  // whether the node stays in float32 for it
}

// String says it in one line.
func (f Finding) String() string {
	if f.Kept {
		return fmt.Sprintf("%s: %q reaches %.4g, 16-bit floats end at %d: the node stays in float32", f.Node, f.Name,
			f.Worst, Max)
	}
	return fmt.Sprintf("%s: %d numbers of %q become 0 in 16-bit floats", f.Node, f.Lost, f.Name)
}

// converter is the work on one graph.
type converter struct {
	g        *graph.Graph
	shapes   graph.Shapes
	half     map[*graph.Node]bool
	findings []Finding
	cast     map[string]string // value and kind to its other form
}

// plan decides which nodes compute in 16 bits.
func plan(g *graph.Graph, o Options) (*converter, error) {
	c := &converter{g: g, shapes: g.Shapes(), half: map[*graph.Node]bool{}, cast: map[string]string{}}
	if o.Ops == nil {
		o.Ops = DefaultBlocked()
	}
	names := map[string]bool{}
	for _, n := range g.Nodes() {
		names[n.GetName()] = true
		blocked := slices.Contains(o.Ops, n.GetOpType()) || slices.Contains(o.Nodes, n.GetName()) || n.GetDomain() != ""
		c.half[n] = !blocked && c.floats(n) && c.fits(n, o.Largest)
	}
	for _, name := range o.Nodes {
		if !names[name] {
			return nil, fmt.Errorf("keep nodes in float32: got %q, which names no node", name)
		}
	}
	return c, nil
}

// floats says whether a node takes or gives float32 numbers, all of known
// type.
func (c *converter) floats(n *graph.Node) bool {
	any := false
	for _, name := range slices.Concat(n.Input, n.Output) {
		switch c.shapes[name].Type {
		case onnx.Float:
			any = true
		case onnx.Undefined:
			if name != "" {
				return false
			}
		}
	}
	return any
}

// fits reports what of a node's values 16 bits cannot hold, and whether the
// node may compute in them all the same.
func (c *converter) fits(n *graph.Node, largest map[string]float64) bool {
	ok := true
	for _, name := range slices.Concat(n.Input, n.Output) {
		f := Finding{Name: name, Node: graph.Describe(n), Worst: largest[name]}
		if values, _, constant := c.g.Floats(name); constant {
			f.Worst, f.Lost = extremes(values)
		}
		f.Kept = f.Worst > Max
		if f.Kept || f.Lost > 0 {
			c.findings = append(c.findings, f)
		}
		ok = ok && !f.Kept
	}
	return ok
}

// extremes returns the largest magnitude, infinities aside, and how many
// numbers other than 0 round to 0.
func extremes(values []float32) (worst float64, lost int) {
	for _, v := range values {
		a := math.Abs(float64(v))
		if a > worst && !math.IsInf(a, 0) {
			worst = a
		}
		if a > 0 && FromFloat(v)&0x7fff == 0 {
			lost++
		}
	}
	return worst, lost
}

// Convert makes the nodes of a canonical graph compute in 16 bits where they
// can. The graph is changed. It returns what did not fit.
func Convert(g *graph.Graph, o Options) ([]Finding, error) {
	c, err := plan(g, o)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Clone(g.Nodes()) {
		if c.half[n] {
			c.outputs(n)
		}
	}
	for _, n := range slices.Clone(g.Nodes()) {
		if _, planned := c.half[n]; planned {
			c.inputs(n)
		}
	}
	g.ForgetValues()
	return c.findings, g.Sort()
}

// outputs gives the 16-bit results of a node names of their own where the
// name is needed for float32.
func (c *converter) outputs(n *graph.Node) {
	for i, out := range n.Output {
		if out == "" || !c.shapes.Float(out) {
			continue
		}
		h := out
		if c.g.Kept(out) {
			h = c.g.Fresh(out + "_half")
			n.Output[i] = h
			c.g.Touch()
			c.g.Add("Cast", []string{h}, []string{out}, graph.IntAttr("to", int64(onnx.Float)))
			c.cast[out+"/float"] = out
		}
		c.cast[out+"/half"] = h
	}
}

// inputs makes a node read the form of each value that it computes in.
func (c *converter) inputs(n *graph.Node) {
	kind, to := "/float", onnx.Float
	if c.half[n] {
		kind, to = "/half", onnx.Float16
	}
	for i, in := range n.Input {
		if in == "" || !c.shapes.Float(in) {
			continue
		}
		native := c.cast[in+"/half"] != ""
		switch {
		case c.cast[in+kind] != "":
			n.Input[i] = c.cast[in+kind]
		case c.half[n] && c.g.IsConstant(in):
			n.Input[i] = c.constant(in)
		case c.half[n] == native: // computed in this form
		default:
			source := in
			if native {
				source = c.cast[in+"/half"]
			}
			form := c.g.Fresh(in + "_cast")
			c.g.Add("Cast", []string{source}, []string{form}, graph.IntAttr("to", int64(to)))
			n.Input[i], c.cast[in+kind] = form, form
		}
	}
	c.g.Touch()
}

// constant stores a constant in 16 bits.
func (c *converter) constant(name string) string {
	values, dims, _ := c.g.Floats(name)
	raw := make([]byte, 0, 2*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint16(raw, FromFloat(v))
	}
	h := c.g.Fresh(name + "_half")
	c.g.SetRaw(h, onnx.Float16, dims, raw)
	c.cast[name+"/half"] = h
	return h
}

// Emulate rounds constants and results of the nodes that Convert would compute
// in 16 bits, so that a runtime without kernels for them shows their accuracy.
// Sums inside a node stay in float32, as hardware with float32 accumulators
// keeps them. The graph is changed.
func Emulate(g *graph.Graph, o Options) ([]Finding, error) {
	c, err := plan(g, o)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Clone(g.Nodes()) {
		if !c.half[n] {
			continue
		}
		for i, in := range n.Input {
			switch {
			case !c.shapes.Float(in):
			case c.g.IsConstant(in):
				n.Input[i] = c.rounded(in)
			case c.g.Producer(in) == nil || !c.half[c.g.Producer(in)]:
				n.Input[i] = c.round(in, in)
			}
		}
		c.g.Touch()
	}
	for _, n := range slices.Clone(g.Nodes()) {
		if c.half[n] {
			c.roundOutputs(n)
		}
	}
	return c.findings, g.Sort()
}

// roundOutputs rounds what a node computes; readers get the rounded value
// under the old name.
func (c *converter) roundOutputs(n *graph.Node) {
	for i, out := range n.Output {
		if out == "" || !c.shapes.Float(out) {
			continue
		}
		exact := c.g.Fresh(out + "_exact")
		n.Output[i] = exact
		c.g.Touch()
		h := c.g.Fresh(out + "_half")
		c.g.Add("Cast", []string{exact}, []string{h}, graph.IntAttr("to", int64(onnx.Float16)))
		c.g.Add("Cast", []string{h}, []string{out}, graph.IntAttr("to", int64(onnx.Float)))
	}
}

// round adds a rounded copy of a value and returns its name.
func (c *converter) round(key, source string) string {
	if c.cast[key] == "" {
		h, f := c.g.Fresh(key+"_half"), c.g.Fresh(key+"_rounded")
		c.g.Add("Cast", []string{source}, []string{h}, graph.IntAttr("to", int64(onnx.Float16)))
		c.g.Add("Cast", []string{h}, []string{f}, graph.IntAttr("to", int64(onnx.Float)))
		c.cast[key] = f
	}
	return c.cast[key]
}

// rounded stores a constant rounded to 16 bits and returns its name.
func (c *converter) rounded(name string) string {
	if c.cast[name] == "" {
		values, dims, _ := c.g.Floats(name)
		for i, v := range values {
			values[i] = ToFloat(FromFloat(v))
		}
		c.cast[name] = c.g.NewFloats(name+"_rounded", dims, values)
	}
	return c.cast[name]
}

// FromFloat rounds to the nearest 16-bit number, halves to even. Numbers from
// 65520 on become infinite.
func FromFloat(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, exp, frac := uint16(bits>>16)&0x8000, int(bits>>23&0xff)-127+15, bits&0x7fffff
	switch {
	case bits&0x7fffffff > 0x7f800000: // NaN
		return sign | 0x7e00
	case exp >= 31:
		return sign | 0x7c00
	case exp < -10:
		return sign
	case exp <= 0: // subnormal
		frac |= 0x800000
		shift := uint(14 - exp)
		return sign + uint16(nearest(frac, shift))
	}
	return sign + uint16(uint32(exp)<<10+nearest(frac, 13))
}

// nearest shifts right and rounds halves to even.
func nearest(v uint32, shift uint) uint32 {
	half := uint32(1) << (shift - 1)
	rest, q := v&(half<<1-1), v>>shift
	if rest > half || rest == half && q&1 == 1 {
		q++
	}
	return q
}

// ToFloat widens a 16-bit number.
func ToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*Smallest))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
