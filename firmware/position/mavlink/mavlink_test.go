package mavlink

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame builds a frame; version 2 cuts zeros at the end, as senders must.
func frame(version, system byte, id uint32, payload []byte) []byte {
	var b []byte
	if version == 2 {
		for len(payload) > 1 && payload[len(payload)-1] == 0 {
			payload = payload[:len(payload)-1]
		}
		b = []byte{magic2, byte(len(payload)), 0, 0, 7, system, 1, byte(id), byte(id >> 8), byte(id >> 16)}
	} else {
		b = []byte{magic1, byte(len(payload)), 7, system, 1, byte(id)}
	}
	b = append(b, payload...)
	extra, _ := extraOf(id)
	return binary.LittleEndian.AppendUint16(b, checksum(b[1:], extra))
}

func positionPayload(lat, lon, altM float64, heading uint16) []byte {
	p := make([]byte, 28)
	binary.LittleEndian.PutUint32(p[4:], uint32(int32(lat*1e7)))
	binary.LittleEndian.PutUint32(p[8:], uint32(int32(lon*1e7)))
	binary.LittleEndian.PutUint32(p[12:], uint32(int32(altM*1000)))
	binary.LittleEndian.PutUint16(p[26:], heading)
	return p
}

func gpsPayload(fix byte, accuracyMM uint32) []byte {
	p := make([]byte, 52)
	p[28] = fix
	binary.LittleEndian.PutUint32(p[34:], accuracyMM)
	return p
}

// The checksum against the value that the literature gives for this CRC.
func TestChecksum(t *testing.T) {
	crc := uint16(0xffff)
	for _, c := range []byte("123456789") {
		crc = accumulate(crc, c)
	}
	if crc != 0x6f91 { // check value of CRC-16/MCRF4XX
		t.Errorf("got %04x, want 6f91", crc)
	}
}

func TestMessagesAreFoundInNoise(t *testing.T) {
	good := frame(2, 1, globalPosition, positionPayload(46.5, 7.25, 900, 9000))
	damaged := slices.Clone(good)
	damaged[15] ^= 1
	unknown := []byte{magic2, 3, 0, 0, 1, 1, 1, 0, 0, 0, 1, 2, 3, 4, 5}
	b := slices.Concat([]byte("noise"), damaged, unknown, good, frame(1, 1, globalPosition, positionPayload(1, 2, 3, 4)),
		good[:9])
	var found []uint32
	for {
		m, rest, ok := next(b)
		if b = rest; !ok {
			break
		}
		found = append(found, m.id)
	}
	if len(found) != 2 || len(b) != 9 {
		t.Errorf("got %v and %d bytes left, want two messages and the beginning of a third", found, len(b))
	}
}

func TestPositionFromAFlightController(t *testing.T) {
	s, err := Open(Options{Address: "udp://127.0.0.1:0", UncertaintyM: 12, MountDeg: 90})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if f := s.Fix(time.Now()); f.Position != nil || f.Heading != nil {
		t.Errorf("got %+v before anything was heard", f)
	}
	conn, err := net.Dial("udp", s.port.(*net.UDPConn).LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(b []byte) {
		t.Helper()
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		deadline := time.After(30 * time.Second)
		for !ok() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s: not in time", what)
			}
		}
	}
	send(frame(2, 1, globalPosition, positionPayload(46.5, 7.25, 900, 35000)))
	until("a position", func() bool { return s.Fix(time.Now()).Position != nil })
	f := s.Fix(time.Now())
	if p := f.Position; p.Lat != 46.5 || p.Lon != 7.25 || p.AltM != 900 || p.UncertaintyM != 12 || *f.Heading != 80 {
		t.Errorf("got %+v, heading %v", *p, *f.Heading)
	}
	send(frame(2, 1, gpsRaw, gpsPayload(3, 2500)))
	until("the accuracy", func() bool { f := s.Fix(time.Now()); return f.Position != nil && f.Position.UncertaintyM == 5 })
	send(frame(2, 9, globalPosition, positionPayload(1, 1, 1, 0))) // of another system
	send(frame(1, 1, gpsRaw, gpsPayload(0, 0)[:30]))
	until("the loss of the fix", func() bool { f := s.Fix(time.Now()); return f.Position == nil && f.Heading != nil })
	if f := s.Fix(time.Now().Add(fresh + time.Second)); f.Position != nil || f.Heading != nil {
		t.Errorf("got %+v long after the last word", f)
	}
}

func TestImplausiblePositionsDoNotCount(t *testing.T) {
	var s Source
	for _, p := range [][]byte{positionPayload(0, 0, 0, 0), positionPayload(91, 0, 0, 0), positionPayload(0, -181, 0, 0)} {
		s.takePosition(p, time.Now())
	}
	if f := s.Fix(time.Now()); f.Position != nil {
		t.Errorf("got %+v", *f.Position)
	}
	s.takePosition(positionPayload(46, 7, 1, 65535), time.Now())
	if f := s.Fix(time.Now()); f.Position == nil || f.Heading != nil {
		t.Errorf("got %+v, want a position without a heading", f)
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"udp://:14550": true, "udp://127.0.0.1:14550": true, "serial:///dev/ttyTHS1:57600": true,
		"serial:///dev/serial/by-id/x:921600": true,
		"":                                    false, "udp://host": false, "tcp://:1": false, "serial:///dev/ttyTHS1": false,
		"serial:///dev/ttyTHS1:1234": false, "serial://:57600": false, "\x7f": false,
	} {
		if err := Validate(address); (err == nil) != ok {
			t.Errorf("%q: got %v, want valid %v", address, err, ok)
		}
	}
	if _, err := Open(Options{Address: "serial:///dev/null:57600"}); err == nil {
		t.Error("a file that is no serial line was opened")
	}
}

// FuzzNext: no bytes can make the parser fail, loop or read what is not there.
func FuzzNext(f *testing.F) {
	f.Add(frame(2, 1, globalPosition, positionPayload(46.5, 7.25, 900, 9000)))
	f.Add(frame(1, 1, gpsRaw, gpsPayload(3, 100)[:30]))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Source
		for {
			m, rest, ok := next(b)
			if len(rest) > len(b) || ok && len(rest) == len(b) {
				t.Fatalf("got %d bytes left of %d", len(rest), len(b))
			}
			if b = rest; !ok {
				return
			}
			s.take(&m, time.Now())
		}
	})
}
