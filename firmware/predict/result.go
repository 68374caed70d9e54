package predict

import (
	"time"

	"emberwing/infer"
)

// Stage names one part of the work on a frame.
type Stage int

// The stages in their order. Preprocess is what Run still had to do of it.
const (
	Preprocess Stage = iota
	Gate
	Localise
	Infer
	Segment
	Decide
	NumStages
)

// String returns the name used in results and statistics.
func (s Stage) String() string {
	return [...]string{"preprocess", "gate", "localise", "infer", "segment", "decide"}[s]
}

// Rect is a part of a frame: its upper left corner and sides as shares of the
// frame's width and height. What a letterboxed input shows reaches beyond it.
type Rect struct{ X, Y, W, H float32 }

// whole is all of a frame.
var whole = Rect{W: 1, H: 1}

// Result is what is known of one frame. The caller owns it and uses it again:
// it allocates nothing once it has seen a result of the model.
//
// Label is -1 and all scores 0 when a localiser found nothing and the model has
// no label "none".
type Result struct {
	infer.Result

	Gated     bool    // the gate held the frame back: the scores are the gate's
	Watched   bool    // GateScore holds
	GateScore float32 // alarm score of the gate

	Boxed bool    // Box and BoxScore hold: the localiser's box behind the answer
	Box   Rect    // clipped to the frame
	BoxP  float32 // score of the box
	Boxes int     // boxes found

	Crops int     // runs of the model
	Other float32 // share of the mixed-in model in the answer

	Measured bool    // Distance holds
	Distance float32 // d² to the training set
	Limit    float32 // above it the frame is Unknown
	Unknown  bool

	Segmented bool       // Area, Centre and Extent hold
	Area      float32    // share of the frame that shows any label of the segmenter
	Areas     []float32  // the same for each of its labels
	Centre    [2]float32 // of that area, as shares of width and height; 0.5 0.5 without any
	Extent    Rect       // around that area
	Spent     [NumStages]time.Duration

	cam      []float32 // copy of the map behind the answer
	camSeen  Rect
	masks    []float32 // scores
	maskSeen Rect
}

// reset forgets the last frame and keeps the memory.
func (r *Result) reset() {
	*r = Result{
		Result: infer.Result{Label: -1, Scores: r.Scores[:0]}, Areas: r.Areas[:0], Centre: [2]float32{0.5, 0.5},
		cam: r.cam[:0], masks: r.masks[:0],
	}
}

// CopyFrom makes r an independent copy of src, reusing r's memory.
func (r *Result) CopyFrom(src *Result) {
	scores, areas := append(r.Scores[:0], src.Scores...), append(r.Areas[:0], src.Areas...)
	cam, masks := append(r.cam[:0], src.cam...), append(r.masks[:0], src.masks...)
	*r = *src
	r.Scores, r.Areas, r.cam, r.masks = scores, areas, cam, masks
}

// spend adds the time since start to a stage and returns the present.
func (r *Result) spend(s Stage, start time.Time) time.Time {
	now := time.Now()
	r.Spent[s] += now.Sub(start)
	return now
}
