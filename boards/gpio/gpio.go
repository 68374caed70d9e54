// Package gpio drives one status output, a lamp or a buzzer, on a line of the
// kernel's GPIO character devices. It is the only package that imports
// periph.io, and it uses the ioctl driver alone.
//
// That driver, of periph.io/x/host/v3 v3.8.5, speaks version 2 of the kernel
// interface only, which came with Linux 5.10. A Jetson Nano or TX2 has the 4.9
// kernel of JetPack 4; there the lines are driven through the older interface
// in /sys/class/gpio, and where that is missing too, [Open] fails with
// [ErrOldKernel]. Neither way has been run on a Nano so far.
//
// On Orin NX and Orin Nano the pad has to be muxed as an output first
// (jetson-io or a device-tree overlay); otherwise writing succeeds and
// nothing happens on the pin. A header pin carries milliamperes: drive lamps,
// buzzers and relays through a transistor, and choose the wiring so that a
// computer without power leaves them in the safe state.
package gpio

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"periph.io/x/conn/v3/gpio"

	"emberwing/boards"
)

// Why a line cannot be opened.
var (
	// ErrNoGPIO: the machine has no GPIO chip.
	ErrNoGPIO = errors.New("this machine has no GPIO chip")
	// ErrOldKernel: there are chips, none answers version 2 of the interface,
	// and the older one is missing.
	ErrOldKernel = errors.New("no GPIO chip answers the v2 interface, which needs Linux 5.10 " +
		"(JetPack 4 on Nano and TX2 has 4.9), and /sys/class/gpio has none either")
	// ErrNoLine: no chip has that label, or no line that offset or name.
	ErrNoLine = errors.New("no such GPIO line")
)

var _ boards.StatusOutput = (*Output)(nil)

// Output is one line, held as an output. Its methods may be called from
// several goroutines.
type Output struct {
	mu      sync.Mutex
	line    boards.Line
	pin     driver // nil once closed
	release func()
}

// Open takes a line as an output and switches it off. The line is given by
// chip label and offset, or, with an empty label, by its kernel name. If both
// are given, the line at the offset has to carry the name. Errors wrap
// ErrNoGPIO, ErrOldKernel, ErrNoLine or fs.ErrPermission, or are the
// kernel's: EBUSY means that somebody else holds the line.
func Open(line boards.Line) (*Output, error) {
	return open(line, kernel{})
}

// open finds the line among the chips of a host.
func open(line boards.Line, h host) (*Output, error) {
	chips, err := h.chips()
	if err != nil {
		return nil, fmt.Errorf("open status output %s: %w", line, err)
	}
	pin, release, err := find(chips, line)
	if err != nil {
		return nil, fmt.Errorf("open status output %s: %w", line, err)
	}
	if err := pin.Out(gpio.Low); err != nil {
		release()
		return nil, fmt.Errorf("open status output %s: %w", line, err)
	}
	return &Output{line: line, pin: pin, release: release}, nil
}

// Set switches the line: on is high. After Close it fails with os.ErrClosed.
func (o *Output) Set(on bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pin == nil {
		return fmt.Errorf("set status output %s: %w", o.line, os.ErrClosed)
	}
	if err := o.pin.Out(gpio.Level(on)); err != nil {
		return fmt.Errorf("set status output %s: %w", o.line, err)
	}
	return nil
}

// Close switches the line off and gives it back to the kernel, even if
// switching off fails. A second Close does nothing.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pin == nil {
		return nil
	}
	err := o.pin.Out(gpio.Low)
	o.release()
	o.pin = nil
	if err != nil {
		return fmt.Errorf("close status output %s: %w", o.line, err)
	}
	return nil
}

// host is where chips come from; tests have their own.
type host interface {
	chips() ([]chip, error)
}

// chip is one GPIO chip.
type chip struct {
	label string
	lines []line
}

// line is one line of a chip; its place in the list is its offset.
type line struct {
	name    string
	pin     driver
	release func()
}

// driver is what this package asks of periph's gpio.PinOut.
type driver interface {
	Out(gpio.Level) error
}

// find picks the one line that fits.
func find(chips []chip, want boards.Line) (driver, func(), error) {
	if want.Chip == "" {
		return findName(chips, want.Name)
	}
	var labels []string
	for _, c := range chips {
		labels = append(labels, c.label)
		if c.label != want.Chip {
			continue
		}
		if want.Offset < 0 || want.Offset >= len(c.lines) {
			return nil, nil, fmt.Errorf("%w: got offset %d, chip %s has 0 to %d",
				ErrNoLine, want.Offset, c.label, len(c.lines)-1)
		}
		l := c.lines[want.Offset]
		if want.Name != "" && l.name != "" && l.name != want.Name {
			return nil, nil, fmt.Errorf("%w: line %d of %s is named %q, want %q",
				ErrNoLine, want.Offset, c.label, l.name, want.Name)
		}
		return l.pin, l.release, nil
	}
	return nil, nil, fmt.Errorf("%w: got chip %q, this machine has %q", ErrNoLine, want.Chip, labels)
}

// findName finds the only line of a name.
func findName(chips []chip, name string) (driver, func(), error) {
	var found []line
	for _, c := range chips {
		for _, l := range c.lines {
			if l.name == name && name != "" {
				found = append(found, l)
			}
		}
	}
	if len(found) != 1 {
		return nil, nil, fmt.Errorf("%w: got %d lines named %q, want one: give chip label and offset",
			ErrNoLine, len(found), name)
	}
	return found[0].pin, found[0].release, nil
}
