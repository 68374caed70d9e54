package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"emberwing/quant/onnx/onnxpb"
)

// Model is an ONNX model: the bytes of its file and their typed form. It is
// not changed after it was made, and may be shared between goroutines.
type Model struct {
	raw   []byte
	pb    *onnxpb.ModelProto
	graph *Graph
}

// Opset is a set of operators that a model uses.
type Opset struct {
	Domain  string // "" is the standard domain
	Version int64
}

// Info is what a model says about itself.
type Info struct {
	IRVersion       int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	Domain          string
	Version         int64
	Doc             string
	Metadata        []Property // in file order
}

// Property is one key and value of the metadata.
type Property struct{ Key, Value string }

// Parse decodes and checks a model. It keeps b, which the caller must not
// change afterwards. Errors wrap ErrTruncated, ErrSyntax, ErrLimit, or, for a
// graph that is not sound, what [Graph.Check] returns.
func Parse(b []byte, limits Limits) (*Model, error) {
	limits = limits.orDefault()
	if int64(len(b)) > limits.FileBytes {
		return nil, fmt.Errorf("parse model: %w", tooLarge("size in bytes", int64(len(b)), limits.FileBytes))
	}
	if err := scan(b, limits); err != nil {
		return nil, fmt.Errorf("parse model: %w", err)
	}
	pb := new(onnxpb.ModelProto)
	if err := (proto.UnmarshalOptions{RecursionLimit: limits.Depth + 1}).Unmarshal(b, pb); err != nil {
		return nil, fmt.Errorf("parse model: %w: %w", ErrSyntax, err)
	}
	return newModel(b, pb)
}

// FromProto makes a model of a message, which it takes over, and checks it.
// The encoding is deterministic: fields in the order of their numbers,
// unknown fields kept at the end of their message.
func FromProto(pb *onnxpb.ModelProto) (*Model, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(pb)
	if err != nil {
		return nil, fmt.Errorf("encode model: %w", err)
	}
	return newModel(b, pb)
}

// newModel checks the parts that every model has, and the graph.
func newModel(raw []byte, pb *onnxpb.ModelProto) (*Model, error) {
	switch {
	case len(raw) == 0:
		return nil, fmt.Errorf("parse model: %w: it is empty", ErrTruncated)
	case pb.GetIrVersion() <= 0:
		return nil, fmt.Errorf("parse model: %w: ir_version is %d", ErrSyntax, pb.GetIrVersion())
	case pb.Graph == nil:
		return nil, fmt.Errorf("parse model: %w: it has no graph", ErrTruncated)
	case len(pb.OpsetImport) == 0 && pb.GetIrVersion() >= 3:
		return nil, fmt.Errorf("parse model: %w: it names no operator set", ErrTruncated)
	}
	m := &Model{raw: raw, pb: pb, graph: newGraph(pb.Graph)}
	if err := errors.Join(m.graph.Check(), checkFunctions(pb.Functions)); err != nil {
		return nil, fmt.Errorf("check graph %q: %w", m.graph.Name(), err)
	}
	return m, nil
}

// Read decodes a model from a stream. It reads at most limits.FileBytes.
func Read(r io.Reader, limits Limits) (*Model, error) {
	limits = limits.orDefault()
	b, err := io.ReadAll(io.LimitReader(r, limits.FileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return Parse(b, limits)
}

// ReadFile decodes the model in a file.
func ReadFile(path string, limits Limits) (*Model, error) {
	limits = limits.orDefault()
	b, err := readSized(path, limits.FileBytes)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	m, err := Parse(b, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// readSized reads a regular file of at most limit bytes into one buffer of
// its size.
func readSized(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, tooLarge("size in bytes", st.Size(), limit)
	}
	b := bytes.NewBuffer(make([]byte, 0, st.Size()+bytes.MinRead))
	_, err = b.ReadFrom(io.LimitReader(f, limit+1))
	return b.Bytes(), err
}

// Info returns what the model says about itself.
func (m *Model) Info() Info {
	info := Info{
		IRVersion: m.pb.GetIrVersion(), Producer: m.pb.GetProducerName(), ProducerVersion: m.pb.GetProducerVersion(),
		Domain: m.pb.GetDomain(), Version: m.pb.GetModelVersion(), Doc: m.pb.GetDocString(),
	}
	for _, o := range m.pb.OpsetImport {
		info.Opsets = append(info.Opsets, Opset{o.GetDomain(), o.GetVersion()})
	}
	for _, p := range m.pb.MetadataProps {
		info.Metadata = append(info.Metadata, Property{p.GetKey(), p.GetValue()})
	}
	return info
}

// Opset returns the version of the operator set of a domain that the model
// imports, and whether it imports one. "ai.onnx" means the same as "".
func (m *Model) Opset(domain string) (int64, bool) {
	for _, o := range m.pb.OpsetImport {
		if standard(o.GetDomain()) == standard(domain) {
			return o.GetVersion(), true
		}
	}
	return 0, false
}

// standard maps the two names of the standard domain to one.
func standard(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

// Graph returns the main graph.
func (m *Model) Graph() *Graph { return m.graph }

// CloneProto returns a deep copy of the message, to be changed and given to
// [FromProto].
func (m *Model) CloneProto() *onnxpb.ModelProto { return proto.Clone(m.pb).(*onnxpb.ModelProto) }

// Bytes returns the file's content: that which was read, byte for byte, or
// what [FromProto] encoded. The caller must not change it.
func (m *Model) Bytes() []byte { return m.raw }

// WriteTo writes the file's content; it implements [io.WriterTo].
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.raw)
	if err != nil {
		return int64(n), fmt.Errorf("write model: %w", err)
	}
	return int64(n), nil
}

// WriteFile writes the file so that path holds the old content or the whole
// new one, never a part, whatever happens meanwhile.
func (m *Model) WriteFile(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".onnx-*")
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write model %s: %w", path, err)
		}
	}()
	if _, err = f.Write(m.raw); err != nil {
		return err
	}
	if err = errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
