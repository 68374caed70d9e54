package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"emberwing/boards"
)

// Rail is one channel of an INA3221 power monitor.
type Rail struct {
	Device  string // I2C device: "1-0040"
	Channel int    // 1..3
	Label   string // "VDD_IN"
	Voltage boards.MilliVolts
	Current boards.MilliAmps
	Power   boards.MilliWatts // measured, or voltage times current
	// Err is nil, or wraps ErrNoData or fs.ErrPermission; the figures above
	// mean nothing then.
	Err error
}

// Rails reads every channel of every INA3221, whichever of the two kernel
// interfaces (hwmon, or iio on L4T 32) it has. Unconnected channels are left
// out. No monitor at all is ErrAbsent; a Nano 2GB has none.
func Rails(fsys fs.FS) ([]Rail, error) {
	devices, err := children(fsys, "sys/bus/i2c/devices", "")
	if err != nil {
		return nil, fmt.Errorf("list power rails: %w", err)
	}
	var out []Rail
	for _, dev := range devices {
		name, err := readText(fsys, path.Join(dev, "name"))
		if err == nil && strings.Contains(name, "ina3221") {
			out = append(out, monitor(fsys, dev)...)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("list power rails: %w", ErrAbsent)
	}
	return out, nil
}

// maxMilli bounds a plausible voltage (100 V) and current (100 A).
const maxMilli = 100_000

// layout is where a kernel interface keeps the channel n of a monitor.
type layout struct {
	label, voltage, current, power func(n int) string
}

// hwmon counts channels from 1 and has no power.
func hwmon(dir string) layout {
	file := func(format string) func(int) string {
		return func(n int) string { return path.Join(dir, fmt.Sprintf(format, n)) }
	}
	return layout{label: file("in%d_label"), voltage: file("in%d_input"), current: file("curr%d_input")}
}

// iio counts channels from 0.
func iio(dir string) layout {
	file := func(format string) func(int) string {
		return func(n int) string { return path.Join(dir, fmt.Sprintf(format, n-1)) }
	}
	return layout{
		label: file("rail_name_%d"), voltage: file("in_voltage%d_input"),
		current: file("in_current%d_input"), power: file("in_power%d_input"),
	}
}

// monitor reads the three channels of one device.
func monitor(fsys fs.FS, dev string) []Rail {
	l, err := layoutOf(fsys, dev)
	if err != nil {
		return []Rail{{Device: path.Base(dev), Err: err}}
	}
	var out []Rail
	for n := 1; n <= 3; n++ {
		if r, ok := channel(fsys, l, n); ok {
			r.Device = path.Base(dev)
			out = append(out, r)
		}
	}
	return out
}

// layoutOf finds the interface of a device. The number in hwmonN changes from
// boot to boot.
func layoutOf(fsys fs.FS, dev string) (layout, error) {
	dirs, err := children(fsys, path.Join(dev, "hwmon"), "hwmon")
	if err != nil {
		return layout{}, err
	}
	if len(dirs) > 0 {
		return hwmon(dirs[0]), nil
	}
	dirs, err = children(fsys, dev, "iio:device")
	if err != nil {
		return layout{}, err
	}
	if len(dirs) > 0 {
		return iio(dirs[0]), nil
	}
	return layout{}, fmt.Errorf("%s: %w: no driver is bound", path.Base(dev), ErrNoData)
}

// channel reads one channel; false if it is not there or not connected.
func channel(fsys fs.FS, l layout, n int) (Rail, bool) {
	r := Rail{Channel: n}
	r.Label, r.Err = readText(fsys, l.label(n))
	switch {
	case errors.Is(r.Err, ErrAbsent), r.Err == nil && strings.Contains(r.Label, "NC"):
		return r, false
	case r.Err != nil:
		return r, true
	}
	volts, err1 := readInt(fsys, l.voltage(n))
	amps, err2 := readInt(fsys, l.current(n))
	if err := errors.Join(err1, err2); err != nil {
		r.Err = fmt.Errorf("%s: %w", r.Label, noReading(err))
		return r, true
	}
	if max(volts, -volts, amps, -amps) > maxMilli {
		r.Err = fmt.Errorf("%s: %w: got %d mV and %d mA", r.Label, ErrNoData, volts, amps)
		return r, true
	}
	r.Voltage, r.Current = boards.MilliVolts(volts), boards.MilliAmps(amps)
	r.Power = r.Voltage.Times(r.Current)
	if l.power != nil {
		if mw, err := readInt(fsys, l.power(n)); err == nil {
			r.Power = boards.MilliWatts(mw)
		}
	}
	return r, true
}

// noReading turns a file that is missing inside a sensor that is there into
// ErrNoData.
func noReading(err error) error {
	if errors.Is(err, ErrAbsent) {
		return fmt.Errorf("%w: a file of the channel is missing", ErrNoData)
	}
	return err
}

// Total returns the board's power: the input rail where there is one, which
// already holds the others, else the sum. It fails with the error of any rail
// it would have to leave out, as a sum without it would be too low.
func Total(rails []Rail) (boards.MilliWatts, error) {
	if len(rails) == 0 {
		return 0, fmt.Errorf("total power: %w", ErrAbsent)
	}
	for _, r := range rails {
		if r.Label == "VDD_IN" || r.Label == "POM_5V_IN" {
			return r.Power, r.Err
		}
	}
	var sum boards.MilliWatts
	for _, r := range rails {
		if r.Err != nil {
			return 0, fmt.Errorf("total power: %w", r.Err)
		}
		sum += r.Power
	}
	return sum, nil
}
