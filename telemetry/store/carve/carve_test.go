package carve

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// leaf makes a page that holds one row.
func leaf(cell []byte) []byte {
	page := make([]byte, defaultPageSize)
	page[0] = leafTable
	binary.BigEndian.PutUint16(page[3:], 1)
	at := len(page) - len(cell)
	binary.BigEndian.PutUint16(page[8:], uint16(at))
	copy(page[at:], cell)
	return page
}

// FuzzCarve: whatever is left of a file and its log, carving ends, and never panics.
func FuzzCarve(f *testing.F) {
	row := []byte{20, 7, 9, 0, 23, 1, 8, 8, 15, 20, 1, 'a', 'l', 'e', 'r', 't', 5, 't', 1, 2, 3, 4, 9, 9}
	frame := append(make([]byte, walHeader+walFrame), leaf(row)...)
	binary.BigEndian.PutUint32(frame[walHeader:], 1)
	binary.BigEndian.PutUint32(frame[walHeader+4:], 1)
	f.Add(append(make([]byte, defaultPageSize), leaf(row)...), frame)
	f.Add(append(make([]byte, defaultPageSize), leaf([]byte{0xff, 0xff, 0x7f, 1, 3, 0, 0})...), []byte{})
	f.Add(append(make([]byte, defaultPageSize), leaf([]byte{3, 1, 0, 0, 0})...), []byte{1})
	f.Fuzz(func(t *testing.T, main, wal []byte) {
		path := filepath.Join(t.TempDir(), "x.db")
		if os.WriteFile(path, main, 0o600) != nil || os.WriteFile(path+"-wal", wal, 0o600) != nil {
			t.Skip("no room for the files")
		}
		c, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Each(func(at Cell, id int64, columns []any) {
			again, _, err := c.At(at)
			if err != nil || again != id {
				t.Errorf("row %d at %+v: got %d, %v the second time", id, at, again, err)
			}
		})
	})
}
