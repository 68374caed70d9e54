// Package benchmark measures the modes of one model on this machine: it opens
// each mode's file, judges all of them on the same pictures through the same
// preprocessing and decision as in flight, and lets them take turns at speed.
// What the figures mean is decided in emberwing/quant/bench.
package benchmark
