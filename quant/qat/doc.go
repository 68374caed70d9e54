// Package qat takes in models that already carry Q/DQ pairs, as
// quantisation-aware training exports them: it finds what a runtime would
// stumble over, and strips the pairs into a plain float graph with the scales
// that training chose, from which any target can be written.
package qat
