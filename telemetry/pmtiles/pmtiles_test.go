package pmtiles

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func pack(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func directoryOf(entries ...entry) []byte {
	b := binary.AppendUvarint(nil, uint64(len(entries)))
	var last uint64
	for _, e := range entries {
		b, last = binary.AppendUvarint(b, e.id-last), e.id
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.run)
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.length)
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.offset+1)
	}
	return b
}

// fileOf makes a file of a root directory, one leaf directory and tile data.
func fileOf(t testing.TB, root, leaf, tiles []byte, tileType byte, zooms [2]byte) []byte {
	root, leaf = pack(t, root), pack(t, leaf)
	metadata := pack(t, []byte(`{"attribution":"<a href=\"x\">© Contributors</a>"}`))
	head := make([]byte, 127)
	copy(head, "PMTiles\x03")
	at := uint64(127)
	for i, part := range [][]byte{root, metadata, leaf, tiles} {
		binary.LittleEndian.PutUint64(head[8+16*i:], at)
		binary.LittleEndian.PutUint64(head[16+16*i:], uint64(len(part)))
		at += uint64(len(part))
	}
	head[97], head[98], head[99], head[100], head[101] = byte(Gzip), byte(Plain), tileType, zooms[0], zooms[1]
	return bytes.Join([][]byte{head, root, metadata, leaf, tiles}, nil)
}

func sample(t testing.TB) []byte {
	leaf := directoryOf(entry{5, 4, 3, 1}, entry{12, 1, 2, 4})
	root := directoryOf(entry{0, 1, 1, 0}, entry{5, 0, uint64(len(pack(t, leaf))), 0})
	return fileOf(t, root, leaf, []byte("abcdef"), 2, [2]byte{0, 2})
}

// TestTileID: the first numbers of the curve, as the specification lists them.
func TestTileID(t *testing.T) {
	for id, tile := range [][3]int{{0, 0, 0}, {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}, {2, 0, 0}} {
		if got := tileID(tile[0], uint64(tile[1]), uint64(tile[2])); got != uint64(id) {
			t.Errorf("%v: got %d, want %d", tile, got, id)
		}
	}
	if got := tileID(12, 3423, 1763); got != 19078479 {
		t.Errorf("12/3423/1763: got %d, want 19078479", got)
	}
}

// TestTileIDIsACurve: neighbours on the curve are neighbours on the map, and no number is
// used twice.
func TestTileIDIsACurve(t *testing.T) {
	const z = 5
	places := make(map[uint64][2]int)
	for x := range 1 << z {
		for y := range 1 << z {
			places[tileID(z, uint64(x), uint64(y))] = [2]int{x, y}
		}
	}
	first := tileID(z, 0, 0)
	for id := first + 1; id < first+1<<(2*z); id++ {
		a, b := places[id-1], places[id]
		if dx, dy := a[0]-b[0], a[1]-b[1]; dx*dx+dy*dy != 1 {
			t.Fatalf("%d is at %v, %d at %v", id-1, a, id, b)
		}
	}
}

func TestTiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map.pmtiles")
	if err := os.WriteFile(path, sample(t), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Attribution != "© Contributors" || f.Type != "image/png" || f.Vector() {
		t.Errorf("got %q and %s", f.Attribution, f.Type)
	}
	want := map[string]string{"0/0/0": "a", "2/0/0": "bcd", "2/1/0": "bcd", "2/0/1": "bcd"}
	found := 0
	for z := range 3 {
		for x := range 1 << z {
			for y := range 1 << z {
				name := fmt.Sprintf("%d/%d/%d", z, x, y)
				got, err := f.Tile(z, x, y)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if w, ok := want[name]; ok && string(got) != w {
					t.Errorf("%s: got %q, want %q", name, got, w)
				}
				if err == nil {
					found++
				}
			}
		}
	}
	if found != 6 {
		t.Errorf("got %d tiles, want 6", found)
	}
	for _, bad := range [][3]int{{3, 0, 0}, {1, 2, 0}, {1, 0, -1}, {-1, 0, 0}, {70, 0, 0}} {
		if _, err := f.Tile(bad[0], bad[1], bad[2]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: got %v", bad, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := sample(t)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:100], "magic": change(0, 'Q'), "version": change(7, 2), "internal": change(97, 3),
		"tiles": change(98, 4), "type": change(99, 9), "zoom": change(101, 99), "root": change(15, 0x7f), "cut": good[:130],
	} {
		if _, err := New(bytes.NewReader(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	loop := directoryOf(entry{0, 0, uint64(len(pack(t, nil))), 0})
	loop = directoryOf(entry{0, 0, uint64(len(pack(t, loop))), 0})
	f, err := New(bytes.NewReader(fileOf(t, loop, loop, nil, 1, [2]byte{0, 0})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tile(0, 0, 0); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error about the loop", err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := New(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, at := range [][3]int{{0, 0, 0}, {1, 1, 1}, {2, 0, 1}, {14, 8000, 6000}} {
			_, _ = m.Tile(at[0], at[1], at[2]) // must neither panic nor hang
		}
	})
}
