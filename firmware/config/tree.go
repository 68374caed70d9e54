package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// leaf is one key of a TOML document with its value.
type leaf struct {
	path  []string
	value any
}

func (l leaf) key() string { return strings.Join(l.path, ".") }

// text returns the value as a TOML file would write it.
func (l leaf) text() string {
	doc, err := toml.Marshal(map[string]any{"v": l.value})
	if err != nil {
		return fmt.Sprint(l.value)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(doc), "v = "))
}

// leaves flattens a document into its keys, sorted by path.
func leaves(tree map[string]any) []leaf {
	var out []leaf
	var walk func(path []string, t map[string]any)
	walk = func(path []string, t map[string]any) {
		for k, v := range t {
			p := append(slices.Clone(path), k)
			if sub, ok := v.(map[string]any); ok {
				walk(p, sub)
				continue
			}
			out = append(out, leaf{p, v})
		}
	}
	walk(nil, tree)
	slices.SortFunc(out, func(a, b leaf) int { return strings.Compare(a.key(), b.key()) })
	return out
}

// nest returns a document that holds only value at path.
func nest(path []string, value any) map[string]any {
	if len(path) == 1 {
		return map[string]any{path[0]: value}
	}
	return map[string]any{path[0]: nest(path[1:], value)}
}

// keyLines returns the line of every key of a document that is known to parse.
func keyLines(text []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		path, line := keyOf(&p, e)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = path
		case unstable.KeyValue:
			lines[strings.Join(append(slices.Clone(table), path...), ".")] = line
		}
	}
	return lines
}

// keyOf returns the parts of an expression's key and the line it stands on.
func keyOf(p *unstable.Parser, e *unstable.Node) (path []string, line int) {
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = append(path, string(n.Data))
		if line == 0 {
			line = 1 + bytes.Count(p.Data()[:n.Raw.Offset], []byte("\n"))
		}
	}
	return path, line
}

// keysByPath returns every key of the configuration by its dotted path.
func keysByPath(cfg Config) map[string][]string {
	return keys(cfg, func(path []string) string { return strings.Join(path, ".") })
}

// keysByVariable returns every key by the environment variable that sets it.
func keysByVariable(cfg Config) map[string][]string {
	return keys(cfg, func(path []string) string {
		return EnvPrefix + strings.ToUpper(strings.Join(path, "_"))
	})
}

func keys(cfg Config, name func([]string) string) map[string][]string {
	out := make(map[string][]string)
	for _, section := range reflect.VisibleFields(reflect.TypeOf(cfg)) {
		for _, field := range reflect.VisibleFields(section.Type) {
			path := []string{section.Tag.Get("toml"), field.Tag.Get("toml")}
			out[name(path)] = path
		}
	}
	return out
}

// wantedType says which kind of value the field at path takes.
func wantedType(path []string) string {
	t := reflect.TypeFor[Config]()
	for _, name := range path {
		i := slices.IndexFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Tag.Get("toml") == name })
		if i < 0 {
			return "unknown key"
		}
		t = t.Field(i).Type
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		return `want a duration such as "2s"`
	case t.Kind() == reflect.Struct:
		return "want a section"
	case t.Kind() == reflect.Slice:
		return `want a list of strings such as ["cpu"]`
	case t.Kind() == reflect.Bool:
		return "want true or false"
	case t.Kind() == reflect.Float64:
		return "want a number"
	case t.Kind() == reflect.String:
		return "want a string in quotes"
	}
	return "want a whole number of 0 or more"
}

// valueText returns the current value of a key as text.
func valueText(cfg Config, path []string) string {
	doc, err := toml.Marshal(cfg)
	if err != nil {
		return ""
	}
	var tree map[string]map[string]any
	if err := toml.Unmarshal(doc, &tree); err != nil || len(path) != 2 {
		return ""
	}
	return leaf{path, tree[path[0]][path[1]]}.text()
}

// nearest suggests the known name that shares most with a wrong one, or
// nothing when none is close.
func nearest(wrong string, known map[string][]string) string {
	best, distance := "", len(wrong)/3+2
	for name := range known {
		if d := editDistance(wrong, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 0
			if a[i-1] != b[j-1] {
				cost = 1
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
