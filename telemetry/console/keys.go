package console

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"emberwing/telemetry/wire"
)

// key does what a key is for in the present mode.
func (m Model) key(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	if k.String() == "ctrl+c" {
		return m, tea.Quit
	}
	switch m.mode {
	case filtering:
		return m.filterKey(k), nil
	case judging:
		return m.verdictKey(k)
	case helping:
		m.mode = listing
		return m, nil
	}
	return m.listKey(k)
}

func (m Model) listKey(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	m.note = ""
	switch k.String() {
	case "q":
		return m, tea.Quit
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.rows())
	case "pgdown":
		m.move(m.rows())
	case "home", "g":
		m.move(-len(m.shown))
	case "end", "G":
		m.move(len(m.shown))
	case "enter":
		if m.current() != nil {
			m.mode = detail
		}
	case "esc":
		m.mode = listing
		m.arrange()
	case "/":
		m.mode = filtering
	case "u":
		m.openOnly = !m.openOnly
		m.arrange()
	case "a":
		if m.current() != nil {
			m.before, m.mode = m.mode, judging
		}
	case "?":
		m.mode = helping
	}
	return m, nil
}

func (m Model) filterKey(k tea.KeyPressMsg) tea.Model {
	switch k.String() {
	case "enter":
		m.mode = listing
	case "esc":
		m.filter, m.mode = "", listing
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	default:
		m.filter += k.Text
	}
	m.arrange()
	return m
}

// choices are the keys of the verdicts, in their order.
const choices = "1234567890"

func (m Model) verdictKey(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	e := m.current()
	m.mode = m.before
	m.arrange()
	i := slices.Index([]byte(choices), append([]byte(k.String()), 0)[0])
	if e == nil || i < 0 || len(k.String()) != 1 || i >= len(wire.Verdicts()) {
		return m, nil
	}
	verdict, id := wire.Verdicts()[i], e.ID
	m.note = "sending the verdict"
	return m, func() tea.Msg { return Acknowledged{id, m.acknowledge(m.ctx, id, verdict)} }
}
