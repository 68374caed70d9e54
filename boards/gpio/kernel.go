package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/host/v3/gpioioctl"
)

// kernel is the host of the running machine.
type kernel struct{}

// chips opens the GPIO chips of the machine, once per process: periph keeps
// them.
func (kernel) chips() ([]chip, error) {
	devices, err := filepath.Glob("/dev/gpiochip*")
	if err != nil {
		return nil, fmt.Errorf("list GPIO chips: %w", err)
	}
	if len(devices) == 0 {
		return nil, ErrNoGPIO
	}
	if err := readable(devices); err != nil {
		return nil, err
	}
	if _, err := driverreg.Init(); err != nil {
		return nil, fmt.Errorf("start the GPIO driver: %w", err)
	}
	if len(gpioioctl.Chips) == 0 {
		return fallback(legacy{"/sys/class/gpio"})
	}
	return convert(gpioioctl.Chips), nil
}

// fallback is for kernels that the ioctl driver cannot use.
func fallback(older host) ([]chip, error) {
	chips, err := older.chips()
	if err == nil && len(chips) == 0 {
		err = ErrOldKernel
	}
	return chips, err
}

// readable tells a lack of permission from a lack of support, which the
// driver does not: it needs at least one device that opens.
func readable(devices []string) error {
	var errs []error
	for _, d := range devices {
		f, err := os.Open(d)
		if err == nil {
			f.Close()
			return nil
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (add the user to group gpio and give that group /dev/gpiochip* by a udev rule)", err)
	}
	return err
}

// convert takes over what the driver found.
func convert(found []*gpioioctl.GPIOChip) []chip {
	chips := make([]chip, len(found))
	for i, c := range found {
		chips[i].label = c.Label()
		for _, l := range c.Lines() {
			chips[i].lines = append(chips[i].lines, line{name: l.Name(), pin: l, release: l.Close})
		}
	}
	return chips
}
