package onnx

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"emberwing/quant/onnx/onnxpb"
)

// scanner walks the wire form of a model against its schema and allocates
// next to nothing.
type scanner struct {
	limits Limits
	size   int
	budget int64
	nodes  int
	node   protoreflect.MessageDescriptor
}

// scan checks that b is well-formed and within the limits.
func scan(b []byte, limits Limits) error {
	s := scanner{
		limits: limits, size: len(b), budget: budget(len(b)),
		node: (*onnxpb.NodeProto)(nil).ProtoReflect().Descriptor(),
	}
	return s.message(b, (*onnxpb.ModelProto)(nil).ProtoReflect().Descriptor(), 1, 0)
}

// message walks one message that starts at offset at of the file.
func (s *scanner) message(b []byte, desc protoreflect.MessageDescriptor, depth, at int) error {
	if depth > s.limits.Depth {
		return fmt.Errorf("%w: byte %d: messages nest deeper than %d", ErrLimit, at, s.limits.Depth)
	}
	if desc == s.node {
		if s.nodes++; s.nodes > s.limits.Nodes {
			return tooLarge("number of nodes", int64(s.nodes), int64(s.limits.Nodes))
		}
	}
	if err := s.spend(messageCost); err != nil {
		return err
	}
	fields := desc.Fields()
	for pos := 0; pos < len(b); {
		num, typ, n := protowire.ConsumeTag(b[pos:])
		if n < 0 {
			return s.broken(desc, at+pos, n)
		}
		end, err := s.field(b, pos+n, fields.ByNumber(num), typ, desc, depth, at)
		if err != nil {
			return err
		}
		pos = end
	}
	return nil
}

// field walks the value of one field, which starts at b[pos], and returns
// where it ends. A nil field is one that the schema does not have.
func (s *scanner) field(b []byte, pos int, field protoreflect.FieldDescriptor, typ protowire.Type,
	desc protoreflect.MessageDescriptor, depth, at int) (int, error) {
	if typ != protowire.BytesType {
		return s.scalar(b, pos, field, typ, desc, at)
	}
	content, n := protowire.ConsumeBytes(b[pos:])
	if n < 0 {
		return 0, s.broken(desc, at+pos, n)
	}
	end := pos + n
	start := at + end - len(content)
	switch {
	case field == nil:
		return end, s.spend(int64(len(content)))
	case field.Kind() == protoreflect.MessageKind:
		return end, s.message(content, field.Message(), depth+1, start)
	case field.Kind() == protoreflect.StringKind || field.Kind() == protoreflect.BytesKind:
		return end, s.spend(textCost + int64(len(content)))
	case field.IsList():
		return end, s.spend(elementCost * int64(elements(content, field.Kind())))
	}
	return 0, fmt.Errorf("%w: byte %d: %s has the wrong wire type", ErrSyntax, at+pos, field.FullName())
}

// scalar walks a field that is not length-delimited.
func (s *scanner) scalar(b []byte, pos int, field protoreflect.FieldDescriptor, typ protowire.Type,
	desc protoreflect.MessageDescriptor, at int) (int, error) {
	if typ == protowire.StartGroupType || typ == protowire.EndGroupType {
		return 0, fmt.Errorf("%w: byte %d: group in %s", ErrSyntax, at+pos, desc.FullName())
	}
	n := protowire.ConsumeFieldValue(1, typ, b[pos:])
	if n < 0 {
		return 0, s.broken(desc, at+pos, n)
	}
	if field != nil && !isScalar(field.Kind()) {
		return 0, fmt.Errorf("%w: byte %d: %s has the wrong wire type", ErrSyntax, at+pos, field.FullName())
	}
	cost := int64(elementCost)
	if field != nil && field.IsList() {
		cost = 4 * elementCost // an unpacked list grows by doubling
	}
	return pos + n, s.spend(cost)
}

// isScalar tells numbers from text and messages.
func isScalar(k protoreflect.Kind) bool {
	return k != protoreflect.MessageKind && k != protoreflect.StringKind && k != protoreflect.BytesKind
}

// elements counts the numbers of a packed list.
func elements(b []byte, kind protoreflect.Kind) int {
	switch kind {
	case protoreflect.FloatKind:
		return len(b) / 8 // two to an element of elementCost bytes
	case protoreflect.DoubleKind:
		return len(b) / 8
	}
	n := 0
	for _, c := range b {
		if c < 0x80 { // the last byte of a varint
			n++
		}
	}
	return n
}

// spend takes from the memory budget.
func (s *scanner) spend(cost int64) error {
	if s.budget -= cost; s.budget < 0 {
		return fmt.Errorf("%w: decoding %d bytes would need more than %d bytes of memory",
			ErrLimit, s.size, budget(s.size))
	}
	return nil
}

// broken is the error for bytes that protowire refuses with code n.
func (s *scanner) broken(desc protoreflect.MessageDescriptor, at, n int) error {
	err := protowire.ParseError(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: byte %d of %d: a length in %s reaches beyond the end", ErrTruncated, at, s.size,
			desc.FullName())
	}
	return fmt.Errorf("%w: byte %d: %s: %w", ErrSyntax, at, desc.FullName(), err)
}
