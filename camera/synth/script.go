package synth

import (
	"fmt"
	"math"
	"time"
)

// Phase is one row of a Script. Each figure is reached smoothly at the end of
// the phase, starting from the figure of the row before (the first row starts
// from its own).
type Phase struct {
	Name     string
	Seconds  float64 // share of the flight; scaled when Options.Duration differs
	Speed    float64 // metres per second along the flight's heading
	Altitude float64 // metres above the rolling ground
	Pitch    float64 // degrees, negative looks down
	Yaw      float64 // degrees right of the flight's heading
	Smoke    float64 // 0…1 strength of newly emitted smoke
	Fire     float64 // 0…1 size of the flames
	Hand     float64 // 0…1 how far the hand is raised into view
}

// Script is the timeline of a flight and the place of its fire.
type Script struct {
	Phases []Phase
	// FireSeconds is the moment, in seconds of the unscaled script, at which
	// the fire lies FireAhead metres ahead and FireRight metres to the right.
	FireSeconds, FireAhead, FireRight float64
}

// DefaultScript is the 30 s flight of the demo.
func DefaultScript() Script {
	return Script{
		FireSeconds: 13.5, FireAhead: 78, FireRight: 2,
		Phases: []Phase{
			{"cruise", 5.0, 14, 62, -19, 0, 0, 0, 0},
			{"smoke", 1.0, 13, 62, -19, 0, 0.8, 0, 0},
			{"smoke", 2.9, 11, 60, -20, 0, 1, 0, 0},
			{"ignition", 2.0, 6, 54, -22, 0, 1, 1, 0},
			{"fire", 6.0, 4, 48, -24, 4, 1, 1, 0},
			{"pass", 1.7, -10, 58, -18, 120, 0.3, 0.5, 0},
			{"clear", 4.0, -15, 64, -20, 165, 0, 0, 0},
			{"approach", 1.1, -2, 58, -13, 172, 0, 0, 1},
			{"signal", 4.3, 0, 58, -13, 174, 0, 0, 1},
			{"leave", 0.8, -5, 60, -17, 180, 0, 0, 0},
			{"departure", 1.2, -12, 62, -19, 186, 0, 0, 0},
		},
	}
}

// validate returns the first fault of a script.
func (s Script) validate() error {
	if len(s.Phases) == 0 {
		return fmt.Errorf("script: got no phases, want at least one")
	}
	for i, p := range s.Phases {
		figures := []float64{p.Seconds, p.Speed, p.Altitude, p.Pitch, p.Yaw, p.Smoke, p.Fire, p.Hand}
		for _, v := range figures {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("script: phase %d %q: got a figure that is not finite", i, p.Name)
			}
		}
		switch {
		case p.Seconds <= 0:
			return fmt.Errorf("script: phase %d %q: got %g seconds, want more than 0", i, p.Name, p.Seconds)
		case p.Altitude < 20 || p.Altitude > 1000:
			return fmt.Errorf("script: phase %d %q: got altitude %g m, want 20 to 1000", i, p.Name, p.Altitude)
		case p.Pitch < -45 || p.Pitch > 20:
			return fmt.Errorf("script: phase %d %q: got pitch %g°, want -45 to 20", i, p.Name, p.Pitch)
		case min(p.Smoke, p.Fire, p.Hand) < 0 || max(p.Smoke, p.Fire, p.Hand) > 1:
			return fmt.Errorf("script: phase %d %q: got smoke %g, fire %g, hand %g, want 0 to 1", i, p.Name, p.Smoke, p.Fire, p.Hand)
		}
	}
	return nil
}

// Duration is the sum of the phases, unscaled.
func (s Script) Duration() time.Duration {
	var sum float64
	for _, p := range s.Phases {
		sum += p.Seconds
	}
	return time.Duration(math.Round(sum * float64(time.Second)))
}

// at returns the interpolated figures at t seconds of the unscaled script.
func (s Script) at(t float64) Phase {
	from := s.Phases[0]
	for i, to := range s.Phases {
		if t < to.Seconds || i == len(s.Phases)-1 {
			return blend(from, to, ease(t/to.Seconds))
		}
		t -= to.Seconds
		from = to
	}
	return from
}

func blend(a, b Phase, u float64) Phase {
	mix := func(x, y float64) float64 { return x + float64((y-x)*u) }
	return Phase{
		Name: b.Name, Seconds: b.Seconds,
		Speed: mix(a.Speed, b.Speed), Altitude: mix(a.Altitude, b.Altitude),
		Pitch: mix(a.Pitch, b.Pitch), Yaw: mix(a.Yaw, b.Yaw),
		Smoke: mix(a.Smoke, b.Smoke), Fire: mix(a.Fire, b.Fire), Hand: mix(a.Hand, b.Hand),
	}
}

// travelled is the distance flown after t seconds: the integral of the speed.
func (s Script) travelled(t float64) float64 {
	var sum float64
	from := s.Phases[0].Speed
	for i, p := range s.Phases {
		u := math.Min(t/p.Seconds, 1)
		if i == len(s.Phases)-1 {
			u = t / p.Seconds
		}
		v := math.Min(u, 1)
		area := float64(v*v*v) - float64(v*v*v*v/2) + math.Max(u-1, 0)
		sum += float64(p.Seconds * (float64(from*u) + float64((p.Speed-from)*area)))
		if t <= p.Seconds {
			return sum
		}
		t -= p.Seconds
		from = p.Speed
	}
	return sum
}

func ease(u float64) float64 {
	u = math.Min(math.Max(u, 0), 1)
	return float64(u*u) * (3 - float64(2*u))
}
