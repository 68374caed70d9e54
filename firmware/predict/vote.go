package predict

import (
	"math"

	"emberwing/camera"
	"emberwing/camera/pixel"
	"emberwing/infer"
)

// vote chooses the parts of a frame that the model sees: all of it, or crops
// that follow the content. What it chose stays with the slot from Prepare to
// Run.
type vote struct {
	block         *infer.Vote // nil for the whole frame
	anchors       *pixel.Anchors
	width, height int
	format        camera.Format
	size          infer.Crop // of a crop, 0 for pictures too small to choose from
	slots         []chosen
}

// chosen is what a slot's frame is seen through.
type chosen struct {
	at   [infer.MaxCrops]pixel.Point
	n    int // crops, 0 for the whole frame
	size infer.Crop
	seen Rect // what the input of the first shows
}

func newVote(main *stage) *vote {
	return &vote{block: main.Manifest.Vote, slots: make([]chosen, main.Session.Report().Slots)}
}

// fill chooses what to show of f and writes the first of it through l.
func (v *vote) fill(slot int, f *camera.Frame, l *lens) error {
	c := &v.slots[slot]
	if err := v.choose(f, c); err != nil {
		return err
	}
	first := wholeOf(f)
	if c.n > 0 {
		first = v.crop(slot, 0)
	}
	seen, err := l.into(slot, f, first)
	c.seen = seen
	return err
}

// choose finds the crops of f.
func (v *vote) choose(f *camera.Frame, c *chosen) (err error) {
	c.n = 0
	if v.block == nil {
		return nil
	}
	if v.width != f.Width || v.height != f.Height || v.format != f.Format {
		v.fit(f)
	}
	if c.size = v.size; v.anchors == nil {
		return nil
	}
	c.n, err = v.anchors.Find(f, c.at[:v.block.Crops])
	return err
}

// fit prepares for frames like f. A picture too small for crops is seen whole.
func (v *vote) fit(f *camera.Frame) {
	v.width, v.height, v.format = f.Width, f.Height, f.Format
	shrink := func(n int) int { return n - int(math.Round(float64(v.block.Margin)*float64(n))) }
	v.size = infer.Crop{W: shrink(f.Width), H: shrink(f.Height)}
	anchors, err := pixel.NewAnchors(f.Width, f.Height, f.Format, v.size.W, v.size.H)
	if v.anchors = anchors; err != nil {
		v.anchors = nil
	}
}

// crops returns how many runs the frame in slot asks for.
func (v *vote) crops(slot int) int { return max(v.slots[slot].n, 1) }

// crop returns crop i of the frame in slot.
func (v *vote) crop(slot, i int) infer.Crop {
	c := &v.slots[slot]
	return infer.Crop{X: c.at[i].X, Y: c.at[i].Y, W: c.size.W, H: c.size.H}
}

// seen returns what the first crop shows of the frame in slot.
func (v *vote) seen(slot int) Rect { return v.slots[slot].seen }
