package mavlink

import (
	"encoding/binary"
	"errors"
)

// Format: https://mavlink.io/en/guide/serialization.html.

// The messages that are read.
const (
	gpsRaw         = 24
	globalPosition = 33
)

// extraOf returns the byte that ties the checksum to the definition of a message.
func extraOf(id uint32) (extra byte, known bool) {
	switch id {
	case gpsRaw:
		return 24, true
	case globalPosition:
		return 104, true
	}
	return 0, false
}

const (
	magic1, header1 = 0xfe, 6
	magic2, header2 = 0xfd, 10
	checksumBytes   = 2
	signatureBytes  = 13
	signedFlag      = 1
	maxFrame        = header2 + 255 + checksumBytes + signatureBytes
	maxPayload      = 255
)

var errMore = errors.New("frame is not complete")

// message is one that is known and whose checksum holds. What a sender has cut off, as
// version 2 does with zeros at the end, is zero.
type message struct {
	id      uint32
	system  byte
	payload [maxPayload]byte
	length  int // as sent
}

// next takes the first message that is known and whole from b and returns what follows it.
// ok is false when there is none; rest may then be the beginning of one.
func next(b []byte) (m message, rest []byte, ok bool) {
	for len(b) > 0 {
		if b[0] != magic1 && b[0] != magic2 {
			b = b[1:]
			continue
		}
		m, size, err := parse(b)
		switch {
		case errors.Is(err, errMore):
			return message{}, b, false
		case err != nil: // noise, a damaged frame or a message that is not read: look behind its first byte
			b = b[1:]
		default:
			return m, b[size:], true
		}
	}
	return message{}, nil, false
}

var (
	errUnknown  = errors.New("message is not read here")
	errChecksum = errors.New("checksum does not hold")
)

// parse reads the frame at the start of b.
func parse(b []byte) (m message, size int, err error) {
	header := header1
	if b[0] == magic2 {
		header = header2
	}
	if len(b) < header {
		return m, 0, errMore
	}
	m.length = int(b[1])
	size = header + m.length + checksumBytes
	if b[0] == magic2 {
		m.id, m.system = uint32(b[7])|uint32(b[8])<<8|uint32(b[9])<<16, b[5]
		if b[2]&signedFlag != 0 {
			size += signatureBytes
		}
	} else {
		m.id, m.system = uint32(b[5]), b[3]
	}
	extra, known := extraOf(m.id)
	if !known {
		return m, 0, errUnknown
	}
	if len(b) < size {
		return m, 0, errMore
	}
	end := header + m.length
	if binary.LittleEndian.Uint16(b[end:]) != checksum(b[1:end], extra) {
		return m, 0, errChecksum
	}
	copy(m.payload[:], b[header:end])
	return m, size, nil
}

// checksum is CRC-16/MCRF4XX over the frame without its first byte, and the extra one.
func checksum(b []byte, extra byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc = accumulate(crc, c)
	}
	return accumulate(crc, extra)
}

func accumulate(crc uint16, c byte) uint16 {
	t := c ^ byte(crc)
	t ^= t << 4
	return crc>>8 ^ uint16(t)<<8 ^ uint16(t)<<3 ^ uint16(t)>>4
}
