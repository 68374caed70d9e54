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
		c.Features = append(c.Features, feature{
			Type: "Feature", ID: uid(e) + ".cone", Geometry: cone(p, v),
			Properties: map[string]any{"event": e.Event, "kind": "view", "bearing_deg": v.BearingDeg,
				"heading_deg": v.HeadingDeg, "fov_deg": v.FOVDeg},
		})
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
)

// cone is the triangle that the camera looked into, around the bearing of the finding. Its
// ring is anticlockwise and closed.
func cone(p *wire.Position, v *wire.View) *geometry {
	tip := []float64{p.Lon, p.Lat}
	half := v.FOVDeg / 2
	left, right := reach(p, v.HeadingDeg-half), reach(p, v.HeadingDeg+half)
	return &geometry{"Polygon", [][][]float64{{tip, right, left, tip}}}
}

// reach returns the point coneLength away in a direction, on a sphere.
func reach(p *wire.Position, bearingDeg float64) []float64 {
	const rad = math.Pi / 180
	lat, bearing, d := p.Lat*rad, bearingDeg*rad, coneLength/earthRadius
	lat2 := math.Asin(math.Sin(lat)*math.Cos(d) + math.Cos(lat)*math.Sin(d)*math.Cos(bearing))
	lon2 := p.Lon*rad + math.Atan2(math.Sin(bearing)*math.Sin(d)*math.Cos(lat), math.Cos(d)-math.Sin(lat)*math.Sin(lat2))
	round := func(v float64) float64 { return math.Round(v*1e7) / 1e7 }
	return []float64{round(math.Remainder(lon2/rad, 360)), round(lat2 / rad)}
}
