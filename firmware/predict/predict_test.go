package predict_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/camera"
	"emberwing/firmware/engine"
	"emberwing/firmware/firmwaretest"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/infer/infertest"
)

// load opens a model of the family with its companions on the real library.
// spoil, if not nil, changes its manifest.
func load(t testing.TB, name string, o predict.Options, spoil func(m *infer.Manifest)) *predict.Predictor {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, infertest.Family(t)); err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		infertest.EditManifest(t, filepath.Join(dir, name, infer.ManifestFile), spoil)
	}
	e, err := engine.New(firmwaretest.NeedRuntime(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.Load(filepath.Join(dir, name), infer.Options{Slots: 2, Threads: 1}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return l.Predictor
}

// picture is a dark frame of w by h pixels with one rectangle of a colour.
func picture(w, h, x, y, rw, rh int, rgb [3]byte) *camera.Frame {
	f := new(camera.Frame)
	f.Resize(w, h, camera.RGB24)
	clear(f.Pix)
	for j := y; j < y+rh; j++ {
		for i := x; i < x+rw; i++ {
			copy(f.Row(j)[3*i:], rgb[:])
		}
	}
	return f
}

var (
	red  = [3]byte{255, 0, 0}
	grey = [3]byte{200, 200, 200}
)

// run answers for f in slot 1.
func run(t testing.TB, p *predict.Predictor, f *camera.Frame) *predict.Result {
	t.Helper()
	r := new(predict.Result)
	if err := errors.Join(p.Prepare(1, f), p.Run(1, f, r)); err != nil {
		t.Fatal(err)
	}
	return r
}

func near(a float32, b, tolerance float64) bool { return math.Abs(float64(a)-b) <= tolerance }

func e(x float64) float64 { return math.Exp(x) }

// plain turns off every block but those that keep names.
func plain(keep ...string) func(m *infer.Manifest) {
	return func(m *infer.Manifest) {
		old := *m
		m.Gate, m.Vote, m.Mix, m.Segmenter, m.Localiser = nil, nil, nil, nil, nil
		for _, k := range keep {
			switch k {
			case "gate":
				m.Gate = old.Gate
			case "vote":
				m.Vote = old.Vote
			case "mix":
				m.Mix = old.Mix
			case "segmenter":
				m.Segmenter = old.Segmenter
			case "localiser":
				m.Localiser = old.Localiser
			}
		}
	}
}

func TestPlainModel(t *testing.T) {
	p := load(t, "beacon", predict.Options{}, plain())
	r := run(t, p, picture(64, 48, 0, 0, 64, 48, red)) // logits 0, -12, 8
	if r.Label != 2 || !near(r.Score, e(8)/(1+e(8)+e(-12)), 1e-4) || r.Trigger != r.Alarm || r.Crops != 1 ||
		r.Other != 0 {
		t.Errorf("got %+v", r)
	}
	if r.Watched || r.Gated || r.Boxed || r.Segmented {
		t.Errorf("blocks that are off have spoken: %+v", r)
	}
	if !r.Measured || r.Limit != 1 || !near(r.Distance, 4*(0.1*0.1+0.1*0.1), 1e-4) || r.Unknown {
		t.Errorf("distance %v of %v, unknown %v, want 0.08 of 1", r.Distance, r.Limit, r.Unknown)
	}
	if r = run(t, p, picture(64, 48, 0, 0, 64, 48, [3]byte{255, 255, 255})); !r.Unknown ||
		!near(r.Distance, 4*(0.7*0.7+0.3*0.3), 1e-3) {
		t.Errorf("white: distance %v, unknown %v, want 2.32 and unknown", r.Distance, r.Unknown)
	}
}

// TestManifestSwitchesEachBlock runs the same picture with a block in the
// manifest and without, and expects its effect to be there and to be gone.
func TestManifestSwitchesEachBlock(t *testing.T) {
	dark, hot := picture(64, 48, 0, 0, 0, 0, red), picture(64, 64, 32, 0, 32, 64, red)
	dim := picture(64, 48, 0, 0, 64, 48, [3]byte{64, 0, 0})
	variant := func(edit func(v *infer.Variant)) func(m *infer.Manifest) {
		return func(m *infer.Manifest) { plain()(m); edit(&m.Variants[0]) }
	}
	both := func(edit ...func(m *infer.Manifest)) func(m *infer.Manifest) {
		return func(m *infer.Manifest) {
			for _, e := range edit {
				e(m)
			}
		}
	}
	heat := func(p *predict.Predictor, r *predict.Result) bool { var h predict.Heat; return p.Explain(r, 2, &h) }
	for name, c := range map[string]struct {
		frame   *camera.Frame
		on, off func(m *infer.Manifest)
		speaks  func(p *predict.Predictor, r *predict.Result) bool
	}{
		"gate": {dark, plain("gate"), plain(), func(_ *predict.Predictor, r *predict.Result) bool { return r.Gated }},
		"vote": {hot, plain("vote"), plain(), func(p *predict.Predictor, r *predict.Result) bool {
			var h predict.Heat
			return p.Explain(r, 2, &h) && h.Over.W == 0.75 // it looked at a crop
		}},
		"mix":       {dim, plain("mix"), plain(), func(_ *predict.Predictor, r *predict.Result) bool { return r.Other > 0.4 }},
		"segmenter": {hot, plain("segmenter"), plain(), func(_ *predict.Predictor, r *predict.Result) bool { return r.Area == 0.5 }},
		"ood": {dim, plain(), variant(func(v *infer.Variant) { v.OOD = nil }),
			func(_ *predict.Predictor, r *predict.Result) bool { return r.Measured && r.Distance > 0 }},
		"features": {dim, plain(), both(variant(func(v *infer.Variant) { v.OOD = nil }), func(m *infer.Manifest) { m.Features = nil }),
			func(_ *predict.Predictor, r *predict.Result) bool { return r.Measured }},
		"cam": {hot, plain(), both(plain(), func(m *infer.Manifest) { m.CAM = nil }), heat},
		"temperature": {dim, variant(func(v *infer.Variant) { v.Temperature = 4 }), plain(),
			func(_ *predict.Predictor, r *predict.Result) bool {
				return near(r.Score, e(0.5)/(1+e(0.5)+e(-1.5)), 0.01)
			}},
	} {
		for _, on := range []bool{true, false} {
			edit := map[bool]func(m *infer.Manifest){true: c.on, false: c.off}[on]
			p := load(t, "beacon", predict.Options{}, edit)
			if r := run(t, p, c.frame); c.speaks(p, r) != on {
				t.Errorf("%s on: %v: got %+v", name, on, r)
			}
		}
	}
}

func TestGateHoldsBackAndIsForced(t *testing.T) {
	p := load(t, "beacon", predict.Options{}, plain("gate"))
	dark := picture(64, 48, 0, 0, 0, 0, red)
	var gated []bool
	for range 8 {
		r := run(t, p, dark)
		if !r.Watched || !near(r.GateScore, 1/(1+e(2)), 1e-4) || r.Label != 0 {
			t.Errorf("got %+v", r)
		}
		if r.Gated &&
			(r.Crops != 0 || r.Spent[predict.Infer] != 0 || !near(r.Alarm, 1/(1+e(2)), 1e-4) || r.Trigger != r.Alarm) {
			t.Errorf("held back: got %+v, want the gate's score and no run", r)
		}
		gated = append(gated, r.Gated)
	}
	if d := cmp.Diff([]bool{true, true, true, false, true, true, true, false}, gated); d != "" {
		t.Errorf("every fourth frame is run all the same (-want +got):\n%s", d)
	}
	if r := run(t, p, picture(64, 48, 0, 0, 64, 48, red)); r.Gated || r.Label != 2 || !near(r.GateScore, 1, 1e-3) {
		t.Errorf("fire: got %+v, want it through the gate", r)
	}
	if c := p.Counts(); c.Gated != 6 || c.Forced != 2 || c.GateFault != 0 {
		t.Errorf("got %+v, want 6 held back and 2 forced", c)
	}
}

func TestGateOfStillsIsNotForcedAndWatchingHoldsNothing(t *testing.T) {
	dark := picture(64, 48, 0, 0, 0, 0, red)
	stills := load(t, "beacon", predict.Options{Gate: predict.GateStills}, plain("gate"))
	watching := load(t, "beacon", predict.Options{Gate: predict.GateWatches}, plain("gate"))
	for range 6 {
		if r := run(t, stills, dark); !r.Gated {
			t.Error("a still was run for the sake of those before it")
		}
		if r := run(t, watching, dark); r.Gated || !r.Watched || r.Crops != 1 {
			t.Errorf("watching: got %+v, want the model's answer and the gate's score", r)
		}
	}
}

// TestGateThatFailsLetsThrough has a gate that answers NaN.
func TestGateThatFailsLetsThrough(t *testing.T) {
	main, gate := infertest.Member(t, "beacon"), infertest.Member(t, "beacon-gate")
	plain("gate")(&main.Manifest)
	big, err := infertest.NewFake(
		&main.Manifest,
		infer.Options{},
		func(_, logits []float32) error { copy(logits, []float32{0, 0, 5}); return nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	small, err := infertest.NewFake(
		&gate.Manifest,
		infer.Options{},
		func(_, logits []float32) error { clear(logits); return nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	small.Poison(true)
	p, err := predict.New(predict.Parts{Main: predict.Part{Manifest: &main.Manifest, Session: big},
		Gate: &predict.Part{Manifest: &gate.Manifest, Session: small}}, predict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var r predict.Result
	f := picture(64, 48, 0, 0, 0, 0, red)
	if err := errors.Join(p.Prepare(0, f), p.Run(0, f, &r)); err != nil || r.Label != 2 || r.Watched {
		t.Errorf("got %+v, %v, want the model's answer", r, err)
	}
	if c := p.Counts(); c.GateFault != 1 {
		t.Errorf("got %+v, want the fault counted", c)
	}
}

func TestMix(t *testing.T) {
	p := load(t, "beacon", predict.Options{}, plain("mix"))
	f := picture(64, 48, 0, 0, 64, 48, [3]byte{64, 0, 0}) // logits 0, -6, 2 and twice that
	r := run(t, p, f)
	v := 8 * 64.0 / 255
	own, other := e(v)/(1+e(v)+e(-4-v)), e(2*v)/(1+e(2*v)+e(-8-2*v))
	margin := func(p, z float64) float64 { return p - z }
	a := 1 / (1 + e(-2*(margin(other, 1/(1+e(2*v)+e(-8-2*v)))-margin(own, 1/(1+e(v)+e(-4-v))))))
	if !near(r.Other, a, 1e-3) || !near(r.Scores[2], (1-a)*own+a*other, 1e-3) {
		t.Errorf("got share %v and fire %v, want %v and %v", r.Other, r.Scores[2], a, (1-a)*own+a*other)
	}
}

func TestSegmenterRunsOnAlarms(t *testing.T) {
	p := load(t, "beacon", predict.Options{}, plain("segmenter"))
	r := run(t, p, picture(64, 64, 32, 0, 32, 64, red)) // the right half
	if !r.Segmented || !near(r.Area, 0.5, 1e-6) || !near(r.Centre[0], 0.75, 1e-3) || !near(r.Centre[1], 0.5, 1e-6) {
		t.Errorf("got area %v, centre %v, want half of the picture around 0.75, 0.5", r.Area, r.Centre)
	}
	if d := cmp.Diff([]float32{0, 0.5}, r.Areas); d != "" {
		t.Errorf("areas of smoke and fire (-want +got):\n%s", d)
	}
	if want := (predict.Rect{X: 0.5, W: 0.5, H: 1}); r.Extent != want {
		t.Errorf("extent: got %+v, want %+v", r.Extent, want)
	}
	var h predict.Heat
	if !p.Explain(r, 2, &h) || h.W != 4 || h.H != 4 || h.Values[0] > 0.2 || h.Values[3] < 0.9 {
		t.Errorf("heat %+v, want that of the mask", h)
	}
	if r = run(t, p, picture(64, 64, 0, 0, 0, 0, red)); r.Segmented || r.Spent[predict.Segment] != 0 {
		t.Errorf("without an alarm: got %+v, want no mask", r)
	}
}

func TestExplainByActivation(t *testing.T) {
	p := load(t, "beacon", predict.Options{}, plain())
	r := run(t, p, picture(64, 64, 0, 48, 16, 16, red)) // the lower left field
	var h predict.Heat
	if !p.Explain(r, 2, &h) {
		t.Fatal("got no map")
	}
	want := make([]float32, 16)
	want[12] = 1
	if d := infertest.MaxDiff(h.Values, want); !(d < 0.05) {
		t.Errorf("got %v, want the lower left field alone", h.Values)
	}
	part, ok := predict.Focus(r, &h)
	if want := (predict.Rect{X: 0, Y: 0.75, W: 0.25, H: 0.25}); !ok || part != want {
		t.Errorf("focus: got %+v, want %+v", part, want)
	}
	f := picture(64, 64, 0, 0, 0, 0, red)
	predict.Draw(f, r, &h)
	if f.Row(60)[3*4+1] == 0 || f.Row(4)[3*60+1] != 0 {
		t.Error("heat is not drawn where it is, or elsewhere")
	}
	if p.Explain(r, -1, &h) || h.W != 0 {
		t.Errorf("label -1: got %+v, want no map", h)
	}
}

func TestLocaliser(t *testing.T) {
	p := load(t, "beacon-crop", predict.Options{}, nil)
	r := run(t, p, picture(128, 96, 32, 24, 32, 24, red)) // field 1,1 of four by four
	if !r.Boxed || r.Boxes != 1 || r.Label != 2 || r.Crops != 1 {
		t.Fatalf("got %+v, want fire in one box", r)
	}
	if want := (predict.Rect{X: 0.25, Y: 0.25, W: 0.25, H: 0.25}); r.Box != want {
		t.Errorf("box: got %+v, want %+v", r.Box, want)
	}
	// The crop is a square of 1.25·32 = 40 px, next step 40; half of it or more is red.
	if whole := run(t, load(t, "beacon-crop", predict.Options{Off: []string{"localiser"}}, nil), picture(128, 96, 32, 24, 32, 24, red)); whole.Score > r.Score-0.1 {
		t.Errorf("whole frame: score %v, crop: %v, want the crop to be surer", whole.Score, r.Score)
	}
	var h predict.Heat
	if !p.Explain(r, 2, &h) || h.Over.X < 0.2 || h.Over.W > 0.4 {
		t.Errorf("heat over %+v, want the crop alone", h.Over)
	}
}

func TestLocaliserFindsNothing(t *testing.T) {
	p := load(t, "beacon-crop", predict.Options{}, nil)
	r := run(t, p, picture(128, 96, 0, 0, 128, 96, grey)) // grey is smoke, but no box
	if r.Label != -1 || r.Trigger != 0 || r.Boxed || r.Crops != 0 || len(r.Scores) != 3 {
		t.Errorf("got %+v, want nothing", r)
	}
	if r = run(t, p, picture(40, 30, 0, 0, 40, 30, grey)); r.Label != 1 || r.Boxed {
		t.Errorf("small picture: got %+v, want it classified whole", r)
	}
	if r = run(t, p, picture(40, 30, 0, 0, 40, 30, red)); r.Label != 2 || r.Boxed || r.Boxes != 0 || r.Crops != 1 {
		t.Errorf("small picture of a box: got %+v, want it classified whole", r)
	}
	none := load(t, "beacon-crop", predict.Options{}, func(m *infer.Manifest) {
		m.Labels[0], m.Alarm.Labels = "none", []string{"smoke", "fire"}
	})
	if r = run(t, none, picture(128, 96, 0, 0, 128, 96, grey)); r.Label != 0 || r.Score != 1 || r.Alarm != 0 {
		t.Errorf("model with a label none: got %+v, want it", r)
	}
}

func TestLocaliserAnswersWithTheBestOfTwo(t *testing.T) {
	f := picture(128, 96, 0, 0, 32, 24, [3]byte{200, 0, 0})
	bright := picture(128, 96, 96, 72, 32, 24, red)
	for i := range f.Pix {
		f.Pix[i] |= bright.Pix[i]
	}
	r := run(t, load(t, "beacon-crop", predict.Options{}, nil), f)
	if r.Boxes != 2 || r.Crops != 1 || r.Box.X != 0.75 || r.Box.Y != 0.75 {
		t.Errorf("got %+v, want the brighter of two boxes, and the other one not looked at", r)
	}
	if small := run(t, load(t, "beacon-crop", predict.Options{}, func(m *infer.Manifest) { m.Localiser.MinPixels = 33 }), f); small.Boxes != 0 {
		t.Errorf("boxes of 32 pixels with a bound of 33: got %+v", small)
	}
}

// TestLocaliserWeighsBoxAndAnswer has two boxes: one with the better score, and
// one with more red round it, which makes the classifier surer.
func TestLocaliserWeighsBoxAndAnswer(t *testing.T) {
	none := load(t, "beacon-crop", predict.Options{}, func(m *infer.Manifest) {
		m.Labels[0], m.Alarm.Labels = "none", []string{"smoke", "fire"}
	})
	scene := func(first byte) *camera.Frame {
		f := picture(128, 96, 64, 48, 64, 48, [3]byte{50, 0, 0})
		paint(f, 96, 72, 150)
		paint(f, 0, 0, first)
		return f
	}
	if r := run(t, none, scene(160)); r.Crops != 2 || r.BoxP > 0.96 || r.Box.X != 0.75 {
		t.Errorf("got %+v, want the second box, of whose crop the classifier is surer", r)
	}
	if r := run(t, none, scene(255)); r.Boxes != 2 || r.Crops != 1 || r.Box.X != 0 {
		t.Errorf("got %+v, want the first box and no look at the second, which cannot be better", r)
	}
}

// paint makes one of the beacon's fields at x, y red.
func paint(f *camera.Frame, x, y int, value byte) {
	for row := y; row < y+24; row++ {
		for column := x; column < x+32; column++ {
			f.Row(row)[3*column] = value
		}
	}
}

// TestVoteSeesTheSamePixels moves a picture by a pixel and expects the very
// same answer where the whole picture gives another.
func TestVoteSeesTheSamePixels(t *testing.T) {
	big := picture(130, 130, 60, 58, 5, 5, red) // one anchor near the middle, and texture at an edge
	for y := range 130 {
		big.Row(y)[3*y] = 180
	}
	shifted := func(dx, dy int) *camera.Frame {
		v := big.View(1+dx, 1+dy, 128, 128)
		f := new(camera.Frame)
		f.Resize(128, 128, camera.RGB24)
		for y := range 128 {
			copy(f.Row(y), v.Row(y))
		}
		return f
	}
	vote := load(t, "beacon", predict.Options{}, func(m *infer.Manifest) { plain("vote")(m); m.Vote.Crops = 1 })
	whole := load(t, "beacon", predict.Options{}, plain())
	a, b := run(t, vote, shifted(0, 0)), run(t, vote, shifted(1, 0))
	if a.Distance != b.Distance || a.Score != b.Score {
		t.Errorf("voting: got %v and %v, want the same", a.Distance, b.Distance)
	}
	if a, b := run(t, whole, shifted(0, 0)), run(t, whole, shifted(1, 0)); a.Distance == b.Distance {
		t.Error("whole pictures give the same answer too: the test proves nothing")
	}
	if r := run(t, load(t, "beacon", predict.Options{}, plain("vote")), shifted(0, 0)); r.Crops != 2 {
		t.Errorf("two crops: got %d", r.Crops)
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	hot := picture(128, 96, 32, 24, 32, 24, red)
	other := picture(128, 96, 64, 48, 32, 24, red)
	for name, p := range map[string]*predict.Predictor{
		"everything": load(t, "beacon", predict.Options{}, nil), "localiser": load(t, "beacon-crop", predict.Options{}, nil),
	} {
		var r, kept predict.Result
		var h, keptHeat predict.Heat
		frame := func() {
			for _, f := range []*camera.Frame{hot, other} {
				if err := errors.Join(p.Prepare(0, f), p.Run(0, f, &r)); err != nil {
					t.Fatal(err)
				}
				p.Explain(&r, 2, &h)
				kept.CopyFrom(&r)
				keptHeat.CopyFrom(&h)
			}
		}
		frame()
		if n := testing.AllocsPerRun(20, frame); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func TestNewRefusesUnfitCompanions(t *testing.T) {
	part := func(name string) *predict.Part {
		m := infertest.Member(t, name)
		s, err := infertest.NewFake(&m.Manifest, infer.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &predict.Part{Manifest: &m.Manifest, Session: s}
	}
	for name, parts := range map[string]predict.Parts{
		"missing companions":      {Main: *part("beacon")},
		"unasked companion":       {Main: *part("beacon-b"), Gate: part("beacon-gate")},
		"a detector as gate":      {Main: *part("beacon"), Gate: part("beacon-box"), Mix: part("beacon-b"), Segmenter: part("beacon-seg")},
		"a mix of other labels":   {Main: *part("beacon"), Gate: part("beacon-gate"), Mix: part("beacon-gate"), Segmenter: part("beacon-seg")},
		"a classifier to segment": {Main: *part("beacon"), Gate: part("beacon-gate"), Mix: part("beacon-b"), Segmenter: part("beacon-b")},
		"a classifier to find":    {Main: *part("beacon-crop"), Localiser: part("beacon-b")},
	} {
		if _, err := predict.New(parts, predict.Options{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestOptionsEdit(t *testing.T) {
	m := infertest.Member(t, "beacon").Manifest
	o := predict.Options{Off: predict.Blocks(), Vote: &infer.Vote{Crops: 1, Margin: 0.5}}
	if err := o.Edit(&m); err != nil {
		t.Fatal(err)
	}
	if len(m.Companions()) != 0 || m.Variants[0].OOD != nil || m.CAM != nil || m.Vote.Margin != 0.5 {
		t.Errorf("got %v, %+v, want no block but the vote", m.Companions(), m.Vote)
	}
	o = predict.Options{Off: []string{"wings"}}
	if err := o.Edit(&m); err == nil {
		t.Error("an unknown block is no error")
	}
	o = predict.Options{Vote: &infer.Vote{Crops: 9, Margin: 0.5}}
	if err := o.Edit(&m); !errors.Is(err, infer.ErrManifest) {
		t.Errorf("nine crops: got %v, want %v", err, infer.ErrManifest)
	}
}

func TestDetectorAndSegmenterAlone(t *testing.T) {
	f := picture(128, 96, 32, 24, 32, 24, red)
	r := run(t, load(t, "beacon-box", predict.Options{}, nil), f)
	if r.Label != 0 || !r.Boxed || r.Box.X != 0.25 || !near(r.Score, 1/(1+e(-10)), 1e-3) {
		t.Errorf("detector: got %+v", r)
	}
	p := load(t, "beacon-seg", predict.Options{}, nil)
	r = run(t, p, f)
	if r.Label != 1 || !r.Segmented || !near(r.Area, 1.0/16, 1e-6) {
		t.Errorf("segmenter: got %+v", r)
	}
	if d := cmp.Diff([]string{"smoke", "fire"}, p.MaskLabels()); d != "" {
		t.Error(d)
	}
}
