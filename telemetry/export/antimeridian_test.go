package export_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"emberwing/telemetry/export"
	"emberwing/telemetry/wire"
)

// ringsOf returns every ring of the cone of an event at a place, nil when there is no cone.
func ringsOf(t *testing.T, p wire.Position, heading, fov float64) [][][2]float64 {
	t.Helper()
	e := smoke()
	e.Latest.Evidence.Position = &p
	e.Latest.Evidence.View = &wire.View{HeadingDeg: heading, BearingDeg: heading, FOVDeg: fov}
	var c struct {
		Features []struct {
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(encode(t, export.GeoJSON, e, export.Options{}), &c); err != nil {
		t.Fatal(err)
	}
	var rings [][][2]float64
	for _, f := range c.Features {
		var one [][][2]float64
		var many [][][][2]float64
		switch f.Geometry.Type {
		case "Polygon":
			if err := json.Unmarshal(f.Geometry.Coordinates, &one); err != nil {
				t.Fatal(err)
			}
			rings = append(rings, one...)
		case "MultiPolygon":
			if err := json.Unmarshal(f.Geometry.Coordinates, &many); err != nil {
				t.Fatal(err)
			}
			for _, polygon := range many {
				rings = append(rings, polygon...)
			}
		}
	}
	return rings
}

// area of a ring in square degrees by the shoelace formula, positive when anticlockwise.
func area(ring [][2]float64) (sum float64) {
	for i := range len(ring) - 1 {
		sum += ring[i][0]*ring[i+1][1] - ring[i+1][0]*ring[i][1]
	}
	return sum / 2
}

// RFC 7946: rings are closed and anticlockwise, and nothing lies across the date line. However
// it is cut, the cone has the area that the same one has elsewhere.
func TestConesAnywhere(t *testing.T) {
	for _, lat := range []float64{-89.9, -60, -0.001, 0, 45, 80, 89.9} {
		for _, lon := range []float64{-180, -179.9999, -179.99, 0, 179.99, 179.9999, 180} {
			for heading := 0.0; heading < 360; heading += 7.5 {
				t.Run(fmt.Sprintf("%v %v %v", lat, lon, heading), func(t *testing.T) {
					total, elsewhere := 0.0, 0.0
					for _, ring := range ringsOf(t, wire.Position{Lat: lat, Lon: 10}, heading, 62) {
						elsewhere += area(ring)
					}
					for _, ring := range ringsOf(t, wire.Position{Lat: lat, Lon: lon}, heading, 62) {
						checkRing(t, ring)
						total += area(ring)
					}
					if math.Abs(total-elsewhere) > 1e-3*elsewhere {
						t.Errorf("got %g square degrees, want %g", total, elsewhere)
					}
				})
			}
		}
	}
}

func checkRing(t *testing.T, ring [][2]float64) {
	t.Helper()
	if len(ring) < 4 || ring[0] != ring[len(ring)-1] || area(ring) <= 0 {
		t.Errorf("got %v, want a closed anticlockwise ring", ring)
	}
	east, west := math.Inf(-1), math.Inf(1)
	for _, p := range ring {
		east, west = max(east, p[0]), min(west, p[0])
	}
	if east > 180 || west < -180 || east-west > 90 {
		t.Errorf("got longitudes %v to %v, want them on one side of the date line", west, east)
	}
}

func TestNoConeAtThePoles(t *testing.T) {
	for _, lat := range []float64{-90, 90, 89.99} {
		if rings := ringsOf(t, wire.Position{Lat: lat, Lon: 5}, 90, 62); rings != nil {
			t.Errorf("latitude %v: got %v, want the position alone", lat, rings)
		}
	}
}
