package ground

import (
	"fmt"
	"strings"

	"emberwing/telemetry/export"
	"emberwing/telemetry/wire"
)

// exportFailing begins the code of an alarm; the target follows after a colon.
const exportFailing = "export-failing"

// Watch makes the station tell how an exporter fares: trouble that lasts is an alarm, and its
// counters are metrics. The caller runs the exporter.
func (s *Station) Watch(x *export.Exporter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exports = append(s.exports, x)
}

func (s *Station) exporters() []*export.Exporter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exports
}

// exportAlarms returns the trouble of all exporters.
func (s *Station) exportAlarms() (alarms []wire.Condition) {
	for _, x := range s.exporters() {
		st := x.Stats()
		if st.Trouble == "" {
			continue
		}
		text := fmt.Sprintf("events are not handed on to %s, they wait: %s", x.Target, st.Trouble)
		alarms = append(alarms, wire.Condition{
			Code: clipTo(exportFailing+":"+x.Target.String(), wire.MaxName), Severity: wire.SeverityAlarm,
			Text: clipTo(text, wire.MaxText), Since: wire.At(st.Since),
		})
	}
	return alarms
}

// clipTo shortens a text to so many bytes, between characters.
func clipTo(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}
