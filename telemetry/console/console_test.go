package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func event(id int64, drone, label string) *store.Event {
	return &store.Event{
		ID: id, Row: id, Fleet: "valley", Drone: drone, Event: fmt.Sprintf("%s-b-%d", drone,
			id), Task: wire.TaskFire, Label: label,
		Phase: wire.PhaseBegin, Steps: 1, Started: wire.At(t0), First: wire.At(t0), Last: wire.At(t0), Peak: 0.9, Clock: wire.ClockGPS,
		Latest: &wire.Alert{Evidence: wire.Evidence{Agree: 6, Window: 8, Threshold: 0.6, Model: wire.Model{Name: "fire",
			SHA256: "0af9"}}},
	}
}

// screen drives a model as the program does.
type screen struct {
	t    *testing.T
	m    tea.Model
	sent []string // verdicts
	fail error
}

func newScreen(t *testing.T, width, height int) *screen {
	s := &screen{t: t}
	s.m = New(t.Context(), func(_ context.Context, id int64, v wire.Verdict) error {
		s.sent = append(s.sent, fmt.Sprintf("%d %s", id, v))
		return s.fail
	}, func() time.Time { return t0.Add(90 * time.Second) })
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	s.send(Up{Station: "hill"})
	return s
}

// send updates the model, and with the messages of its commands.
func (s *screen) send(msg tea.Msg) {
	var cmd tea.Cmd
	if s.m, cmd = s.m.Update(msg); cmd == nil {
		return
	}
	if _, quits := cmd().(tea.QuitMsg); quits {
		return
	}
	s.m, _ = s.m.Update(cmd())
}

func (s *screen) press(keys ...string) {
	for _, k := range keys {
		special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "down": tea.KeyDown, "up": tea.KeyUp,
			"backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown, "end": tea.KeyEnd, "home": tea.KeyHome}
		if code, ok := special[k]; ok {
			s.send(tea.KeyPressMsg{Code: code})
			continue
		}
		s.send(tea.KeyPressMsg{Code: []rune(k)[0], Text: k})
	}
}

// text is the screen without colours.
func (s *screen) text() string { return ansi.Strip(s.m.(Model).Text()) }

func (s *screen) want(parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(s.text(), p) {
			s.t.Errorf("%q is not on the screen:\n%s", p, s.text())
		}
	}
}

func (s *screen) wantNot(part string) {
	s.t.Helper()
	if strings.Contains(s.text(), part) {
		s.t.Errorf("%q is on the screen:\n%s", part, s.text())
	}
}

func TestOpenEventsComeFirst(t *testing.T) {
	s := newScreen(t, 120, 24)
	s.want("no events", "station hill")
	judged := event(3, "kite-3", "fire")
	judged.Verdict = &store.Verdict{Verdict: "glare", Operator: "ann"}
	s.send(Row{event(1, "kite-1", "smoke")})
	s.send(Row{event(2, "kite-2", "smoke")})
	s.send(Row{judged})
	s.want("2 not acknowledged, 3 events", "1m30s ago")
	lines := strings.Split(s.text(), "\n")
	for i, want := range []string{"kite-2", "> OPEN", "glare"} {
		if !strings.Contains(lines[2+i], want) {
			t.Errorf("line %d: got %q, want %s", i, lines[2+i], want)
		}
	}
	later := *judged
	later.Revision, later.Phase = 4, wire.PhaseEnd
	s.send(Row{&later})
	s.want("3 events", "end") // a step of a known event is no new line
}

func TestFilter(t *testing.T) {
	s := newScreen(t, 120, 24)
	s.send(Row{event(1, "kite-1", "smoke")})
	s.send(Row{event(2, "heron", "fire")})
	s.press("/", "H", "e", "r", "x", "backspace", "enter")
	s.want("heron", "filter: Her")
	s.wantNot("kite-1")
	s.press("/", "esc")
	s.want("heron", "kite-1")
	s.press("/", "z", "z", "enter")
	s.want("no events that the filter lets pass")
	s.press("a", "enter") // nothing is selected: nothing happens
	s.press("/", "esc", "u")
	s.want("OPEN ONLY", "kite-1")
}

