// Package carve reads rows out of the pages of a SQLite file and of its write-ahead log
// without the help of SQLite, which gives up a table when one page above its rows is broken,
// and a file whose first page is. The format is that of https://sqlite.org/fileformat2.html; a
// page that the log holds is taken from there. What a row means, and whether it is intact, the
// caller has to tell. Nothing is written.
package carve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
)

// File is a database with its log.
type File struct {
	main, wal *os.File         // wal is nil when there is none
	pageSize  int              // bytes
	pages     uint32           // of the main file; numbers run from 1
	inWAL     map[uint32]int64 // offset of the newest committed copy of a page
}

const (
	magic           = "SQLite format 3\x00" // begins a file
	defaultPageSize = 4096                  // bytes; of every file that this package made
	walHeader       = 32                    // bytes
	walFrame        = 24                    // bytes before each page
	leafTable       = 0x0d                  // kind of a page that holds rows
	maxCarved       = 64 << 20
)

var errCarve = errors.New("not a row")

// Open opens the file at path and its log. Close ends it.
func Open(path string) (*File, error) {
	main, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600) // it may be gone, with a log that is not
	if err != nil {
		return nil, err
	}
	c := &File{main: main, pageSize: defaultPageSize, inWAL: make(map[uint32]int64)}
	head := make([]byte, 18)
	if _, err := main.ReadAt(head, 0); err == nil && string(head[:len(magic)]) == magic {
		if n := int(binary.BigEndian.Uint16(head[16:])); n >= 512 && n&(n-1) == 0 {
			c.pageSize = n
		}
	}
	info, err := main.Stat()
	if err != nil {
		c.Close()
		return nil, err
	}
	c.pages = uint32(min((info.Size()+int64(c.pageSize)-1)/int64(c.pageSize), math.MaxUint32-1))
	if c.wal, err = os.Open(path + "-wal"); err == nil {
		c.readWAL()
	}
	return c, nil
}

// Close closes the files, which are as they were.
func (c *File) Close() {
	_ = c.main.Close() // only read
	if c.wal != nil {
		_ = c.wal.Close()
	}
}

// readWAL finds the pages of the log. Frames of an earlier use of the log bear other salts;
// those after the last commit never counted. A damaged frame does not end the log here, as
// it does for SQLite: what comes after was committed too.
func (c *File) readWAL() {
	var salts []byte
	waiting := make(map[uint32]int64)
	frame := make([]byte, walFrame)
	for at := int64(walHeader); ; at += int64(walFrame + c.pageSize) {
		if _, err := c.wal.ReadAt(frame, at); err != nil {
			return
		}
		if salts == nil {
			salts = append(salts, frame[8:16]...)
		}
		if string(frame[8:16]) != string(salts) {
			continue
		}
		waiting[binary.BigEndian.Uint32(frame)] = at + walFrame
		if size := binary.BigEndian.Uint32(frame[4:]); size > 0 { // a commit
			for number, offset := range waiting {
				c.inWAL[number] = offset
			}
			clear(waiting)
		}
	}
}

// page reads a page into buf. Beyond the end of the file it is short, and zero.
func (c *File) page(number uint32, buf []byte) error {
	clear(buf)
	from, at := c.main, int64(number-1)*int64(c.pageSize)
	if offset, ok := c.inWAL[number]; ok {
		from, at = c.wal, offset
	}
	if _, err := from.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Cell is the place of a row.
type Cell struct {
	page  uint32
	index uint16
}

// numbers yields the numbers of the pages of the file, and of those that only its log has.
func (c *File) numbers() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for n := uint32(1); n <= c.pages; n++ {
			if !yield(n) {
				return
			}
		}
		for _, n := range slices.Sorted(maps.Keys(c.inWAL)) {
			if n > c.pages && !yield(n) {
				return
			}
		}
	}
}

// has tells whether there is a page of that number.
func (c *File) has(number uint32) bool {
	_, logged := c.inWAL[number]
	return logged || number > 0 && number <= c.pages
}

// Each calls f with every row of every table, in the order of the pages. Rows that cannot be
// put together are left out. Columns are nil, int64, float64, string or []byte.
func (c *File) Each(f func(at Cell, rowID int64, columns []any)) {
	buf := make([]byte, c.pageSize)
	for number := range c.numbers() {
		if c.page(number, buf) != nil {
			continue
		}
		start := 0
		if number == 1 {
			start = 100 // the header of the file
		}
		if buf[start] != leafTable {
			continue
		}
		count := min(int(binary.BigEndian.Uint16(buf[start+3:])), (c.pageSize-start-8)/2)
		for i := range count {
			offset := int(binary.BigEndian.Uint16(buf[start+8+2*i:]))
			if rowID, columns, err := c.row(buf, offset); err == nil {
				f(Cell{number, uint16(i)}, rowID, columns)
			}
		}
	}
}

