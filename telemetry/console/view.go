package console

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// View implements tea.Model.
func (m Model) View() tea.View {
	v := tea.NewView(m.Text())
	v.AltScreen = true
	v.WindowTitle = "emberwing watch"
	return v
}

// Text is the screen, exactly as many lines as the terminal has.
func (m Model) Text() string {
	lines := []string{m.head(), ""}
	switch m.mode {
	case detail:
		lines = append(lines, m.detailLines()...)
	case judging:
		lines = append(lines, m.verdictLines()...)
	case helping:
		lines = append(lines, help...)
	default:
		lines = append(lines, m.listLines()...)
	}
	for len(lines) < m.height-2 {
		lines = append(lines, "")
	}
	lines = append(lines[:m.height-2], m.note, m.foot())
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], m.width, "…")
	}
	return strings.Join(lines, "\n")
}

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
	plain   = "\x1b[0m"
)

func (m Model) head() string {
	open := 0
	for _, e := range m.events {
		if e.Verdict == nil {
			open++
		}
	}
	state := "station " + m.station
	if !m.up {
		state = red + bold + "FEED DOWN: " + clean(m.down) + plain
	}
	return fmt.Sprintf("%s   %s%d not acknowledged%s, %d events", state, bold, open, plain, len(m.events))
}

func (m Model) foot() string {
	switch m.mode {
	case filtering:
		return "filter: " + clean(m.filter) + "▏  enter keeps it, esc drops it"
	case judging:
		return "press the key of the verdict, any other key goes back"
	case detail:
		return "a acknowledge   ↑ ↓ other events   esc list   ? help   q quit"
	}
	s := "↑ ↓ select   enter detail   a acknowledge   / filter   u open only   ? help   q quit"
	if m.filter != "" {
		s = "filter: " + clean(m.filter) + "   " + s
	}
	if m.openOnly {
		s = "OPEN ONLY   " + s
	}
	return s
}

var help = []string{
	"↑ ↓ j k        select an event           pgup pgdown    a screen at a time",
	"home end g G   first, last               enter          detail of the event",
	"a              acknowledge it            /              filter by words",
	"u              only what is open         esc            back",
	"q ctrl+c       quit",
}

func (m Model) listLines() (lines []string) {
	if len(m.shown) == 0 {
		return []string{"no events" + map[bool]string{true: " that the filter lets pass"}[len(m.events) > 0]}
	}
	for _, e := range m.shown[m.top:min(m.top+m.rows(), len(m.shown))] {
		line := m.line(e)
		if e.ID == m.selected {
			line = reverse + "> " + line + plain
		} else {
			line = "  " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// line is one event; the first word says whether somebody has to look at it.
func (m Model) line(e *store.Event) string {
	state := "OPEN"
	if e.Verdict != nil {
		state = e.Verdict.Verdict
	}
	s := fmt.Sprintf("%-11s %-7s %-10s %-7s peak %.2f  %-20s %8s ago", state, e.Task, clean(e.Label), e.Phase, e.Peak,
		clean(e.Fleet+"/"+e.Drone), age(m.now().Sub(e.First.Time)))
	if e.Late {
		s += "  LATE"
	}
	if e.Latest.Exercise {
		s += "  EXERCISE"
	}
	return s
}

func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func (m Model) detailLines() []string {
	e := m.current()
	if e == nil {
		return nil
	}
	v := e.Latest.Evidence
	lines := []string{
		bold + clean(fmt.Sprintf("%s %s of drone %s/%s", e.Task, e.Label, e.Fleet, e.Drone)) + plain,
		"event     " + clean(e.Event),
		fmt.Sprintf("phase     %s, revision %d, %d alerts received", e.Phase, e.Revision, e.Steps),
		fmt.Sprintf("occurred  %s (clock: %s)", local(e.Started), e.Clock),
		fmt.Sprintf("received  %s, latest %s", local(e.First), local(e.Last)),
		fmt.Sprintf("why       %d of %d frames above %.2f; score %.2f, highest %.2f", v.Agree, v.Window, v.Threshold,
			v.Calibrated, e.Peak),
		clean(fmt.Sprintf("model     %s %.12s, %s on %s", v.Model.Name, v.Model.SHA256, v.Model.EffectivePrecision,
			v.Model.EffectiveProvider)),
		"scores    " + scores(v.Scores),
		"position  " + position(v.Position, v.View),
	}
	if v.OOD != nil && v.OOD.Score > v.OOD.Limit {
		lines = append(lines, "unusual   the picture is unlike what the model was trained on")
	}
	if e.Picture != nil {
		lines = append(lines, fmt.Sprintf("picture   %d × %d, on the live page", e.Picture.Width, e.Picture.Height))
	}
	if e.Verdict != nil {
		lines = append(lines, clean(fmt.Sprintf("verdict   %s by %s at %s, to the drone: %s. %s",
			e.Verdict.Verdict, e.Verdict.Operator, local(e.Verdict.At), e.Verdict.Delivery, e.Verdict.Note)))
	}
	return lines
}

func scores(all wire.Scores) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%s %.2f", clean(s.Label), s.Score))
	}
	return strings.Join(parts, "  ")
}

func position(p *wire.Position, v *wire.View) string {
	if p == nil {
		return "not known"
	}
	s := fmt.Sprintf("%.5f, %.5f at %.0f m, ± %.0f m", p.Lat, p.Lon, p.AltM, p.UncertaintyM)
	if v != nil {
		s += fmt.Sprintf(", bearing %.0f°", v.BearingDeg)
	}
	return s
}

func local(t wire.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func (m Model) verdictLines() []string {
	e := m.current()
	if e == nil {
		return nil
	}
	lines := []string{bold + "What is it?" + plain + "  " + m.line(e), ""}
	for i, v := range wire.Verdicts() {
		lines = append(lines, fmt.Sprintf("  %c  %s", choices[i], strings.ReplaceAll(string(v), "_", " ")))
	}
	return lines
}

// clean keeps what a drone sent from commanding the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '·'
		}
		return r
	}, s)
}