func TestDetailAndAcknowledge(t *testing.T) {
	s := newScreen(t, 120, 24)
	s.send(Row{event(1, "kite-1", "smoke")})
	s.send(Row{event(2, "heron", "fire")})
	s.press("down", "enter")
	if strings.Contains(s.text(), "heron") == strings.Contains(s.text(), "kite-1") {
		t.Errorf("want the detail of one event:\n%s", s.text())
	}
	s.want("6 of 8 frames above 0.60", "position  not known")
	s.press("a")
	s.want("What is it?", "1  fire", "0  unknown")
	s.press("x") // no verdict
	if len(s.sent) != 0 {
		t.Errorf("got %v sent, want nothing", s.sent)
	}
	s.press("a", "3")
	if got := strings.Join(s.sent, ", "); !strings.HasSuffix(got, " cloud") {
		t.Errorf("got %q sent, want cloud", got)
	}
	s.want("acknowledged")
	s.fail = errors.New("acknowledged already by bob as fire")
	s.press("a", "1")
	s.want("acknowledged already by bob")
	s.press("esc", "?")
	s.want("select an event")
	s.press("q")
}

func TestLongListsScroll(t *testing.T) {
	s := newScreen(t, 100, 10)
	for i := range 50 {
		s.send(Row{event(int64(i+1), fmt.Sprintf("kite-%02d", i+1), "smoke")})
	}
	check := func(what, want string) {
		t.Helper()
		lines := strings.Split(s.text(), "\n")
		if len(lines) != 10 {
			t.Fatalf("%s: got %d lines, want 10", what, len(lines))
		}
		for _, l := range lines {
			if strings.HasPrefix(l, "> ") && strings.Contains(l, want) {
				return
			}
		}
		t.Errorf("%s: %s is not selected:\n%s", what, want, s.text())
	}
	s.press("home")
	check("home", "kite-50")
	s.press("end")
	check("end", "kite-01")
	s.press("up", "up")
	check("up", "kite-03")
	s.press("home", "pgdown")
	check("page down", "kite-44")
	s.send(Row{event(51, "kite-51", "smoke")})
	check("a new event moves nothing", "kite-44")
}

func TestLostFeedIsSaid(t *testing.T) {
	s := newScreen(t, 120, 24)
	s.send(Row{event(1, "kite-1", "smoke")})
	s.send(Down{errors.New("connection refused")})
	s.want("FEED DOWN: connection refused", "kite-1")
	s.send(Up{Station: "hill", Reset: true})
	s.want("no events", "another store")
}

// What a drone sends must not command the terminal.
func TestControlCharactersAreHarmless(t *testing.T) {
	s := newScreen(t, 200, 24)
	bad := event(1, "kite\x1b]0;x\x07", "smo\u202eke\x9b31m")
	bad.Latest.Evidence.Model.Name = "m\x1b[2J"
	s.send(Row{bad})
	s.press("enter")
	raw := s.m.(Model).Text()
	for _, c := range []string{"\x1b]", "\x1b[2J", "\u009b", "\u202e", "\x07"} {
		if strings.Contains(raw, c) {
			t.Errorf("%q is on the screen", c)
		}
	}
}

func TestNarrowTerminal(t *testing.T) {
	s := newScreen(t, 30, 6)
	s.send(Row{event(1, "kite-1", "smoke")})
	for _, keys := range [][]string{{"enter"}, {"a"}, {"x"}, {"?"}, {"x"}, {"/"}} {
		s.press(keys...)
		for _, l := range strings.Split(s.text(), "\n") {
			if ansi.StringWidth(l) > 30 {
				t.Errorf("got a line of %d columns, want at most 30: %q", ansi.StringWidth(l), l)
			}
		}
	}
}

// Another operator answers the event that this one is about to judge, and the list closes up:
// the verdict must not go to the event that takes its place.
func TestVerdictsStayWithTheirEvent(t *testing.T) {
	for _, before := range [][]string{{"a"}, {"enter", "a"}} {
		s := newScreen(t, 120, 24)
		s.send(Row{event(1, "kite-1", "smoke")})
		s.send(Row{event(2, "kite-2", "flame")})
		s.press("u", "home") // only what is open, the newest
		s.press(before...)
		s.want("What is it?", "flame")
		judged := event(2, "kite-2", "flame")
		judged.Verdict = &store.Verdict{Verdict: "glare", Operator: "ann"}
		s.send(Row{judged})
		s.want("What is it?", "flame")
		s.press("3")
		if got := slices.Compact(s.sent); len(got) != 1 || got[0] != "2 cloud" {
			t.Errorf("%v: got verdicts %q, want that on event 2", before, got)
		}
		s.press("esc")
		s.want("> OPEN", "kite-1")
	}
}
