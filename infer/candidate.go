package infer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"
)

// WithFile returns a copy of m with v as its only variant and data as that
// variant's file, so that a file no manifest names can be judged under the
// labels and preprocessing of m. Checksum and size of v are filled in; v.File
// is a name for messages. The copy stands alone: it has no gate, localiser,
// vote, mix or segmenter. data must not change afterwards. A file that does
// not fit the declared tensors is ErrTensor, ErrShape, ErrDType or ErrModel.
func (m *Model) WithFile(v Variant, data []byte) (*Model, error) {
	sum := sha256.Sum256(data)
	v.SHA256, v.Bytes = hex.EncodeToString(sum[:]), int64(len(data))
	c := &Model{Manifest: m.Manifest, file: m.file}
	c.fsys = oneFile{path.Join(path.Dir(m.file), v.File), data}
	c.Variants = []Variant{v}
	c.Gate, c.Localiser, c.Vote, c.Mix, c.Segmenter = nil, nil, nil, nil, nil
	if _, err := c.Bytes(v); err != nil {
		return nil, fmt.Errorf("take %s for model %s: %w", v.File, m.Name, err)
	}
	return c, nil
}

// oneFile is a file system of one file.
type oneFile struct {
	name string
	data []byte
}

// Open implements fs.FS.
func (o oneFile) Open(name string) (fs.File, error) {
	if name != o.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{oneFile: o, Reader: bytes.NewReader(o.data)}, nil
}

// openFile is the open file and its own description.
type openFile struct {
	oneFile
	*bytes.Reader
}

var _ io.Reader = (*openFile)(nil)

func (f *openFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *openFile) Close() error               { return nil }
func (f *openFile) Name() string               { return path.Base(f.name) }
func (f *openFile) Size() int64                { return int64(len(f.data)) }
func (f *openFile) Mode() fs.FileMode          { return 0o444 }
func (f *openFile) ModTime() time.Time         { return time.Time{} }
func (f *openFile) IsDir() bool                { return false }
func (f *openFile) Sys() any                   { return nil }
