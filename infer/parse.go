package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// maxManifest bounds the size of a manifest in bytes.
const maxManifest = 1 << 20

// ParseManifest reads a manifest from JSON and validates it. Unknown, repeated
// and wrongly spelt keys are faults. The error is a [*ManifestError] that lists
// every fault found.
func ParseManifest(data []byte) (*Manifest, error) {
	m, faults := decodeManifest(data)
	if len(faults) > 0 {
		return nil, &ManifestError{Faults: faults}
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// decodeManifest decodes strictly. When only keys are wrong it goes on to
// validate, so that all faults are reported together.
func decodeManifest(data []byte) (*Manifest, []Fault) {
	if len(data) > maxManifest {
		return nil, []Fault{{Key: "$", Got: fmt.Sprintf("%d bytes", len(data)), Want: fmt.Sprintf("at most %d", maxManifest)}}
	}
	var m Manifest
	err := json.Unmarshal(data, &m)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		faults := keyFaults(data)
		return nil, append(faults, Fault{Key: wrongType.Field, Got: wrongType.Value, Want: wrongType.Type.String()})
	case err != nil:
		return nil, []Fault{{Key: "$", Got: syntaxAt(data, err), Want: "valid JSON"}}
	}
	faults := keyFaults(data)
	var invalid *ManifestError
	if len(faults) > 0 && errors.As(m.Validate(), &invalid) {
		faults = append(faults, invalid.Faults...)
	}
	return &m, faults
}

// syntaxAt names the line of a JSON syntax error.
func syntaxAt(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err.Error()
	}
	end := min(int(syntax.Offset), len(data))
	line := 1 + bytes.Count(data[:end], []byte("\n"))
	return fmt.Sprintf("%v on line %d", err, line)
}

// keyFaults compares the keys of valid JSON with the fields of Manifest,
// exactly, where encoding/json would ignore case and repetition.
func keyFaults(data []byte) []Fault {
	k := keyChecker{dec: json.NewDecoder(bytes.NewReader(data))}
	k.value(reflect.TypeFor[Manifest](), "")
	return k.faults
}

type keyChecker struct {
	dec    *json.Decoder
	faults []Fault
}

// value consumes one JSON value that should decode into t; t is nil where
// nothing is known about it.
func (k *keyChecker) value(t reflect.Type, path string) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := k.dec.Token()
	if err != nil {
		return
	}
	switch tok {
	case json.Delim('{'):
		k.object(t, path)
	case json.Delim('['):
		k.array(t, path)
	}
}

func (k *keyChecker) array(t reflect.Type, path string) {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		t = t.Elem()
	} else {
		t = nil
	}
	for i := 0; k.dec.More(); i++ {
		k.value(t, fmt.Sprintf("%s[%d]", path, i))
	}
	k.dec.Token()
}

func (k *keyChecker) object(t reflect.Type, path string) {
	seen := map[string]bool{}
	for k.dec.More() {
		tok, err := k.dec.Token()
		if err != nil {
			return
		}
		key, _ := tok.(string)
		at := strings.TrimPrefix(path+"."+key, ".")
		field, known := fieldOf(t, key)
		switch {
		case seen[key]:
			k.faults = append(k.faults, Fault{Key: at, Got: "the key twice", Want: "it once"})
		case t != nil && !known:
			k.faults = append(k.faults, Fault{Key: at, Got: "an unknown key", Want: "one of " + strings.Join(keysOf(t), " ")})
		}
		seen[key] = true
		k.value(field, at)
	}
	k.dec.Token()
}

// fieldOf returns the type of the field of struct t that has the JSON key.
func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range t.NumField() {
		if jsonKey(t.Field(i)) == key {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

func keysOf(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return []string{"no keys at all"}
	}
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = jsonKey(t.Field(i))
	}
	return keys
}

func jsonKey(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
