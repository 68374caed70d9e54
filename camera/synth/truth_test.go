package synth

import (
	"testing"
	"time"

	"emberwing/camera"
)

// stretchOf is the longest run of frames, in seconds, for which is holds.
func stretchOf(truths []Truth, fps, from, to float64, is func(Truth) bool) float64 {
	best, run := 0, 0
	for _, t := range truths[int(from*fps):int(to*fps)] {
		if run++; !is(t) {
			run = 0
		}
		best = max(best, run)
	}
	return float64(best) / fps
}

// TestTimeline holds the promises of the default flight: every stage is long
// enough for an event to begin, last and end.
func TestTimeline(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		f := small(t, func(o *Options) { o.Seed, o.FPS = seed, 5 })
		truths := make([]Truth, f.Frames())
		for i := range truths {
			truths[i] = f.Truth(uint64(i))
		}
		label := func(l string) func(Truth) bool { return func(t Truth) bool { return t.Label() == l } }
		gesture := func(g string) func(Truth) bool { return func(t Truth) bool { return t.Gesture == g } }
		for _, c := range []struct {
			what     string
			from, to float64
			is       func(Truth) bool
			least    float64
		}{
			{"clear at first", 0, 10, label("nofire"), 5},
			{"smoke alone", 5, 12, label("smoke"), 0.8},
			{"fire", 8, 20, label("fire"), 6},
			{"clear after the fire", 17, 30, label("nofire"), 5},
			{"no hand", 0, 24, gesture("none"), 20},
			{"palm", 20, 30, gesture("palm"), 4},
			{"no hand at the end", 27, 30, gesture("none"), 1},
		} {
			if got := stretchOf(truths, f.fps, c.from, c.to, c.is); got < c.least {
				t.Errorf("seed %d: %s for %.1f s, want %.1f", seed, c.what, got, c.least)
			}
		}
		peak := 0.0
		for _, t := range truths {
			peak = max(peak, t.FireArea)
		}
		if peak < 0.04 || peak > 0.5 {
			t.Errorf("seed %d: fire covers %.3f of the frame at most, want 0.04 to 0.5", seed, peak)
		}
		if b := truths[int(26*f.fps)].HandBox; b[3]-b[1] < 0.35 || b[0] < -0.1 || b[2] > 1.1 {
			t.Errorf("seed %d: hand at %.2f, want at least 0.35 high and in the frame", seed, b)
		}
	}
}

func TestDurationStretchesTheScript(t *testing.T) {
	f := small(t, func(o *Options) { o.Duration = 12 * time.Second })
	if f.Frames() != 120 {
		t.Errorf("got %d frames, want 120", f.Frames())
	}
	for s, want := range map[float64]string{0.5: "cruise", 5.5: "fire", 8: "clear", 10.5: "signal", 11.9: "departure"} {
		if got := f.Truth(uint64(s * f.fps)).Phase; got != want {
			t.Errorf("at %g of 12 s: got %q, want %q", s, got, want)
		}
	}
}

// TestFireIsHot compares the measured area with the pixels.
func TestFireIsHot(t *testing.T) {
	f := small(t, nil)
	seq := uint64(160)
	var fr camera.Frame
	if err := f.Render(seq, &fr); err != nil {
		t.Fatal(err)
	}
	hot := 0
	for i := 0; i < len(fr.Pix); i += 3 {
		if r, g, b := int(fr.Pix[i]), int(fr.Pix[i+1]), int(fr.Pix[i+2]); r > 170 && r-b > 90 && r > g {
			hot++
		}
	}
	share := float64(hot) / float64(fr.Width*fr.Height)
	if want := f.Truth(seq).FireArea; share < want*0.5 || share > want*1.6 {
		t.Errorf("got %.3f of the picture hot, want about the true %.3f", share, want)
	}
	if cold := f.Truth(20).FireArea; cold != 0 {
		t.Errorf("got fire area %g before the fire", cold)
	}
}

// TestHandIsInItsBox draws the same frame with and without the hand.
func TestHandIsInItsBox(t *testing.T) {
	for _, gesture := range Gestures()[:5] {
		with := small(t, func(o *Options) { o.Gesture = gesture })
		without := small(t, func(o *Options) { o.Gesture = "none" })
		a, b := render(t, with, 26), render(t, without, 26)
		truth := with.Truth(260)
		if truth.Gesture != gesture || without.Truth(260).Gesture != "none" {
			t.Errorf("%s: got gesture %q", gesture, truth.Gesture)
		}
		box, in, changed, above := truth.HandBox, 0, 0, 0
		for i := 0; i < len(a); i += 3 {
			x, y := (float64(i/3%160)+0.5)/160, (float64(i/480)+0.5)/120
			differs := max(int(a[i])-int(b[i]), int(b[i])-int(a[i])) > 12
			switch {
			case x > box[0] && x < box[2] && y > box[1] && y < box[3]:
				in++
				if differs {
					changed++
				}
			case differs && y < box[1]-0.02 && x > box[0] && x < box[2]:
				above++
			}
		}
		if share := float64(changed) / float64(in); share < 0.3 || above > 20 {
			t.Errorf("%s: hand changes %.2f of its box and %d pixels above it", gesture, share, above)
		}
	}
}

func TestTruthIsTheSameAfterRender(t *testing.T) {
	a, b := small(t, nil), small(t, nil)
	render(t, a, 15)
	if got, want := a.Truth(150), b.Truth(150); got != want {
		t.Errorf("got %+v after drawing, want %+v", got, want)
	}
}

func TestLabels(t *testing.T) {
	for want, in := range map[string]Truth{
		"nofire": {}, "smoke": {SmokeArea: 0.2}, "fire": {FireArea: 0.03, SmokeArea: 0.2}, "": {FireArea: 0.003},
	} {
		if got := in.Label(); got != want {
			t.Errorf("%+v: got %q, want %q", in, got, want)
		}
	}
	if got := (Truth{SmokeArea: 0.01}).Label(); got != "" {
		t.Errorf("wisp: got %q, want it to be ambiguous", got)
	}
}

func TestTravelledIsTheIntegralOfSpeed(t *testing.T) {
	s := DefaultScript()
	var sum float64
	const dt = 1.0 / 512
	for i := range 30 * 512 {
		at := float64(i) * dt
		if got := s.travelled(at); got-sum > 0.5 || sum-got > 0.5 {
			t.Fatalf("after %g s: got %g m, want %g", at, got, sum)
		}
		sum += s.at(at+dt/2).Speed * dt
	}
}
