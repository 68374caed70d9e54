package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/gpio"
)

// legacy is the older GPIO interface, files below a root that is
// /sys/class/gpio. Kernel 4.9 of JetPack 4 has it, and periph skips it where
// its ioctl driver does not load.
type legacy struct{ root string }

// chips lists the chips: each is a directory with label, base and ngpio.
func (l legacy) chips() ([]chip, error) {
	dirs, err := filepath.Glob(filepath.Join(l.root, "gpiochip*"))
	if err != nil {
		return nil, fmt.Errorf("list GPIO chips: %w", err)
	}
	var chips []chip
	for _, dir := range dirs {
		c, err := l.chip(dir)
		if err != nil {
			return nil, fmt.Errorf("read GPIO chip: %w", err)
		}
		chips = append(chips, c)
	}
	return chips, nil
}

// maxLines bounds what a chip may claim; the Nano's has 256.
const maxLines = 4096

// chip reads one chip. Its lines have no names.
func (l legacy) chip(dir string) (chip, error) {
	label, err := os.ReadFile(filepath.Join(dir, "label"))
	if err != nil {
		return chip{}, err
	}
	base, err1 := number(filepath.Join(dir, "base"))
	count, err2 := number(filepath.Join(dir, "ngpio"))
	if err := errors.Join(err1, err2); err != nil {
		return chip{}, err
	}
	if base < 0 || count < 0 || count > maxLines {
		return chip{}, fmt.Errorf("%s: got base %d and %d lines", dir, base, count)
	}
	c := chip{label: strings.TrimSpace(string(label)), lines: make([]line, count)}
	for i := range c.lines {
		p := &legacyPin{root: l.root, number: strconv.Itoa(base + i)}
		c.lines[i] = line{pin: p, release: p.release}
	}
	return c, nil
}

// number reads a file that holds one.
func number(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// legacyPin is one line, taken at the first Out.
type legacyPin struct {
	root, number string // number counts over all chips
	value        *os.File
	buf          [1]byte
}

// Out sets the level. The first call takes the line and makes it an output
// that starts at the level, without a glitch in between.
func (p *legacyPin) Out(l gpio.Level) error {
	if p.value == nil {
		return p.take(l)
	}
	p.buf[0] = '0'
	if l {
		p.buf[0] = '1'
	}
	_, err := p.value.WriteAt(p.buf[:], 0)
	return err
}

// dir is where the kernel shows the line once it is exported.
func (p *legacyPin) dir() string { return filepath.Join(p.root, "gpio"+p.number) }

// take exports the line unless it is, as after a crash, and makes it an
// output.
func (p *legacyPin) take(l gpio.Level) error {
	if _, err := os.Stat(p.dir()); errors.Is(err, fs.ErrNotExist) {
		if err := command(filepath.Join(p.root, "export"), p.number); err != nil {
			return err
		}
	}
	direction := "low"
	if l {
		direction = "high"
	}
	if err := command(filepath.Join(p.dir(), "direction"), direction); err != nil {
		return err
	}
	var err error
	p.value, err = os.OpenFile(filepath.Join(p.dir(), "value"), os.O_WRONLY, 0)
	return err
}

// release gives the line back.
func (p *legacyPin) release() {
	if p.value != nil {
		p.value.Close()
		p.value = nil
	}
	_ = command(filepath.Join(p.root, "unexport"), p.number)
}

// command writes a word to a control file, which has to exist.
func command(path, word string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(word)
	return errors.Join(err, f.Close())
}
