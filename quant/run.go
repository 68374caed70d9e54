package quant

// Session runs one graph on one input. [emberwing/infer/ort.Net] is one.
type Session interface {
	// Input returns the memory of input i: fill it, then Run.
	Input(i int) []float32
	// Run computes the outputs.
	Run() error
	// Output returns output i of the last Run in row-major order; the next
	// Run overwrites it.
	Output(i int) []float32
	// Close frees the session.
	Close() error
}

// Input names an input of a graph and its dimensions, all of them known.
type Input struct {
	Name string
	Dims []int64
}

// Opener opens a graph, given as the bytes of an ONNX file, for the float32
// outputs named.
type Opener func(model []byte, inputs []Input, outputs []string) (Session, error)

// Samples are inputs for a graph with one input, in a fixed order.
type Samples interface {
	// Len returns their number.
	Len() int
	// Load fills dst with sample i.
	Load(i int, dst []float32) error
	// ID identifies samples, order and preprocessing: equal IDs, equal data.
	ID() string
}

// Subset is a part of samples.
type Subset struct {
	Samples
	Index []int // of the samples that belong to it
	Name  string
}

// Len implements [Samples].
func (s Subset) Len() int { return len(s.Index) }

// Load implements [Samples].
func (s Subset) Load(i int, dst []float32) error { return s.Samples.Load(s.Index[i], dst) }

// ID implements [Samples].
func (s Subset) ID() string { return s.Samples.ID() + "/" + s.Name }

// Progress is told how far a long step is. It may be nil.
type Progress func(step string, done, total int)

// Report calls p unless it is nil.
func (p Progress) Report(step string, done, total int) {
	if p != nil {
		p(step, done, total)
	}
}
