// Package mavlink learns from a flight controller where the drone is. It listens only: it
// never sends a byte, so it can make nothing fly.
package mavlink

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"emberwing/firmware/position"
	"emberwing/telemetry/wire"
)

// Options of a Source.
type Options struct {
	Address      string  // udp://host:port to listen on (udp://:14550), or serial:///dev/ttyTHS1:57600
	UncertaintyM float64 // taken when the controller does not tell one, metres, 95 %
	MountDeg     float64 // where the camera looks against the nose, degrees clockwise
}

// fresh is how long what was heard counts as where the drone is.
const fresh = 3 * time.Second

// Source implements position.Source.
type Source struct {
	opts Options
	port io.ReadCloser
	done chan struct{}

	mu       sync.Mutex
	at       time.Time // of position and heading
	position wire.Position
	heading  *float64
	accuracy float64 // metres, 95 %; 0 until the controller tells
	noFix    bool    // by the latest word of the GPS
}

// Open opens the address. Nothing needs to arrive for that: what is silent is unknown.
func Open(opts Options) (*Source, error) {
	port, err := openPort(opts.Address)
	if err != nil {
		return nil, fmt.Errorf("open mavlink %s: %w", opts.Address, err)
	}
	s := &Source{opts: opts, port: port, done: make(chan struct{})}
	go s.listen()
	return s, nil
}

// Validate checks an address without opening it.
func Validate(address string) error {
	_, _, err := parseAddress(address)
	return err
}

// parseAddress returns what to listen on: a UDP address, or a device and its rate.
func parseAddress(address string) (udp string, serial *line, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, fmt.Errorf("got %q, want udp://:14550 or serial:///dev/ttyTHS1:57600", address)
	}
	switch {
	case u.Scheme == "udp" && u.Port() != "":
		return u.Host, nil, nil
	case u.Scheme == "serial":
		serial, err = parseLine(u.Path)
		return "", serial, err
	}
	return "", nil, fmt.Errorf("got %q, want udp://:14550 or serial:///dev/ttyTHS1:57600", address)
}

// line is a serial line.
type line struct {
	device string
	rate   uint32 // constant of the kernel
}

func parseLine(path string) (*line, error) {
	rates := map[int]uint32{9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600,
		115200: unix.B115200, 230400: unix.B230400, 460800: unix.B460800, 921600: unix.B921600}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] != ':' {
			continue
		}
		baud, err := strconv.Atoi(path[i+1:])
		if rate, ok := rates[baud]; err == nil && ok && i > 0 {
			return &line{path[:i], rate}, nil
		}
		break
	}
	return nil, fmt.Errorf("got %q, want a device and a usual rate such as /dev/ttyTHS1:57600", path)
}

func openPort(address string) (io.ReadCloser, error) {
	udp, serial, err := parseAddress(address)
	switch {
	case err != nil:
		return nil, err
	case serial != nil:
		return openSerial(serial)
	}
	conn, err := net.ListenPacket("udp", udp)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// openSerial opens a line raw: 8 bits, no parity, no translation.
func openSerial(l *line) (io.ReadCloser, error) {
	f, err := os.OpenFile(l.device, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | l.rate, Ispeed: l.rate, Ospeed: l.rate}
	t.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &t); err != nil {
		f.Close()
		return nil, fmt.Errorf("set up line: %w", err)
	}
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil { // Fd has made it blocking, which Close could not end
		f.Close()
		return nil, err
	}
	return f, nil
}

// listen reads until the port is closed or lost; then the position is unknown, which the drone
// tells.
func (s *Source) listen() {
	defer close(s.done)
	var held []byte
	buf := make([]byte, 4096)
	for {
		n, err := s.port.Read(buf)
		if err != nil {
			return
		}
		held = append(held, buf[:n]...)
		for {
			m, rest, ok := next(held)
			held = rest
			if !ok {
				break
			}
			s.take(&m, time.Now())
		}
		if len(held) > maxFrame {
			held = held[len(held)-maxFrame:]
		}
	}
}

// take learns from one message. Only the first autopilot counts: other systems on the link,
// such as a ground station's own GPS, have other numbers than 1.
func (s *Source) take(m *message, now time.Time) {
	if m.system != 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.id {
	case globalPosition:
		s.takePosition(m.payload[:], now)
	case gpsRaw:
		s.takeAccuracy(m.payload[:])
	}
}

// takePosition reads GLOBAL_POSITION_INT: 1e-7 degrees, mm, and hundredths of a degree.
func (s *Source) takePosition(p []byte, now time.Time) {
	i32 := func(at int) float64 { return float64(int32(binary.LittleEndian.Uint32(p[at:]))) }
	lat, lon, alt := i32(4)/1e7, i32(8)/1e7, i32(12)/1000
	if lat < -90 || lat > 90 || lon < -180 || lon > 180 || alt < -1e4 || alt > 1e5 || lat == 0 && lon == 0 {
		return // not known to the controller itself
	}
	s.at, s.position = now, wire.Position{Lat: lat, Lon: lon, AltM: alt}
	s.heading = nil
	const unknown = 65535
	if h := binary.LittleEndian.Uint16(p[26:]); h != unknown {
		d := position.Normal(float64(h)/100 + s.opts.MountDeg)
		s.heading = &d
	}
}

// takeAccuracy reads GPS_RAW_INT: the kind of fix, and in version 2 the horizontal accuracy,
// mm, which is taken as one standard deviation; 95 % are two.
func (s *Source) takeAccuracy(p []byte) {
	const fix2D = 2
	s.noFix = p[28] < fix2D
	s.accuracy = 2 * float64(binary.LittleEndian.Uint32(p[34:])) / 1000
}

// Fix implements position.Source.
func (s *Source) Fix(now time.Time) position.Fix {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || now.Sub(s.at) > fresh {
		return position.Fix{}
	}
	f := position.Fix{Heading: s.heading}
	if !s.noFix {
		p := s.position
		if p.UncertaintyM = s.accuracy; p.UncertaintyM <= 0 || p.UncertaintyM > 1e7 {
			p.UncertaintyM = s.opts.UncertaintyM
		}
		f.Position = &p
	}
	return f
}

// Close stops listening and waits for the end of it.
func (s *Source) Close() error {
	err := s.port.Close()
	<-s.done
	return err
}

var _ position.Source = (*Source)(nil)
