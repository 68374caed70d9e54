// Package predict runs a model on frames together with what its manifest puts
// around it: a gate before it, a localiser that crops for it, a vote of several
// crops, a second model mixed in, a distance to the training set, and a
// segmenter or class activation map that says why.
//
// The frame path in flight, classify, eval and bench all go through it, so that
// what is measured is what flies. Work on a frame has two halves, which two
// goroutines may do: Prepare fills the first model's input, Run does the rest.
package predict
