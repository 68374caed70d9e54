package infer

import (
	"encoding/binary"
	"fmt"
)

// Graph is the outside of an ONNX model: versions and tensors, no nodes.
type Graph struct {
	IR       int64    // ONNX IR version
	Opset    int64    // version of the default operator set
	Domains  []string // other operator sets that the model imports, "name version"
	Producer string   // tool that wrote the model
	Inputs   []Tensor
	Outputs  []Tensor
}

// Tensor describes one input or output of a graph.
type Tensor struct {
	Name  string
	DType string  // "float32", or "onnx:N" for TensorProto data type N
	Shape []int64 // -1 where the model leaves a dimension open
}

// String prints "name float32[1 3 224 224]".
func (t Tensor) String() string { return fmt.Sprintf("%s %s%v", t.Name, t.DType, t.Shape) }

// accepts reports whether a tensor of the given shape can be bound to t.
func (t Tensor) accepts(shape []int64) bool {
	if len(t.Shape) != len(shape) {
		return false
	}
	for i, d := range t.Shape {
		if d != shape[i] && d != -1 {
			return false
		}
	}
	return true
}

// ReadGraph reads the outside of a serialised ONNX ModelProto, skipping nodes
// and weights. A message that ends early is ErrTruncated, anything else that
// is not a model is ErrModel.
func ReadGraph(data []byte) (*Graph, error) {
	g := &Graph{}
	hasGraph := false
	err := fields(data, func(f field) error {
		switch f.number {
		case 1:
			g.IR = int64(f.varint)
		case 2:
			g.Producer = string(f.bytes)
		case 7:
			hasGraph = true
			return g.readGraph(f.bytes)
		case 8:
			return g.readOpset(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !hasGraph || len(g.Outputs) == 0 {
		return nil, fmt.Errorf("%w: no graph with an output inside", ErrModel)
	}
	return g, nil
}

func (g *Graph) readOpset(b []byte) error {
	domain, version := "", int64(0)
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			domain = string(f.bytes)
		case 2:
			version = int64(f.varint)
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		g.Opset = version
	} else {
		g.Domains = append(g.Domains, fmt.Sprintf("%s %d", domain, version))
	}
	return err
}

// readGraph reads a GraphProto. Inputs that have an initializer are weights.
func (g *Graph) readGraph(b []byte) error {
	weights := map[string]bool{}
	var inputs []Tensor
	err := fields(b, func(f field) error {
		switch f.number {
		case 5:
			return readName(f.bytes, 8, weights)
		case 11:
			return readTensor(f.bytes, &inputs)
		case 12:
			return readTensor(f.bytes, &g.Outputs)
		}
		return nil
	})
	for _, t := range inputs {
		if !weights[t.Name] {
			g.Inputs = append(g.Inputs, t)
		}
	}
	return err
}

// readName adds the string field number of message b to set.
func readName(b []byte, number uint64, set map[string]bool) error {
	return fields(b, func(f field) error {
		if f.number == number {
			set[string(f.bytes)] = true
		}
		return nil
	})
}

// readTensor reads a ValueInfoProto.
func readTensor(b []byte, dst *[]Tensor) error {
	t := Tensor{DType: "onnx:0"}
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			t.Name = string(f.bytes)
		case 2: // TypeProto
			return fields(f.bytes, func(f field) error {
				if f.number != 1 { // not a dense tensor
					return nil
				}
				return t.readType(f.bytes)
			})
		}
		return nil
	})
	*dst = append(*dst, t)
	return err
}

// readType reads a TypeProto.Tensor.
func (t *Tensor) readType(b []byte) error {
	return fields(b, func(f field) error {
		switch f.number {
		case 1:
			t.DType = fmt.Sprintf("onnx:%d", f.varint)
			if f.varint == 1 {
				t.DType = "float32"
			}
		case 2: // TensorShapeProto, field 1 repeated
			return fields(f.bytes, func(f field) error {
				if f.number != 1 {
					return nil
				}
				return t.readDim(f.bytes)
			})
		}
		return nil
	})
}

func (t *Tensor) readDim(b []byte) error {
	dim := int64(-1)
	err := fields(b, func(f field) error {
		if f.number == 1 {
			dim = int64(f.varint)
		}
		return nil
	})
	t.Shape = append(t.Shape, dim)
	return err
}

// field is one field of a protobuf message: varint for wire type 0, bytes,
// which alias the message, for wire type 2.
type field struct {
	number uint64
	varint uint64
	bytes  []byte
}

// fields calls visit for each field of message b.
func fields(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		f, n, err := nextField(b)
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// nextField decodes the field at the start of b and returns its length.
func nextField(b []byte) (f field, n int, err error) {
	key, n, err := varint(b)
	if err != nil {
		return f, 0, err
	}
	f.number = key >> 3
	if f.number == 0 {
		return f, 0, fmt.Errorf("%w: field number 0", ErrModel)
	}
	var size uint64
	switch key & 7 {
	case 0:
		v, vn, err := varint(b[n:])
		f.varint = v
		return f, n + vn, err
	case 1:
		size = 8
	case 2:
		var vn int
		if size, vn, err = varint(b[n:]); err != nil {
			return f, 0, err
		}
		n += vn
	case 5:
		size = 4
	default:
		return f, 0, fmt.Errorf("%w: protobuf wire type %d", ErrModel, key&7)
	}
	if left := uint64(len(b) - n); size > left {
		return f, 0, fmt.Errorf("%w: field %d ends early: got %d bytes, want %d", ErrTruncated, f.number, left, size)
	}
	f.bytes = b[n : n+int(size)]
	return f, n + int(size), nil
}

func varint(b []byte) (uint64, int, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n > 0:
		return v, n, nil
	case n == 0:
		return 0, 0, fmt.Errorf("%w: ends inside a number", ErrTruncated)
	}
	return 0, 0, fmt.Errorf("%w: number of more than 64 bits", ErrModel)
}
