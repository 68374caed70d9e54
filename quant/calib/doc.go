// Package calib measures the values that flow through a graph and chooses the
// range of each tensor from them.
//
// Measuring takes two passes over the samples. The first adds reductions to
// the graph, so that only the smallest and largest value of each tensor and
// the mean of each channel leave it. The second counts values in histograms of
// fixed range, tensors in chunks that fit a memory budget. What was measured
// is kept in a [Calibration], from which every [Method] computes its ranges
// without running anything, and which can be stored, continued and extended.
package calib
