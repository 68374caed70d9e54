package onnx

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"emberwing/quant/onnx/onnxpb"
)

// Embed returns the model with every tensor whose data lies in another file
// read into it, or m itself where none does. Files are looked for in dir, the
// folder of the model, and never outside it. All together may have at most
// limits.FileBytes. Errors wrap ErrExternalData, ErrShape or ErrLimit.
func (m *Model) Embed(dir string, limits Limits) (*Model, error) {
	if !anyExternal(m.pb.Graph) {
		return m, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read tensor data: %w", err)
	}
	defer root.Close()
	e := embedder{root: root, left: limits.orDefault().FileBytes}
	pb := m.CloneProto()
	if err := eachTensor(pb.Graph, e.embed); err != nil {
		return nil, fmt.Errorf("read tensor data: %w", err)
	}
	return FromProto(pb)
}

// anyExternal says whether a tensor of a graph lies in another file.
func anyExternal(pb *onnxpb.GraphProto) bool {
	found := false
	_ = eachTensor(pb, func(t *onnxpb.TensorProto) error { // returns none
		found = found || TensorOf(t).External()
		return nil
	})
	return found
}

// eachTensor calls f for the initializers of a graph and the tensors among the
// attributes of its nodes, subgraphs included, until one fails.
func eachTensor(pb *onnxpb.GraphProto, f func(*onnxpb.TensorProto) error) error {
	for _, t := range pb.GetInitializer() {
		if err := f(t); err != nil {
			return err
		}
	}
	for _, n := range pb.GetNode() {
		for _, a := range n.Attribute {
			if a.T == nil {
				continue
			}
			if err := f(a.T); err != nil {
				return err
			}
		}
		for _, sub := range subgraphs(n) {
			if err := eachTensor(sub, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// embedder reads tensors from the files of one folder.
type embedder struct {
	root *os.Root
	left int64 // bytes that may still be read
}

// embed reads the data of one tensor.
func (e *embedder) embed(t *onnxpb.TensorProto) error {
	if !TensorOf(t).External() {
		return nil
	}
	size, err := sizeOf(TensorOf(t))
	if err != nil {
		return err
	}
	if e.left -= size; e.left < 0 {
		return fmt.Errorf("tensor %q: %w: the tensors in other files are too large", t.GetName(), ErrLimit)
	}
	location, offset, err := placeOf(t, size)
	if err == nil {
		t.RawData, err = e.read(location, offset, size)
	}
	if err != nil {
		return fmt.Errorf("tensor %q: %w: %w", t.GetName(), ErrExternalData, err)
	}
	t.DataLocation, t.ExternalData = nil, nil
	return nil
}

// sizeOf returns the bytes of a tensor's data by its type and dimensions.
func sizeOf(t Tensor) (int64, error) {
	n, err := t.Len()
	if err != nil {
		return 0, err
	}
	size := t.Type().Size()
	if size == 0 || n > math.MaxInt64/8/size {
		return 0, t.wrongType("numbers")
	}
	return int64(n) * int64(size), nil
}

// placeOf returns the file that holds size bytes of a tensor, and the byte at
// which they begin.
func placeOf(t *onnxpb.TensorProto, size int64) (location string, offset int64, err error) {
	length := size
	for _, p := range t.ExternalData {
		switch p.GetKey() {
		case "location":
			location = p.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(p.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(p.GetValue(), 10, 64)
		}
		if err != nil {
			return "", 0, err
		}
	}
	if location == "" || offset < 0 || length != size {
		return "", 0, fmt.Errorf("got file %q, offset %d, length %d, want a name, at least 0, and %d",
			location, offset, length, size)
	}
	return location, offset, nil
}

// read returns size bytes of a file. It allocates only what the file has.
func (e *embedder) read(location string, offset, size int64) ([]byte, error) {
	f, err := e.root.Open(location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size()-offset < size {
		return nil, fmt.Errorf("%s: got %d bytes, want %d from byte %d on: %w", location, st.Size(), size, offset,
			io.ErrUnexpectedEOF)
	}
	b := make([]byte, size)
	_, err = f.ReadAt(b, offset)
	return b, err
}
