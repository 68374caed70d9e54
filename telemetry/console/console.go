// Package console shows the feed of a ground station in a terminal, for operators: what is
// not acknowledged on top, with filter, detail and acknowledgement by keyboard.
//
// Everything is said in words and by position, colour only repeats it; NO_COLOR is honoured.
package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Messages for the model, sent by whoever follows the feed.
type (
	// Row is a new state of an event.
	Row struct{ Event *store.Event }
	// Up says that the feed is connected.
	Up struct {
		Station string
		Reset   bool // everything comes anew
	}
	// Down says why it is not.
	Down struct{ Err error }
	// Acknowledged is what came of a verdict.
	Acknowledged struct {
		Event int64
		Err   error
	}
)

// Acknowledge sends a verdict to the station.
type Acknowledge func(ctx context.Context, event int64, verdict wire.Verdict) error

type mode int

const (
	listing mode = iota
	detail
	filtering
	judging
	helping
)

// Model is the state of the screen. It implements tea.Model.
type Model struct {
	ctx         context.Context
	acknowledge Acknowledge
	now         func() time.Time

	events   map[int64]*store.Event
	shown    []*store.Event // that the filter lets pass, in order
	selected int64          // number of an event, 0 for none
	top      int            // first line of the list on the screen
	openOnly bool
	filter   string
	mode     mode
	before   mode // that judging returns to

	width, height int
	station       string
	up            bool
	down          string // why
	note          string // what happened last
}

// New returns an empty screen.
func New(ctx context.Context, acknowledge Acknowledge, now func() time.Time) Model {
	return Model{ctx: ctx, acknowledge: acknowledge, now: now, events: make(map[int64]*store.Event), width: 80,
		height: 24, down: "connecting"}
}

// second makes ages go on.
type second struct{}

func tick() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return second{} }) }

// Init implements tea.Model.
func (m Model) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 20), max(msg.Height, 6)
	case tea.KeyPressMsg:
		return m.key(msg)
	case Row:
		m.events[msg.Event.ID] = msg.Event
	case Up:
		if msg.Reset {
			clear(m.events)
			m.note = "the station has another store: everything comes anew"
		}
		m.station, m.up = msg.Station, true
	case Down:
		m.up, m.down = false, msg.Err.Error()
	case Acknowledged:
		m.note = fmt.Sprintf("event %d acknowledged", msg.Event)
		if msg.Err != nil {
			m.note = msg.Err.Error()
		}
	case second:
		return m, tick()
	}
	m.arrange()
	return m, nil
}

// arrange filters and sorts: unacknowledged first, then the latest news first.
func (m *Model) arrange() {
	m.shown = slices.DeleteFunc(slices.Collect(maps.Values(m.events)), func(e *store.Event) bool { return !m.passes(e) })
	slices.SortFunc(m.shown, func(a, b *store.Event) int {
		open := func(e *store.Event) int {
			if e.Verdict == nil {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(open(a), open(b)), cmp.Compare(b.ID, a.ID))
	})
	if len(m.shown) > 0 && m.index() < 0 && !m.looking() {
		m.selected = m.shown[0].ID
	}
	m.scroll()
}

// looking reports whether an operator has an event before them. It stays there when the filter
// does not let it pass any more: the verdict on one must not go to whichever takes its place.
func (m *Model) looking() bool {
	_, known := m.events[m.selected]
	return known && (m.mode == detail || m.mode == judging)
}

func (m *Model) passes(e *store.Event) bool {
	if m.openOnly && e.Verdict != nil {
		return false
	}
	text := strings.ToLower(strings.Join([]string{e.Fleet, e.Drone, string(e.Task), e.Label, string(e.Phase), e.Event},
		" "))
	for _, word := range strings.Fields(strings.ToLower(m.filter)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// index returns the place of the selected event, -1 when it is not shown.
func (m *Model) index() int {
	return slices.IndexFunc(m.shown, func(e *store.Event) bool { return e.ID == m.selected })
}

func (m *Model) rows() int { return max(m.height-4, 1) }

func (m *Model) scroll() {
	i := max(m.index(), 0)
	m.top = min(m.top, i, max(len(m.shown)-m.rows(), 0))
	m.top = max(m.top, i-m.rows()+1)
}

func (m *Model) move(by int) {
	if len(m.shown) > 0 {
		m.selected = m.shown[min(max(m.index()+by, 0), len(m.shown)-1)].ID
	}
	m.scroll()
}

// current returns the selected event, nil when there is none.
func (m *Model) current() *store.Event {
	if m.looking() {
		return m.events[m.selected]
	}
	if i := m.index(); i >= 0 {
		return m.shown[i]
	}
	return nil
}
