// Package pmtiles reads map tiles out of one PMTiles file, version 3, as protomaps.com
// specifies it: a header, directories of tile numbers along a Hilbert curve, and tiles.
//
// Directories may be plain or gzip. Tiles may be vector tiles, PNG, JPEG, WebP or AVIF and
// are passed on as they are, so only their compression must be one that browsers undo.
package pmtiles

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Limits that keep a broken or hostile file from taking all memory.
const (
	maxDirectory = 4 << 20 // bytes, unpacked
	maxTile      = 4 << 20 // bytes, as stored
	maxMetadata  = 4 << 20 // bytes, unpacked
	maxDepth     = 4       // directories on the way to a tile
	maxZoom      = 26
	cached       = 32 // leaf directories
)

// ErrFormat is wrapped by every error about what a file holds.
var ErrFormat = errors.New("not a PMTiles 3 file that can be read")

// Compression of directories or tiles.
type Compression byte

// The compressions that are understood.
const (
	Plain Compression = 1
	Gzip  Compression = 2
)

// types of tiles by their number in the header.
func contentType(tile byte) string {
	types := [...]string{1: "application/vnd.mapbox-vector-tile", 2: "image/png", 3: "image/jpeg", 4: "image/webp", 5: "image/avif"}
	if int(tile) >= len(types) {
		return ""
	}
	return types[tile]
}

// Header says what is in a file.
type Header struct {
	Type             string // content type of the tiles
	TileCompression  Compression
	MinZoom, MaxZoom int

	internal             Compression
	root, metadata, leaf section
	tiles                section
}

// section is a part of the file, bytes.
type section struct{ offset, length uint64 }

// File is an open file. Its methods may be used by several goroutines.
type File struct {
	Header
	Attribution string // plain text

	from  io.ReaderAt
	close func() error
	root  []entry

	mu     sync.Mutex
	leaves map[uint64][]entry // by offset
}

// Open opens a file on disk.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := New(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open map %s: %w", path, err)
	}
	m.close = f.Close
	return m, nil
}

// Close closes the file.
func (f *File) Close() error { return f.close() }

// New reads the header and the root directory.
func New(from io.ReaderAt) (*File, error) {
	f := &File{from: from, leaves: make(map[uint64][]entry), close: func() error { return nil }}
	var head [127]byte
	if _, err := from.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if err := f.Header.parse(head[:]); err != nil {
		return nil, err
	}
	root, err := f.directory(f.Header.root)
	if err != nil {
		return nil, err
	}
	f.root = root
	f.Attribution, err = f.attribution()
	return f, err
}

func (h *Header) parse(b []byte) error {
	if string(b[:7]) != "PMTiles" || b[7] != 3 {
		return fmt.Errorf("%w: begins with %q", ErrFormat, b[:8])
	}
	at := func(offset int) section {
		return section{binary.LittleEndian.Uint64(b[offset:]), binary.LittleEndian.Uint64(b[offset+8:])}
	}
	h.root, h.metadata, h.leaf, h.tiles = at(8), at(24), at(40), at(56)
	h.internal, h.TileCompression = Compression(b[97]), Compression(b[98])
	h.Type, h.MinZoom, h.MaxZoom = contentType(b[99]), int(b[100]), int(b[101])
	switch {
	case h.internal != Plain && h.internal != Gzip:
		return fmt.Errorf("%w: directories have compression %d, want none or gzip", ErrFormat, h.internal)
	case h.TileCompression != Plain && h.TileCompression != Gzip:
		return fmt.Errorf("%w: tiles have compression %d, want none or gzip", ErrFormat, h.TileCompression)
	case h.Type == "":
		return fmt.Errorf("%w: tiles are of unknown type %d", ErrFormat, b[99])
	case h.MinZoom > h.MaxZoom || h.MaxZoom > maxZoom:
		return fmt.Errorf("%w: zoom %d to %d", ErrFormat, h.MinZoom, h.MaxZoom)
	}
	return nil
}

// Vector tells whether the tiles are vector tiles.
func (h *Header) Vector() bool { return strings.HasSuffix(h.Type, "vector-tile") }

