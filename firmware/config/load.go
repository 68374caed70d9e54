package config

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Fault is one thing wrong with the configuration.
type Fault struct {
	Key    string // dotted path, e.g. "camera.fps"
	Line   int    // in the file; 0 when the value came from elsewhere
	Value  string // as written
	Origin string // file name or environment variable
	Reason string // what is wrong and what would be right
}

// Error says where, what and why on one line.
func (f Fault) Error() string {
	where := f.Origin
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.Origin, f.Line)
	}
	if f.Value == "" {
		return fmt.Sprintf("%s: %s: %s", where, f.Key, f.Reason)
	}
	return fmt.Sprintf("%s: %s = %s: %s", where, f.Key, f.Value, f.Reason)
}

// Faults is everything wrong with the configuration, in the order of the file.
type Faults []Fault

// Error lists every fault, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Load reads the file at path over the defaults, then the environment over
// the file. environ is in the form of [os.Environ]. On any fault it returns
// [Faults] with all of them.
func Load(path string, environ []string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text, environ)
}

// Parse is [Load] on text that is already in memory; name stands for the file
// in messages.
func Parse(name string, text []byte, environ []string) (Config, error) {
	d := decoder{cfg: Default(), origin: make(map[string]source)}
	if err := d.file(name, text); err != nil {
		return Config{}, err
	}
	d.environment(environ)
	d.validate()
	if len(d.faults) > 0 {
		sort.SliceStable(d.faults, func(i, j int) bool { return d.faults[i].Line < d.faults[j].Line })
		return Config{}, d.faults
	}
	return d.cfg, nil
}

// source remembers where a key was set.
type source struct {
	name string
	line int
	text string
}

type decoder struct {
	cfg    Config
	origin map[string]source
	faults Faults
}

// file applies each key of the text by itself, so that one fault does not
// hide the next. Only a syntax error stops it: nothing after one can be
// trusted.
func (d *decoder) file(name string, text []byte) error {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return syntaxFault(name, err)
	}
	lines := keyLines(text)
	for _, leaf := range leaves(tree) {
		d.origin[leaf.key()] = source{name: name, line: lines[leaf.key()], text: leaf.text()}
		d.set(leaf.path, leaf.value)
	}
	return nil
}

// syntaxFault turns a parse error into a fault with its line.
func syntaxFault(name string, err error) error {
	f := Fault{Key: "syntax", Origin: name, Reason: strings.TrimPrefix(err.Error(), "toml: ")}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		f.Line, _ = de.Position()
		if key := de.Key(); len(key) > 0 {
			f.Key = strings.Join(key, ".")
		}
	}
	return Faults{f}
}

// environment applies EMBERWING_SECTION_KEY variables to keys that exist.
func (d *decoder) environment(environ []string) {
	known := keysByVariable(d.cfg)
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		path, ok := known[name]
		if !ok {
			d.faults = append(d.faults, Fault{Key: name, Value: fmt.Sprintf("%q", text), Origin: "environment", Reason: "unknown variable" + nearest(name, known)})
			continue
		}
		d.origin[strings.Join(path, ".")] = source{name: name, text: fmt.Sprintf("%q", text)}
		d.set(path, literal(text))
	}
}

// literal reads text as a TOML value, or as a string when it is none.
func literal(text string) any {
	var doc struct{ V any }
	if err := toml.Unmarshal([]byte("V = "+text), &doc); err == nil {
		return doc.V
	}
	return text
}

// set decodes one value into its field.
func (d *decoder) set(path []string, value any) {
	doc, err := toml.Marshal(nest(path, value))
	if err != nil {
		d.fault(path, err.Error())
		return
	}
	err = toml.NewDecoder(strings.NewReader(string(doc))).DisallowUnknownFields().Decode(&d.cfg)
	var missing *toml.StrictMissingError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		d.fault(path, "unknown key"+nearest(strings.Join(path, "."), keysByPath(d.cfg)))
	default:
		d.fault(path, wantedType(path))
	}
}

// fault records what is wrong with the value at path.
func (d *decoder) fault(path []string, reason string) {
	key := strings.Join(path, ".")
	from, ok := d.origin[key]
	if !ok {
		from = source{name: "default", text: valueText(d.cfg, path)}
	}
	d.faults = append(d.faults, Fault{Key: key, Line: from.line, Value: from.text, Origin: from.name, Reason: reason})
}
