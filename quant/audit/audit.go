package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"emberwing/quant/onnx"
)

// Finding is one operator of the plan that is computed in float.
type Finding struct {
	Node   string `json:"node"`
	Op     string `json:"op"`
	Reason string `json:"reason"`
	// Pairs names the values between a QuantizeLinear and a DequantizeLinear
	// around the operator that cost time for nothing.
	Pairs []string `json:"pairs"`
}

// Report is what became of a plan.
type Report struct {
	Planned  int            `json:"planned"`  // operators with a dequantised input
	Fused    map[string]int `json:"fused"`    // integer operators by type
	Passed   int            `json:"passed"`   // that hand integers through: Reshape, MaxPool
	Absorbed int            `json:"absorbed"` // that vanished into a neighbour: Relu, Clip
	Floats   []Finding      `json:"floats"`   // that are computed in float
	// Unplanned counts operators that the file itself leaves in float.
	Unplanned map[string]int `json:"unplanned"`
	// Surviving counts the quantise and dequantise operators that still run.
	Surviving int `json:"surviving_qdq"`
	Run       int `json:"run"` // all operators of the graph that runs
}

// NumFused returns the number of integer operators.
func (r *Report) NumFused() (n int) {
	for _, k := range r.Fused {
		n += k
	}
	return n
}

// Prepare gives every node a name of its own, which changes nothing else, so
// that it can be found again in the optimised graph.
func Prepare(m *onnx.Model) (*onnx.Model, error) {
	pb := m.CloneProto()
	taken := map[string]bool{}
	for i, n := range pb.Graph.Node {
		name := n.GetName()
		for k := i; name == "" || taken[name]; k++ {
			name = fmt.Sprintf("%s_audit_%d", n.GetOpType(), k)
		}
		taken[name] = true
		n.Name = &name
	}
	return onnx.FromProto(pb)
}

// Compare holds the graph that runs against the plan that [Prepare] named.
func Compare(plan, running *onnx.Model) *Report {
	c := &comparison{plan: plan.Graph(), running: running.Graph(), found: map[string]onnx.Node{}}
	r := &Report{Fused: map[string]int{}, Unplanned: map[string]int{}, Run: running.Graph().NumNodes(),
		Floats: []Finding{}}
	for _, n := range running.Graph().Nodes() {
		c.found[baseName(n.Name())] = n
		if isPair(n) {
			r.Surviving++
		}
	}
	for _, n := range plan.Graph().Nodes() {
		c.judge(n, r)
	}
	return r
}

// suffix is what ONNX Runtime adds to the name of a node that replaces another.
var suffix = regexp.MustCompile(`(_token_\d+|_nhwc)+$`)

// baseName is the name in the plan of a node that runs; a convolution fused
// with its activation is called "fused" and its old name.
func baseName(name string) string {
	return suffix.ReplaceAllString(strings.TrimPrefix(name, "fused "), "")
}

// isPair reports the two halves of a pair.
func isPair(n onnx.Node) bool { return n.Op() == "QuantizeLinear" || n.Op() == "DequantizeLinear" }

// comparison is one plan beside what runs.
type comparison struct {
	plan, running *onnx.Graph
	found         map[string]onnx.Node // of the running graph, by the name in the plan
}

// planned reports whether a node reads a dequantised value.
func (c *comparison) planned(n onnx.Node) bool {
	return !isPair(n) && slices.ContainsFunc(n.Inputs(), func(in string) bool {
		return opOf(c.plan, in) == "DequantizeLinear"
	})
}

// opOf returns the operator that computes a value, "" for inputs and constants.
func opOf(g *onnx.Graph, value string) string {
	if n, ok := g.Producer(value); ok {
		return n.Op()
	}
	return ""
}

// judge sorts one node of the plan into the report.
func (c *comparison) judge(n onnx.Node, r *Report) {
	switch {
	case isPair(n) || n.Op() == "Constant":
		return
	case !c.planned(n):
		r.Unplanned[n.Op()]++
		return
	}
	r.Planned++
	now, ok := c.found[n.Name()]
	switch {
	case !ok:
		r.Absorbed++
	case isInteger(now):
		r.Fused[now.Op()]++
	case c.passesIntegers(now):
		r.Passed++
	default:
		r.Floats = append(r.Floats, Finding{n.Name(), n.Op(), c.reason(n, now), c.pairs(n)})
	}
}

// isInteger reports operators on integers.
func isInteger(n onnx.Node) bool {
	return strings.HasPrefix(n.Op(), "QLinear") || strings.HasPrefix(n.Op(), "QGemm") || strings.HasSuffix(n.Op(),
		"Integer")
}

// passesIntegers reports a node without a dequantised input: it moves integers.
func (c *comparison) passesIntegers(n onnx.Node) bool {
	return !slices.ContainsFunc(n.Inputs(), func(in string) bool { return opOf(c.running, in) == "DequantizeLinear" })
}

// pairs names the values of the plan around a node that are quantised for
// nothing.
func (c *comparison) pairs(n onnx.Node) []string {
	var out []string
	for _, in := range n.Inputs() {
		dq, ok := c.plan.Producer(in)
		if !ok || dq.Op() != "DequantizeLinear" {
			continue
		}
		if _, constant := c.plan.Initializer(dq.Inputs()[0]); !constant {
			out = append(out, dq.Inputs()[0])
		}
	}
	for _, o := range n.Outputs() {
		for _, q := range c.plan.Consumers(o) {
			if q.Op() == "QuantizeLinear" {
				out = append(out, q.Outputs()[0])
			}
		}
	}
	return out
}
