// Package table writes and reads the calibration tables of TensorRT's implicit
// INT8: the flatbuffers table that ONNX Runtime's TensorRT provider reads by
// default, and TensorRT's own text.
//
// Both give each tensor its dynamic range, the largest magnitude that it
// takes; a tensor of mostly negative values has the magnitude of its minimum.
// TensorRT 10.1 deprecates tables and 11 drops them: models for it carry
// Q/DQ pairs instead.
package table

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Table holds the dynamic range of tensors by name: values of -r..r, r > 0.
type Table map[string]float64

// ErrTable means that a file is not a table.
var ErrTable = errors.New("not a calibration table")

// names returns the tensors in order.
func (t Table) names() []string {
	out := make([]string, 0, len(t))
	for name := range t {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// check refuses ranges that TensorRT would take for an error.
func (t Table) check() error {
	for name, r := range t {
		if !(r > 0) || math.IsInf(r, 0) {
			return fmt.Errorf("write table: tensor %q: got range %v, want a finite number above 0", name, r)
		}
	}
	return nil
}

// Colons lists the tensors whose names hold a colon. ONNX Runtime cuts the
// lines of the native text at the first one, so such a tensor gets no range
// there; the flatbuffers table has no such fault. Rename them to use the text.
func (t Table) Colons() []string {
	return slices.DeleteFunc(t.names(), func(s string) bool { return !strings.Contains(s, ":") })
}

// Native encodes TensorRT's text: a header with the version of TensorRT,
// which checks it, then a line "name: hex" for each tensor, the bits of
// float32 range/127. version is as in "8502" for 8.5.2. Names that hold a
// line break are an error.
func (t Table) Native(version string) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if _, err := strconv.ParseUint(version, 10, 32); err != nil {
		return nil, fmt.Errorf("write table: got TensorRT version %q, want digits as in 8502 for 8.5.2", version)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "TRT-%s-EntropyCalibration2\n", version)
	for _, name := range t.names() {
		if strings.ContainsAny(name, "\r\n") {
			return nil, fmt.Errorf("write table: tensor %q: its name holds a line break", name)
		}
		fmt.Fprintf(&b, "%s: %08x\n", name, math.Float32bits(float32(t[name]/127)))
	}
	return b.Bytes(), nil
}

// ParseNative reads TensorRT's text and returns the version in its header. A
// name may hold colons: the last one ends it.
func ParseNative(b []byte) (t Table, version string, err error) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	if !lines.Scan() {
		return nil, "", fmt.Errorf("read table: %w: it is empty", ErrTable)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "TRT-")
	version, _, dashed := strings.Cut(rest, "-")
	if !ok || !dashed {
		return nil, "", fmt.Errorf("read table: %w: got first line %.40q, want TRT-<version>-<calibrator>", ErrTable,
			lines.Text())
	}
	t = Table{}
	for n := 2; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		at := strings.LastIndex(line, ":")
		if at < 0 {
			return nil, "", fmt.Errorf("read table: %w: line %d has no colon", ErrTable, n)
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(line[at+1:]), 16, 32)
		if err != nil {
			return nil, "", fmt.Errorf("read table: %w: line %d: got %q, want eight hexadecimal digits", ErrTable, n,
				line[at+1:])
		}
		t[line[:at]] = float64(math.Float32frombits(uint32(bits))) * 127
	}
	return t, version, lines.Err()
}

// Flatbuffers encodes the table of ONNX Runtime's TensorRT provider:
//
//	table KeyValue { key: string; value: string; }
//	table TrtTable { dict: [KeyValue]; }
//
// with the range as decimal text. Everything is laid out front to back, each
// part aligned to four bytes, offsets pointing forward as the format asks.
func (t Table) Flatbuffers() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	names := t.names()
	// root offset, vtable of TrtTable, TrtTable, vector of offsets
	const root, vector = 12, 20
	b := make([]byte, vector+4+4*len(names))
	put32(b, 0, root)
	put16(b, 4, 6)         // the vtable has 6 bytes
	put16(b, 6, 8)         // the table 8
	put16(b, 8, 4)         // dict is at 4
	put32(b, root, root-4) // back to the vtable
	put32(b, root+4, vector-(root+4))
	put32(b, vector, uint32(len(names)))
	vtable := uint32(len(b))
	b = append(b, 8, 0, 12, 0, 4, 0, 8, 0) // of KeyValue: 12 bytes, key at 4, value at 8
	for i, name := range names {
		at := len(b)
		put32(b, vector+4+4*i, uint32(at-(vector+4+4*i)))
		b = append(b, make([]byte, 12)...)
		put32(b, at, uint32(at)-vtable)
		put32(b, at+4, uint32(len(b)-(at+4)))
		b = text(b, name)
		put32(b, at+8, uint32(len(b)-(at+8)))
		b = text(b, strconv.FormatFloat(t[name], 'f', -1, 32))
	}
	return b, nil
}

func put16(b []byte, at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

// text appends a string: its length, its bytes, a zero, and padding.
func text(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	b = append(append(b, s...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// ParseFlatbuffers reads a table of ONNX Runtime's TensorRT provider.
func ParseFlatbuffers(b []byte) (Table, error) {
	r := reader{b: b}
	root := r.follow(0)
	dict := r.field(root, 4)
	count := r.u32(dict)
	if r.bad || count > uint32(len(b)/4) {
		return nil, fmt.Errorf("read table: %w: offsets lead outside the file", ErrTable)
	}
	t := make(Table, count)
	for i := range int(count) {
		entry := r.follow(dict + 4 + 4*i)
		key, value := r.text(r.field(entry, 4)), r.text(r.field(entry, 6))
		v, err := strconv.ParseFloat(value, 64)
		if r.bad || err != nil {
			return nil, fmt.Errorf("read table: %w: entry %d of %d cannot be read", ErrTable, i, count)
		}
		t[key] = v
	}
	return t, nil
}

// reader follows offsets and remembers whether one was bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) u32(at int) uint32 {
	if at < 0 || at+4 > len(r.b) {
		r.bad = true
		return 0
	}
	return binary.LittleEndian.Uint32(r.b[at:])
}

func (r *reader) u16(at int) int {
	if at < 0 || at+2 > len(r.b) {
		r.bad = true
		return 0
	}
	return int(binary.LittleEndian.Uint16(r.b[at:]))
}

// follow returns where the offset at a position leads.
func (r *reader) follow(at int) int { return at + int(r.u32(at)) }

// field returns where the field of a table with the given place in its vtable
// is stored.
func (r *reader) field(table, place int) int {
	vtable := table - int(int32(r.u32(table)))
	if place >= r.u16(vtable) || r.u16(vtable+place) == 0 {
		r.bad = true
		return 0
	}
	return r.follow(table + r.u16(vtable+place))
}

// text reads a string.
func (r *reader) text(at int) string {
	n := int(r.u32(at))
	if at < 0 || n < 0 || at+4+n > len(r.b) {
		r.bad = true
		return ""
	}
	return string(r.b[at+4 : at+4+n])
}
