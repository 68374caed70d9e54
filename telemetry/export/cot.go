package export

import (
	"encoding/xml"
	"fmt"
	"time"

	"emberwing/telemetry/store"
)

// cotEvent is an event of Cursor-on-Target, schema 2.0.
type cotEvent struct {
	XMLName xml.Name  `xml:"event"`
	Version string    `xml:"version,attr"`
	UID     string    `xml:"uid,attr"`
	Type    string    `xml:"type,attr"`
	How     string    `xml:"how,attr"`
	OpEx    string    `xml:"opex,attr,omitempty"`
	Time    string    `xml:"time,attr"`
	Start   string    `xml:"start,attr"`
	Stale   string    `xml:"stale,attr"`
	Point   cotPoint  `xml:"point"`
	Detail  cotDetail `xml:"detail"`
}

type cotPoint struct {
	Lat string `xml:"lat,attr"`
	Lon string `xml:"lon,attr"`
	HAE string `xml:"hae,attr"`
	CE  string `xml:"ce,attr"`
	LE  string `xml:"le,attr"`
}

type cotDetail struct {
	Contact   cotContact  `xml:"contact"`
	Remarks   string      `xml:"remarks"`
	Emberwing cotOwn      `xml:"emberwing"`
	Sensor    *cotSensor  `xml:"sensor"`
	Link      *cotCreator `xml:"link"`
}

type cotContact struct {
	Callsign string `xml:"callsign,attr"`
}

// cotSensor makes TAK draw the field of view.
type cotSensor struct {
	Azimuth string `xml:"azimuth,attr"`
	FOV     string `xml:"fov,attr"`
	Range   string `xml:"range,attr"`
}

type cotCreator struct {
	UID      string `xml:"uid,attr"`
	Relation string `xml:"relation,attr"`
	Type     string `xml:"type,attr"`
}

type cotOwn struct {
	Event    string `xml:"event,attr"`
	Label    string `xml:"label,attr"`
	Phase    string `xml:"phase,attr"`
	Revision int    `xml:"revision,attr"`
	Peak     string `xml:"peak,attr"`
	Verdict  string `xml:"verdict,attr,omitempty"`
}

const (
	cotMarker  = "b-m-p-s-m"   // a spot on the map, which every TAK client draws
	cotDrone   = "a-f-A-M-F-Q" // a friendly unmanned aircraft
	cotUnknown = "9999999.0"   // as the schema says it
	cotLayout  = "2006-01-02T15:04:05.000Z"
)

func encodeCoT(e *store.Event, o Options) ([]byte, error) {
	p := e.Latest.Evidence.Position
	if p == nil {
		return nil, fmt.Errorf("export cot: event %s: %w", e.Event, ErrNoPosition)
	}
	now := updated(e)
	c := cotEvent{
		Version: "2.0", UID: uid(e), Type: cotMarker, How: "m-g", OpEx: opEx(o.mode(e)),
		Time: cotTime(now), Start: cotTime(began(e)), Stale: cotTime(staleAt(e, now, o.Stale)),
		Point: cotPoint{fmt.Sprintf("%.7f", p.Lat), fmt.Sprintf("%.7f", p.Lon), cotUnknown, precision(p.UncertaintyM),
			cotUnknown},
		Detail: cotDetail{
			Contact: cotContact{xmlText(callsign(e, o))}, Remarks: headline(e, o) + ". " + why(e),
			Emberwing: cotOwn{xmlText(e.Event), xmlText(e.Label), string(e.Phase), e.Revision, fmt.Sprintf("%.4f", e.Peak),
				verdictOf(e)},
			Link: &cotCreator{"emberwing." + clean(e.Fleet) + "." + clean(e.Drone), "p-p", cotDrone},
		},
	}
	if v := e.Latest.Evidence.View; v != nil {
		c.Detail.Sensor = &cotSensor{fmt.Sprintf("%.1f", v.HeadingDeg), fmt.Sprintf("%.1f", v.FOVDeg), fmt.Sprintf("%.0f",
			coneLength)}
	}
	if judge(e) == confirmed {
		c.How = "h-c" // a person has looked at what the machine computed
	}
	body, err := xml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("export cot: %w", err)
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

// staleAt makes a marker vanish once there is nothing there.
func staleAt(e *store.Event, now time.Time, after time.Duration) time.Time {
	if over(e) {
		return now.Add(time.Second)
	}
	return now.Add(after)
}

func opEx(m Mode) string {
	switch m {
	case Exercise:
		return "e"
	case Test:
		return "s"
	}
	return ""
}

func callsign(e *store.Event, o Options) string {
	name := fmt.Sprintf("%s %s", e.Label, e.Drone)
	if m := o.mode(e); m != Actual {
		name = fmt.Sprintf("%s %s", m, name)
	}
	return name
}

func verdictOf(e *store.Event) string {
	if e.Verdict == nil {
		return ""
	}
	return xmlText(e.Verdict.Verdict)
}

// precision is a circular error in metres; 0 means that the drone did not say.
func precision(m float64) string {
	if m <= 0 {
		return cotUnknown
	}
	return fmt.Sprintf("%.1f", m)
}

func cotTime(t time.Time) string { return t.UTC().Format(cotLayout) }
