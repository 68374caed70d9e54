package export

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// The elements of the Common Alerting Protocol 1.2 (OASIS standard, 2010) that are used, in
// the order of its schema.
type capAlert struct {
	XMLName     xml.Name `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
	Identifier  string   `xml:"identifier"`
	Sender      string   `xml:"sender"`
	Sent        string   `xml:"sent"`
	Status      string   `xml:"status"`
	MsgType     string   `xml:"msgType"`
	Source      string   `xml:"source,omitempty"`
	Scope       string   `xml:"scope"`
	Restriction string   `xml:"restriction,omitempty"`
	Note        string   `xml:"note,omitempty"`
	References  string   `xml:"references,omitempty"`
	Incidents   string   `xml:"incidents,omitempty"`
	Info        capInfo  `xml:"info"`
}

type capInfo struct {
	Language     string         `xml:"language"`
	Category     string         `xml:"category"`
	Event        string         `xml:"event"`
	ResponseType string         `xml:"responseType"`
	Urgency      string         `xml:"urgency"`
	Severity     string         `xml:"severity"`
	Certainty    string         `xml:"certainty"`
	Effective    string         `xml:"effective"`
	Onset        string         `xml:"onset"`
	Expires      string         `xml:"expires"`
	SenderName   string         `xml:"senderName"`
	Headline     string         `xml:"headline"`
	Description  string         `xml:"description"`
	Parameters   []capParameter `xml:"parameter"`
	Area         *capArea       `xml:"area"`
}

type capParameter struct {
	Name  string `xml:"valueName"`
	Value string `xml:"value"`
}

type capArea struct {
	Desc   string `xml:"areaDesc"`
	Circle string `xml:"circle,omitempty"`
}

func encodeCAP(e *store.Event, o Options) ([]byte, error) {
	a := capAlert{
		Identifier: capID(e), Sender: o.Sender, Sent: capTime(updated(e)), Status: string(o.mode(e)), MsgType: msgType(e),
		Source: clean(e.Drone), Scope: "Restricted",
		Restriction: "for the fire service that operates the drones and its partners",
		Incidents:   uid(e), Info: infoOf(e, o),
	}
	if a.Status == string(Exercise) {
		a.Note = "This is a drill."
	}
	if a.MsgType != "Alert" { // all that came before hang together by the first
		a.References = fmt.Sprintf("%s,%s.r0,%s", o.Sender, uid(e), capTime(e.First.Time))
	}
	body, err := xml.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("export cap: %w", err)
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

// capID numbers the messages of an event: .r0 is the first, .v and a row a verdict.
func capID(e *store.Event) string {
	switch {
	case msgType(e) == "Alert":
		return uid(e) + ".r0"
	case e.Verdict != nil && !e.Verdict.At.Before(e.Last.Time):
		return uid(e) + ".v" + strconv.FormatInt(e.Row, 10)
	}
	return uid(e) + ".r" + strconv.Itoa(e.Revision)
}

// msgType is Alert for the first word about an event, Cancel when there is nothing (any
// more), Update for all between.
func msgType(e *store.Event) string {
	switch {
	case judge(e) == rejected, e.Phase == wire.PhaseEnd && judge(e) != confirmed:
		return "Cancel"
	case e.Steps == 1 && e.Verdict == nil:
		return "Alert"
	}
	return "Update"
}

func infoOf(e *store.Event, o Options) capInfo {
	i := capInfo{
		Language: "en", Category: "Fire", Event: "Possible wildfire", ResponseType: "Assess", Urgency: "Immediate",
		Severity:  "Unknown",
		Certainty: certainty(e), Effective: capTime(updated(e)), Onset: capTime(began(e)),
		Expires:    capTime(updated(e).Add(o.Stale)),
		SenderName: xmlText("drone " + e.Drone + " of fleet " + e.Fleet), Headline: headline(e, o), Description: why(e),
		Area: areaOf(e),
	}
	if e.Task == wire.TaskGesture {
		i.Category, i.Event = "Rescue", "Person signalling"
	}
	if over(e) {
		i.ResponseType, i.Urgency = "AllClear", "Past"
	}
	v := e.Latest.Evidence
	i.Parameters = []capParameter{
		{"label", xmlText(e.Label)}, {"score", fmt.Sprintf("%.4f", v.Calibrated)}, {"peak", fmt.Sprintf("%.4f", e.Peak)},
		{"model", xmlText(v.Model.Name)}, {"model_sha256", v.Model.SHA256}, {"clock", string(e.Clock)},
	}
	if v.View != nil {
		i.Parameters = append(i.Parameters, capParameter{"bearing_deg", fmt.Sprintf("%.1f", v.View.BearingDeg)})
	}
	return i
}

// certainty is never Observed before a person has confirmed. Likely is more than one half.
func certainty(e *store.Event) string {
	switch judge(e) {
	case confirmed:
		return "Observed"
	case rejected:
		return "Unlikely"
	}
	if e.Peak > 0.5 {
		return "Likely"
	}
	return "Possible"
}

// areaOf is a circle around the drone as wide as it may see and its position may be off.
func areaOf(e *store.Event) *capArea {
	p := e.Latest.Evidence.Position
	if p == nil {
		return &capArea{Desc: "not known: the drone had no position"}
	}
	radius := (coneLength + p.UncertaintyM) / 1000
	return &capArea{
		Desc:   xmlText(fmt.Sprintf("what drone %s sees from %.5f, %.5f", e.Drone, p.Lat, p.Lon)),
		Circle: fmt.Sprintf("%.6f,%.6f %.3f", p.Lat, p.Lon, radius),
	}
}

// capTime has seconds and an offset; CAP wants -00:00 for UTC.
func capTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + "-00:00" }
