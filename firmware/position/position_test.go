package position_test

import (
	"math"
	"testing"
	"time"

	"emberwing/firmware/position"
	"emberwing/telemetry/wire"
)

func TestViewTurnsWithTheFinding(t *testing.T) {
	heading := func(d float64) position.Fix { return position.Fix{Heading: &d} }
	cases := []struct {
		fix    position.Fix
		fov, x float64
		want   float64
	}{
		{heading(90), 60, 0.5, 90}, {heading(90), 60, 1, 120}, {heading(90), 60, 0, 60}, {heading(10), 60, 0, 340},
		{heading(350), 60, 1, 20},
		{heading(90), 0, 1, 90}, {heading(0), 90, 0.75, math.Atan(0.5) * 180 / math.Pi},
	}
	for _, c := range cases {
		v := position.View(c.fix, c.fov, c.x)
		if math.Abs(v.BearingDeg-c.want) > 1e-9 || v.HeadingDeg != *c.fix.Heading || v.FOVDeg != c.fov {
			t.Errorf("heading %v, view %v, x %v: got %+v, want bearing %v", *c.fix.Heading, c.fov, c.x, *v, c.want)
		}
	}
	if v := position.View(position.Fix{}, 60, 0.5); v != nil {
		t.Errorf("got %+v without a heading, want nothing", v)
	}
}

func TestCircleStaysOnItsRadius(t *testing.T) {
	start := time.Now()
	c := &position.Circle{Centre: wire.Position{Lat: 46.5, Lon: 7.25, AltM: 900, UncertaintyM: 5}, RadiusM: 400,
		Period: time.Minute, Start: start}
	for i := range 60 {
		f := c.Fix(start.Add(time.Duration(i) * time.Second))
		north := (f.Position.Lat - 46.5) * 111_195
		east := (f.Position.Lon - 7.25) * 111_195 * math.Cos(46.5*math.Pi/180)
		if r := math.Hypot(north, east); math.Abs(r-400) > 1 {
			t.Fatalf("after %d s: got a radius of %.1f m, want 400", i, r)
		}
		if *f.Heading < 0 || *f.Heading >= 360 || f.Position.UncertaintyM != 5 {
			t.Fatalf("got %+v, heading %v", f.Position, *f.Heading)
		}
	}
	if h := *c.Fix(start).Heading; h != 90 {
		t.Errorf("got heading %v in the north of the circle, want east", h)
	}
}

func TestNormal(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 360: 0, -10: 350, 725: 5, -1e-20: 0} {
		if got := position.Normal(in); got != want {
			t.Errorf("%v: got %v, want %v", in, got, want)
		}
	}
}
