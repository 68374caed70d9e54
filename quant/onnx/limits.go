package onnx

import "fmt"

// Limits bound what reading a model may cost. A zero field takes its value
// from [DefaultLimits].
type Limits struct {
	FileBytes int64 // size of the file
	Nodes     int   // nodes, those of subgraphs and functions included
	Depth     int   // nesting of messages; a plain graph needs 7
}

// DefaultLimits fit models for edge devices with room to spare.
func DefaultLimits() Limits {
	return Limits{FileBytes: 1 << 30, Nodes: 200_000, Depth: 64}
}

// Costs of decoding, for the estimate that is checked before decoding.
const (
	messageCost = 512 // one message: its struct, its place in a list, its index entry
	elementCost = 8   // one element of a packed list
	textCost    = 160 // one string or byte slice, besides its content: its header and index entries
)

// What decoding may cost in all, besides the file itself: three times the file.
// A node of thirty bytes is a thousand in memory, and a file of little but
// nodes gets more, 48 times its size up to costMost.
const (
	costFactor = 3
	nodeFactor = 48
	costFloor  = 64 << 10 // whatever the size
	costMost   = 32 << 20
)

// orDefault fills the zero fields.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.FileBytes == 0 {
		l.FileBytes = d.FileBytes
	}
	if l.Nodes == 0 {
		l.Nodes = d.Nodes
	}
	if l.Depth == 0 {
		l.Depth = d.Depth
	}
	return l
}

// budget is the memory that decoding a file of n bytes may cost.
func budget(n int) int64 {
	size := int64(n)
	return max(costFactor*size, min(costMost, costFloor+nodeFactor*size))
}

// tooLarge is the error for a limit that is exceeded.
func tooLarge(what string, got, limit int64) error {
	return fmt.Errorf("%w: %s: got %d, want at most %d", ErrLimit, what, got, limit)
}
