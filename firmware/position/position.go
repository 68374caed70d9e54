// Package position says where the drone is and where its camera looks. What is not known is
// left out: an operator takes a wrong place for a right one, but not a missing one.
package position

import (
	"math"
	"time"

	"emberwing/telemetry/wire"
)

// Fix is what is known at one moment.
type Fix struct {
	Position *wire.Position // nil when unknown
	Heading  *float64       // of the middle of the frame, degrees clockwise from true north; nil when unknown
}

// Source knows where the drone is. Its methods may be called from any goroutine.
type Source interface {
	// Fix returns what is known at now, which has a monotonic reading.
	Fix(now time.Time) Fix
	Close() error
}

// Fixed is a source that always says the same, for a mast or a test.
type Fixed Fix

// Fix implements Source.
func (f Fixed) Fix(time.Time) Fix { return Fix(f) }

// Close implements Source.
func (Fixed) Close() error { return nil }

// Unknown is a source that knows nothing.
func Unknown() Source { return Fixed{} }

// Circle simulates a flight: around a centre, clockwise, looking ahead. It stands for a flight
// controller beside a rendered flight and is named as simulated wherever it is configured.
type Circle struct {
	Centre  wire.Position
	RadiusM float64
	Period  time.Duration // of one round
	Start   time.Time
}

const metresPerDegree = 111_195 // of latitude, on a sphere of the mean radius

// Fix implements Source.
func (c *Circle) Fix(now time.Time) Fix {
	turn := 2 * math.Pi * now.Sub(c.Start).Seconds() / c.Period.Seconds()
	p := c.Centre
	p.Lat += c.RadiusM * math.Cos(turn) / metresPerDegree
	p.Lon += c.RadiusM * math.Sin(turn) / (metresPerDegree * math.Cos(c.Centre.Lat*math.Pi/180))
	heading := Normal(turn*180/math.Pi + 90)
	return Fix{Position: &p, Heading: &heading}
}

// Close implements Source.
func (*Circle) Close() error { return nil }

// Normal brings an angle into 0 <= d < 360 degrees.
func Normal(degrees float64) float64 {
	d := math.Mod(degrees, 360)
	if d < 0 {
		d += 360
	}
	if d >= 360 { // a tiny negative angle
		return 0
	}
	return d
}

// View says where something in the frame lies. x is the middle of what was found as a share
// of the width, fov the horizontal field of view of the camera in degrees, 0 when unknown. It
// returns nil when the heading is not known; without a field of view what was found is taken
// to lie in the middle. A pinhole camera that is held level is assumed.
func View(f Fix, fov, x float64) *wire.View {
	if f.Heading == nil {
		return nil
	}
	v := &wire.View{HeadingDeg: *f.Heading, BearingDeg: *f.Heading, FOVDeg: fov}
	if fov > 0 && fov < 180 {
		half := math.Tan(fov / 2 * math.Pi / 180)
		v.BearingDeg = Normal(*f.Heading + math.Atan((2*x-1)*half)*180/math.Pi)
	}
	return v
}
