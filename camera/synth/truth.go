package synth

// Truth is what is really in a frame.
type Truth struct {
	// Phase is the name of the script's phase.
	Phase string
	// FireArea and SmokeArea are shares of the picture, 0…1, measured on the
	// drawn frame; smoke in front of flames counts as smoke only where it
	// hides them.
	FireArea, SmokeArea float64
	// Gesture is the raised hand's shape, "none" when no hand is in view and
	// "" while it comes or goes.
	Gesture string
	// HandBox is x0, y0, x1, y1 of the hand, 0…1 from the upper left, zero
	// when no hand is in view. It may reach past the picture's edge.
	HandBox [4]float64
}

// Areas between the thresholds of Label are ambiguous.
const (
	fireFrom  = 0.008
	smokeFrom = 0.03
	clearTo   = 0.0005
)

// Label names the class of a fire model: "fire", "smoke", "nofire", or ""
// when the frame is ambiguous.
func (t Truth) Label() string {
	switch {
	case t.FireArea >= fireFrom:
		return "fire"
	case t.FireArea <= clearTo && t.SmokeArea >= smokeFrom:
		return "smoke"
	case t.FireArea <= clearTo && t.SmokeArea <= clearTo:
		return "nofire"
	}
	return ""
}

// Truth returns the ground truth of frame seq. It draws the frame's layers,
// so it costs about as much as Render, and nothing right after Render or
// ReadFrame of the same seq.
func (f *Flight) Truth(seq uint64) Truth {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.viewAt(f.moment(seq))
	if !f.drawn || f.drawnSeq != seq {
		f.drawLayers(&v)
		f.drawn, f.drawnSeq = true, seq
	}
	t := Truth{Phase: f.script.at(v.t).Name, Gesture: "none"}
	t.FireArea, t.SmokeArea = f.fx.areas()
	f.handTruth(&t, &v)
	return t
}

func (f *Flight) handTruth(t *Truth, v *view) {
	if f.person == nil {
		return
	}
	pl, ok := f.person.at(v, f.shake(v.t))
	if !ok {
		return
	}
	b := f.person.box(pl)
	w, h := float64(f.width), float64(f.height)
	if float64(b[1]) >= h {
		return
	}
	t.HandBox = [4]float64{float64(b[0]) / w, float64(b[1]) / h, float64(b[2]) / w, float64(b[3]) / h}
	t.Gesture = ""
	if t.HandBox[3] < 1.02 {
		t.Gesture = f.gesture
	}
}
