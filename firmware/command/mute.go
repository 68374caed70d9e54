package command

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"emberwing/telemetry/wire"
)

// Mutes are the areas whose alerts are marked as muted. They end by the monotonic clock and
// do not survive a restart: in doubt an alert sounds. The zero value has none. Its methods
// may be called from any goroutine.
type Mutes struct {
	mu   sync.Mutex
	list []mute
}

type mute struct {
	wire.Mute
	until time.Time
}

// Set adds a mute, replaces the one of the same id, or lifts it when its Seconds are 0.
func (m *Mutes) Set(w wire.Mute, now time.Time, longest time.Duration) error {
	d := time.Duration(w.Seconds) * time.Second
	if d > longest {
		return fmt.Errorf("got %v, want at most %v", d, longest)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	m.list = slices.DeleteFunc(m.list, func(e mute) bool { return e.ID == w.ID })
	if d == 0 {
		return nil
	}
	if len(m.list) == wire.MaxList {
		return fmt.Errorf("got %d mutes already, want fewer: lift one", len(m.list))
	}
	m.list = append(m.list, mute{w, now.Add(d)})
	return nil
}

func (m *Mutes) expire(now time.Time) {
	m.list = slices.DeleteFunc(m.list, func(e mute) bool { return !now.Before(e.until) })
}

// List returns what is in force, by id, with the seconds that remain.
func (m *Mutes) List(now time.Time) (list []wire.Mute) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	for _, e := range m.list {
		e.Seconds = int64(math.Ceil(e.until.Sub(now).Seconds()))
		list = append(list, e.Mute)
	}
	slices.SortFunc(list, func(a, b wire.Mute) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Cover reports whether an alert of the task, raised here and seen there, is muted. What is
// not known does not mute.
func (m *Mutes) Cover(task wire.Task, at *wire.Position, view *wire.View, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	return slices.ContainsFunc(m.list, func(e mute) bool {
		return (e.Task == "" || e.Task == task) && covers(&e.Mute, at, view)
	})
}

func covers(m *wire.Mute, at *wire.Position, view *wire.View) bool {
	switch {
	case m.Sector != nil:
		return view != nil && inSector(m.Sector, view.BearingDeg)
	case at == nil:
		return false
	case m.Circle != nil: // with all of its uncertainty
		return distance(at.Lat, at.Lon, m.Circle.Lat, m.Circle.Lon)+at.UncertaintyM <= m.Circle.RadiusM
	}
	return inPolygon(m.Polygon, at.Lat, at.Lon)
}

// inSector reports whether a bearing lies clockwise between two others.
func inSector(s *wire.Sector, bearing float64) bool {
	turn := func(from, to float64) float64 { return math.Mod(to-from+360, 360) }
	return turn(s.FromDeg, bearing) <= turn(s.FromDeg, s.ToDeg)
}

// earth is the mean radius, metres.
const earth = 6_371_008.8

// distance is that of two points on a sphere, metres (haversine formula).
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const rad = math.Pi / 180
	sLat, sLon := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	h := sLat*sLat + math.Cos(lat1*rad)*math.Cos(lat2*rad)*sLon*sLon
	return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
}

// inPolygon counts the edges that a ray to the east crosses. Longitudes are taken relative
// to the first corner, so that a polygon may lie across the date line.
func inPolygon(corners []wire.Point, lat, lon float64) bool {
	inside := false
	from := corners[0].Lon
	here := east(lon, from)
	for i := range corners {
		a, b := corners[i], corners[(i+1)%len(corners)]
		if (a.Lat > lat) == (b.Lat > lat) {
			continue
		}
		x, y := east(a.Lon, from), east(b.Lon, from)
		if x+(lat-a.Lat)/(b.Lat-a.Lat)*(y-x) > here {
			inside = !inside
		}
	}
	return inside
}

// east is how far lon lies east of from, -180..180 degrees.
func east(lon, from float64) float64 { return math.Mod(lon-from+540, 360) - 180 }
