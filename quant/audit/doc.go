// Package audit says which quantised operators a runtime really computes in
// integers, and what stopped the others.
//
// A quantised file holds every operator between a DequantizeLinear and a
// QuantizeLinear; that is a plan. ONNX Runtime turns such a group into one
// integer operator only under many conditions, and computes in float, silently
// and slower than FP32, where one of them fails. [Prepare] names the nodes,
// the caller lets the runtime save the graph that it will run, and [Compare]
// holds that against the plan.
//
// The conditions are those of ONNX Runtime's selectors (qdq_selectors.cc and
// qdq_selector_action_transformer.cc, read in the sources of 1.11 to 1.30).
package audit
