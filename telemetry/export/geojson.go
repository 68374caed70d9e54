package export

import (
	"encoding/json"
	"math"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// collection is a FeatureCollection of RFC 7946: the position of the drone, and, when the
// direction is known, the cone in which the finding lies.
type collection struct {
	Type     string    `json:"type"`
	Features []feature `json:"features"`
}

type feature struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Geometry   *geometry      `json:"geometry"` // null when the position is not known, as RFC 7946 wants
	Properties map[string]any `json:"properties"`
}

type geometry struct {
	Type        string `json:"type"`
	Coordinates any    `json:"coordinates"`
}

func encodeGeoJSON(e *store.Event, o Options) ([]byte, error) {
	c := collection{Type: "FeatureCollection", Features: []feature{pointFeature(e, o)}}
	p, v := e.Latest.Evidence.Position, e.Latest.Evidence.View
	if p != nil && v != nil && v.FOVDeg > 0 && v.FOVDeg < 180 {
		if area := cone(p, v); area != nil {
			c.Features = append(c.Features, feature{
				Type: "Feature", ID: uid(e) + ".cone", Geometry: area,
				Properties: map[string]any{"event": e.Event, "kind": "view", "bearing_deg": v.BearingDeg,
					"heading_deg": v.HeadingDeg, "fov_deg": v.FOVDeg},
			})
		}
	}
	b, err := json.Marshal(c)
	return append(b, '\n'), err
}

func pointFeature(e *store.Event, o Options) feature {
	f := feature{Type: "Feature", ID: uid(e), Properties: map[string]any{
		"kind": "event", "event": e.Event, "fleet": e.Fleet, "drone": e.Drone, "task": e.Task, "label": e.Label,
		"phase":    e.Phase,
		"revision": e.Revision, "started": e.Started, "received": e.First, "updated": wire.At(updated(e)),
		"status": o.mode(e),
		"peak":   e.Peak, "headline": headline(e, o), "reason": why(e),
	}}
	if !e.Ended.IsZero() {
		f.Properties["ended"] = e.Ended
	}
	if e.Verdict != nil {
		f.Properties["verdict"] = e.Verdict.Verdict
		f.Properties["verdict_by"] = e.Verdict.Operator
	}
	if p := e.Latest.Evidence.Position; p != nil {
		f.Geometry = &geometry{"Point", []float64{p.Lon, p.Lat, p.AltM}}
		f.Properties["uncertainty_m"] = p.UncertaintyM
	}
	return f
}

const (
	coneLength  = 2000.0    // metres; how far away the finding is, nobody knows
	earthRadius = 6371008.8 // metres
	lastLat     = 89.95     // degrees; nearer to a pole than 5.5 km longitudes turn too fast for a cone
	dateLine    = 180.0     // degrees
)

// point is longitude and latitude, degrees. The longitude may lie beyond the date line.
type point [2]float64

// cone is the triangle that the camera looked into, around the middle of the frame. Its rings
// are anticlockwise and closed. One that lies across the date line is cut there into two, as
// RFC 7946 wants (section 3.1.9). It is nil where there can be none, at the poles.
func cone(p *wire.Position, v *wire.View) *geometry {
	if math.Abs(p.Lat) > lastLat {
		return nil
	}
	half := v.FOVDeg / 2
	tip, left, right := point{p.Lon, p.Lat}, reach(p, v.HeadingDeg-half), reach(p, v.HeadingDeg+half)
	triangle := []point{tip, right, left}
	east, west := max(left[0], right[0]), min(left[0], right[0])
	switch {
	case east > dateLine:
		return cut(triangle, dateLine)
	case west < -dateLine:
		return cut(triangle, -dateLine)
	}
	return &geometry{"Polygon", [][]point{closed(triangle, 0)}}
}

// cut makes two polygons of one that lies across a meridian, and turns the part beyond the
// date line back onto the map.
func cut(ring []point, meridian float64) *geometry {
	east, west := clipped(ring, meridian, 1), clipped(ring, meridian, -1)
	turnEast, turnWest := 0.0, 0.0
	if meridian > 0 {
		turnEast = -360
	} else {
		turnWest = 360
	}
	var parts [][][]point
	for _, part := range [][]point{closed(west, turnWest), closed(east, turnEast)} {
		if len(part) > 3 { // a corner that only touches the line is no polygon
			parts = append(parts, [][]point{part})
		}
	}
	if len(parts) == 1 {
		return &geometry{"Polygon", parts[0]}
	}
	return &geometry{"MultiPolygon", parts}
}

// clipped returns the part of a convex ring on one side of a meridian: 1 is east of it, -1
// west (the step of Sutherland and Hodgman for one edge).
func clipped(ring []point, meridian, side float64) (out []point) {
	for i, a := range ring {
		b := ring[(i+1)%len(ring)]
		da, db := side*(a[0]-meridian), side*(b[0]-meridian)
		if da >= 0 {
			out = append(out, a)
		}
		if da*db < 0 {
			out = append(out, point{meridian, a[1] + (b[1]-a[1])*da/(da-db)})
		}
	}
	return out
}

// closed turns a ring by a number of degrees, rounds it to about a centimetre, leaves out
// corners that coincide, and repeats the first corner at the end.
func closed(ring []point, turn float64) (out []point) {
	round := func(v float64) float64 { return math.Round(v*1e7) / 1e7 }
	for _, p := range ring {
		p = point{round(p[0] + turn), round(p[1])}
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil
	}
	if last := len(out) - 1; last > 0 && out[last] == out[0] {
		out = out[:last]
	}
	return append(out, out[0])
}

// reach returns the point coneLength away in a direction, on a sphere. Its longitude is
// counted on from that of the drone, beyond the date line if need be.
func reach(p *wire.Position, bearingDeg float64) point {
	const rad = math.Pi / 180
	lat, bearing, d := p.Lat*rad, bearingDeg*rad, coneLength/earthRadius
	lat2 := math.Asin(math.Sin(lat)*math.Cos(d) + math.Cos(lat)*math.Sin(d)*math.Cos(bearing))
	turn := math.Atan2(math.Sin(bearing)*math.Sin(d)*math.Cos(lat), math.Cos(d)-math.Sin(lat)*math.Sin(lat2))
	return point{p.Lon + turn/rad, lat2 / rad}
}