// At reads the row at a place that Each gave.
func (c *File) At(p Cell) (rowID int64, columns []any, err error) {
	buf := make([]byte, c.pageSize)
	if err := c.page(p.page, buf); err != nil {
		return 0, nil, err
	}
	start := 8 + 2*int(p.index)
	if p.page == 1 {
		start += 100
	}
	return c.row(buf, int(binary.BigEndian.Uint16(buf[start:])))
}

// row decodes the cell at offset of a page.
func (c *File) row(page []byte, offset int) (rowID int64, columns []any, err error) {
	if offset >= len(page) {
		return 0, nil, errCarve
	}
	size, rest, ok := varint(page[offset:])
	id, rest, ok2 := varint(rest)
	if !ok || !ok2 || size == 0 || size > min(maxCarved, uint64(c.pageSize)*uint64(int(c.pages)+len(c.inWAL))) {
		return 0, nil, errCarve
	}
	payload, err := c.payload(rest, int(size))
	if err != nil {
		return 0, nil, err
	}
	columns, err = record(payload)
	return int64(id), columns, err
}

// payload joins the part of a row that is in its page with the parts in overflow pages.
func (c *File) payload(local []byte, size int) ([]byte, error) {
	most := c.pageSize - 35
	inPage := size
	if size > most {
		least := (c.pageSize-12)*32/255 - 23
		if inPage = least + (size-least)%(c.pageSize-4); inPage > most {
			inPage = least
		}
	}
	if inPage > len(local) {
		return nil, errCarve
	}
	out := append(make([]byte, 0, min(size, 1<<20)), local[:inPage]...)
	if inPage == size {
		return out, nil
	}
	if len(local) < inPage+4 {
		return nil, errCarve
	}
	next := binary.BigEndian.Uint32(local[inPage:])
	buf, seen := make([]byte, c.pageSize), make(map[uint32]bool)
	for len(out) < size {
		if !c.has(next) || seen[next] {
			return nil, errCarve
		}
		seen[next] = true
		if err := c.page(next, buf); err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(buf)
		out = append(out, buf[4:4+min(size-len(out), len(buf)-4)]...)
	}
	return out, nil
}

// varint reads an integer of one to nine bytes.
func varint(b []byte) (v uint64, rest []byte, ok bool) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | uint64(b[i]), b[9:], true
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, b[i+1:], true
		}
	}
	return 0, nil, false
}

// record decodes the columns of a row into nil, int64, float64, string and []byte.
func record(b []byte) (columns []any, err error) {
	headerSize, kinds, ok := varint(b)
	start := uint64(len(b) - len(kinds)) // of the kinds, after the size
	if !ok || headerSize > uint64(len(b)) || headerSize < start {
		return nil, errCarve
	}
	body := b[headerSize:]
	kinds = b[start:headerSize]
	for len(kinds) > 0 {
		var kind uint64
		if kind, kinds, ok = varint(kinds); !ok {
			return nil, errCarve
		}
		value, n, err := column(kind, body)
		if err != nil {
			return nil, err
		}
		columns, body = append(columns, value), body[n:]
	}
	return columns, nil
}

// column decodes one value of a serial type and returns how many bytes it took.
func column(kind uint64, b []byte) (value any, n int, err error) {
	sizes := [10]int{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}
	switch {
	case kind >= 12:
		n = int(min((kind-12)/2, maxCarved))
	case kind < 10:
		n = sizes[kind]
	default:
		return nil, 0, errCarve
	}
	if n > len(b) {
		return nil, 0, fmt.Errorf("%w: column of %d bytes", errCarve, n)
	}
	switch {
	case kind == 0:
		return nil, 0, nil
	case kind == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), n, nil
	case kind >= 12 && kind%2 == 1:
		return string(b[:n]), n, nil
	case kind >= 12:
		return b[:n:n], n, nil
	}
	return integer(kind, b[:n]), n, nil
}

// integer decodes a big-endian two's complement number; the kinds 8 and 9 are 0 and 1.
func integer(kind uint64, b []byte) int64 {
	if len(b) == 0 {
		return int64(kind) - 8
	}
	v := int64(int8(b[0]))
	for _, next := range b[1:] {
		v = v<<8 | int64(next)
	}
	return v
}
