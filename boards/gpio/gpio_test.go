package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"periph.io/x/conn/v3/gpio"

	"emberwing/boards"
	"emberwing/boards/boardstest"
)

// pin remembers its level.
type pin struct {
	name  string
	level gpio.Level
}

func (p *pin) Out(l gpio.Level) error {
	p.level = l
	return nil
}

// bench is a host with one chip of four lines.
type bench struct {
	pins     [4]*pin
	released *int
}

func newBench() bench {
	b := bench{released: new(int)}
	for i := range b.pins {
		b.pins[i] = &pin{name: fmt.Sprintf("PH.0%d", i), level: gpio.High}
	}
	return b
}

func (b bench) chips() ([]chip, error) {
	c := chip{label: "tegra234-gpio"}
	for _, p := range b.pins {
		c.lines = append(c.lines, line{name: p.name, pin: p, release: func() { *b.released++ }})
	}
	return []chip{{label: "tegra234-gpio-aon"}, c}, nil
}

func TestOutputKeepsContract(t *testing.T) {
	boardstest.TestOutput(t, func(t *testing.T) (boards.StatusOutput, func() bool) {
		b := newBench()
		out, err := open(boards.Line{Chip: "tegra234-gpio", Offset: 2}, b)
		if err != nil {
			t.Fatal(err)
		}
		return out, func() bool { return bool(b.pins[2].level) }
	})
}

func TestOpenTakesOneLineAndCloseReleasesIt(t *testing.T) {
	b := newBench()
	out, err := open(boards.Line{Chip: "tegra234-gpio", Offset: 1, Name: "PH.01"}, b)
	if err != nil {
		t.Fatal(err)
	}
	var levels []gpio.Level
	for _, p := range b.pins {
		levels = append(levels, p.level)
	}
	if want := []gpio.Level{gpio.High, gpio.Low, gpio.High, gpio.High}; !slices.Equal(levels, want) {
		t.Errorf("after Open the lines are %v, want %v", levels, want)
	}
	if err := errors.Join(out.Close(), out.Close()); err != nil || *b.released != 1 {
		t.Errorf("got %v and %d releases, want one", err, *b.released)
	}
}

func TestOpenByName(t *testing.T) {
	b := newBench()
	out, err := open(boards.Line{Name: "PH.03"}, b)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := out.Set(true); err != nil || b.pins[3].level != gpio.High || b.pins[0].level != gpio.High {
		t.Errorf("got %v", err)
	}
}

func TestOpenFaults(t *testing.T) {
	for _, tt := range []struct {
		line boards.Line
		says string
	}{
		{boards.Line{Chip: "tegra-gpio", Offset: 79}, `got chip "tegra-gpio", this machine has ["tegra234-gpio-aon" "tegra234-gpio"]`},
		{boards.Line{Chip: "tegra234-gpio", Offset: 4}, "got offset 4, chip tegra234-gpio has 0 to 3"},
		{boards.Line{Chip: "tegra234-gpio", Offset: -1}, "got offset -1"},
		{boards.Line{Chip: "tegra234-gpio", Offset: 0, Name: "PQ.05"}, `is named "PH.00", want "PQ.05"`},
		{boards.Line{Name: "PQ.05"}, "got 0 lines"},
		{boards.Line{}, "got 0 lines"},
	} {
		_, err := open(tt.line, newBench())
		if !errors.Is(err, ErrNoLine) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", tt.line, err, tt.says)
		}
	}
}

// stuck is a pin that somebody else holds.
type stuck struct{}

func (stuck) Out(gpio.Level) error { return syscall.EBUSY }

// busy is a host whose only line is stuck.
type busy struct{ released *int }

func (b busy) chips() ([]chip, error) {
	return []chip{{label: "c", lines: []line{{pin: stuck{}, release: func() { *b.released++ }}}}}, nil
}

func TestOpenReleasesALineItCannotDrive(t *testing.T) {
	b := busy{new(int)}
	if _, err := open(boards.Line{Chip: "c"}, b); !errors.Is(err, syscall.EBUSY) || *b.released != 1 {
		t.Errorf("got %v and %d releases, want busy and one", err, *b.released)
	}
}

func TestOpenOnThisMachine(t *testing.T) {
	devices, err := filepath.Glob("/dev/gpiochip*")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(boards.Line{Chip: "no-such-chip"})
	want := []error{ErrNoGPIO}
	if len(devices) > 0 {
		want = []error{ErrNoLine, ErrOldKernel, fs.ErrPermission}
	}
	if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
		t.Errorf("with devices %q: got %v, want one of %v", devices, err, want)
	}
}

func TestReadableTellsPermission(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "gpiochip0")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "gpiochip1")
	if err := readable([]string{gone, there}); err != nil {
		t.Errorf("one readable device: got %v", err)
	}
	if err := readable([]string{gone}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no readable device: got %v", err)
	}
}

// none is a host without chips.
type none struct{}

func (none) chips() ([]chip, error) { return nil, nil }

func TestErrorsNameTheLimitation(t *testing.T) {
	if _, err := fallback(none{}); !errors.Is(err, ErrOldKernel) {
		t.Errorf("no interface at all: got %v", err)
	}
	if chips, err := fallback(newBench()); err != nil || len(chips) != 2 {
		t.Errorf("older interface: got %d chips, %v", len(chips), err)
	}
	for _, part := range []string{"v2", "5.10", "4.9", "Nano"} {
		if !strings.Contains(ErrOldKernel.Error(), part) {
			t.Errorf("ErrOldKernel does not say %q", part)
		}
	}
}
