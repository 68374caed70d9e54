// Package recipe makes a quantised model from a float one: it brings the graph
// into canonical form, measures it, chooses ranges, writes the result for a
// target, and says what it cost on samples that were kept aside.
package recipe