// Tile returns a tile as it is stored, or an error that wraps fs.ErrNotExist.
func (f *File) Tile(z, x, y int) ([]byte, error) {
	if z < f.MinZoom || z > f.MaxZoom || x < 0 || y < 0 || x >= 1<<z || y >= 1<<z {
		return nil, fs.ErrNotExist
	}
	id := tileID(z, uint64(x), uint64(y))
	entries := f.root
	for range maxDepth {
		e, ok := find(entries, id)
		if !ok {
			return nil, fs.ErrNotExist
		}
		if e.run > 0 {
			return f.read(f.tiles, section{e.offset, e.length}, maxTile)
		}
		var err error
		if entries, err = f.leafAt(e); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: directories are nested too deep", ErrFormat)
}

// leafAt reads a leaf directory, or remembers it.
func (f *File) leafAt(e entry) ([]entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.leaves[e.offset]; ok {
		return known, nil
	}
	if e.offset > f.leaf.length || e.length > f.leaf.length-e.offset {
		return nil, fmt.Errorf("%w: a directory lies outside its section", ErrFormat)
	}
	entries, err := f.directory(section{f.leaf.offset + e.offset, e.length})
	if err != nil {
		return nil, err
	}
	if len(f.leaves) >= cached {
		clear(f.leaves)
	}
	f.leaves[e.offset] = entries
	return entries, nil
}

// read returns a part of a section.
func (f *File) read(in, part section, limit uint64) ([]byte, error) {
	if part.length > limit || part.offset > in.length || part.length > in.length-part.offset {
		return nil, fmt.Errorf("%w: %d bytes at %d of %d", ErrFormat, part.length, part.offset, in.length)
	}
	b := make([]byte, part.length)
	if _, err := f.from.ReadAt(b, int64(in.offset+part.offset)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return b, nil
}

// unpacked reads a section and undoes its compression.
func (f *File) unpacked(s section, limit uint64) ([]byte, error) {
	b, err := f.read(s, section{0, s.length}, limit)
	if err != nil || f.internal == Plain {
		return b, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil || uint64(len(out)) > limit {
		return nil, fmt.Errorf("%w: unpack: %d bytes or more, %v", ErrFormat, len(out), err)
	}
	return out, nil
}

// attribution returns whom to credit, without markup.
func (f *File) attribution() (string, error) {
	if f.metadata.length == 0 {
		return "", nil
	}
	b, err := f.unpacked(f.metadata, maxMetadata)
	if err != nil {
		return "", err
	}
	var m struct{ Attribution string }
	if err := json.Unmarshal(b, &m); err != nil {
		return "", fmt.Errorf("%w: metadata: %w", ErrFormat, err)
	}
	return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m.Attribution, ""), nil
}

// entry of a directory: run tiles from id on share one body; 0 means a leaf directory.
type entry struct{ id, run, length, offset uint64 }

// find returns the entry that covers id.
func find(entries []entry, id uint64) (entry, bool) {
	i, exact := slices.BinarySearchFunc(entries, id, func(e entry, id uint64) int {
		switch {
		case e.id < id:
			return -1
		case e.id > id:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i < 0 {
		return entry{}, false
	}
	e := entries[i]
	return e, e.run == 0 || id-e.id < e.run
}

// directory reads the entries of a directory.
func (f *File) directory(s section) ([]entry, error) {
	b, err := f.unpacked(s, maxDirectory)
	if err != nil {
		return nil, err
	}
	return parseDirectory(b)
}

func parseDirectory(b []byte) ([]entry, error) {
	d := &numbers{b: b}
	count := d.next()
	if count > uint64(len(b))/4 { // each entry takes four bytes at least
		return nil, fmt.Errorf("%w: directory of %d entries in %d bytes", ErrFormat, count, len(b))
	}
	entries := make([]entry, count)
	var id uint64
	for i := range entries {
		id += d.next()
		entries[i].id = id
	}
	for i := range entries {
		entries[i].run = d.next()
	}
	for i := range entries {
		entries[i].length = d.next()
	}
	for i := range entries {
		switch v := d.next(); {
		case v > 0:
			entries[i].offset = v - 1
		case i > 0:
			entries[i].offset = entries[i-1].offset + entries[i-1].length
		}
	}
	if d.short {
		return nil, fmt.Errorf("%w: directory ends early", ErrFormat)
	}
	return entries, nil
}

// numbers reads variable-length integers one after the other.
type numbers struct {
	b     []byte
	short bool
}

func (n *numbers) next() uint64 {
	v, size := binary.Uvarint(n.b)
	if size <= 0 {
		n.short, n.b = true, nil
		return 0
	}
	n.b = n.b[size:]
	return v
}

// tileID numbers the tiles of all zooms along Hilbert curves.
func tileID(z int, x, y uint64) uint64 {
	id := (uint64(1)<<(2*z) - 1) / 3 // tiles of the zooms before
	for s := uint64(1) << z >> 1; s > 0; s >>= 1 {
		var rx, ry uint64
		if x&s > 0 {
			rx = 1
		}
		if y&s > 0 {
			ry = 1
		}
		id += s * s * ((3 * rx) ^ ry)
		if ry == 0 {
			if rx == 1 {
				x, y = s-1-x&(s-1), s-1-y&(s-1)
			}
			x, y = y, x
		}
	}
	return id
}
