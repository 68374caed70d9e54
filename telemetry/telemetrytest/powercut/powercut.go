// Package powercut shows a program every state in which a power cut can leave its files.
//
// Record runs the program under strace and writes down what it really asked of the kernel:
// writes, truncations, renames, syncs, and the lines it printed. States then goes through
// every point of that record. At each point, what was synced is there; of what was not,
// the disk may hold all, nothing, any beginning, any one piece, all but any one piece, a
// piece of which only some sectors were written, or space that was given to the file and
// never filled; of few pieces, any choice. A name is as durable as the last sync of its directory.
//
// So the program under test can be opened on each state, and asked for what it had promised
// by the lines printed until then.
package powercut

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sector is what a disk writes wholly or not at all, bytes.
const sector = 512

// kind of an operation.
type kind uint8

const (
	write    kind = iota
	truncate      // to off bytes
	create        // name
	rename        // name to target
	remove        // name
	mkdir         // name
	syncFile      // node
	syncDir       // name
	mark          // a line printed
)

// op is one thing the program asked for.
type op struct {
	kind   kind
	node   int // of a file, however it is called
	off    int64
	data   []byte
	name   string
	target string
	line   string
}

// Trace is what a program did, in order. Make one with Record.
type Trace struct{ ops []op }

// State is what a power cut leaves.
type State struct {
	Name  string   // where and how, for messages
	Lines []string // what the program had printed before
	Files map[string][]byte
}

// Write makes the folder hold the state and nothing else.
func (s State) Write(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range s.Files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// disk is a state under construction.
type disk struct {
	nodes map[int][]byte
	names map[string]int
	dirs  map[string]bool // that the program made: whether they are there
}

func (d disk) clone() disk {
	c := disk{nodes: make(map[int][]byte, len(d.nodes)), names: maps.Clone(d.names), dirs: maps.Clone(d.dirs)}
	for n, data := range d.nodes {
		c.nodes[n] = bytes.Clone(data)
	}
	return c
}

func (d disk) apply(o op) {
	switch o.kind {
	case write:
		d.size(o.node, max(int64(len(d.nodes[o.node])), o.off+int64(len(o.data))))
		copy(d.nodes[o.node][o.off:], o.data)
	case truncate:
		d.size(o.node, o.off)
	case create:
		d.names[o.name] = o.node
	case rename:
		d.names[o.target] = o.node
		delete(d.names, o.name)
	case remove:
		delete(d.names, o.name)
	case mkdir:
		d.dirs[o.name] = true
	}
}

func (d disk) size(node int, n int64) {
	data := d.nodes[node]
	if int64(len(data)) >= n {
		d.nodes[node] = data[:n:n]
		return
	}
	d.nodes[node] = append(data, make([]byte, n-int64(len(data)))...)
}

func (d disk) files() map[string][]byte {
	files := make(map[string][]byte, len(d.names))
	for name, node := range d.names {
		if d.reachable(name) {
			files[name] = d.nodes[node]
		}
	}
	return files
}

// reachable reports whether all folders above a name are there.
func (d disk) reachable(name string) bool {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if there, made := d.dirs[dir]; made && !there {
			return false
		}
	}
	return true
}

// States goes through every state. The same files with the same promises come once.
func (t *Trace) States() iter.Seq[State] {
	return func(yield func(State) bool) {
		seen := make(map[uint64]bool)
		seed := maphash.MakeSeed()
		emit := func(s State) bool {
			h := s.hash(seed)
			if seen[h] {
				return true
			}
			seen[h] = true
			return yield(s)
		}
		w := walk{durable: disk{map[int][]byte{}, map[string]int{}, t.made()}}
		for i, o := range t.ops {
			if o.kind >= syncFile && !w.cut(i, emit) {
				return
			}
			w.step(o)
		}
		w.cut(len(t.ops), emit)
	}
}

// made returns the folders that the program makes, none of which is there at first.
func (t *Trace) made() map[string]bool {
	dirs := make(map[string]bool)
	for _, o := range t.ops {
		if o.kind == mkdir {
			dirs[o.name] = false
		}
	}
	return dirs
}

func (s State) hash(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		fmt.Fprintf(&h, "%s %d\n", name, len(s.Files[name]))
		h.Write(s.Files[name])
	}
	fmt.Fprint(&h, len(s.Lines))
	return h.Sum64()
}

// walk is a position in a trace.
type walk struct {
	durable disk
	pending []op
	lines   []string
}

// step goes past one operation.
func (w *walk) step(o op) {
	var left []op
	switch o.kind {
	case mark:
		w.lines = append(w.lines, o.line)
		return
	case syncFile, syncDir:
		for _, p := range w.pending {
			if p.settledBy(o) {
				w.durable.apply(p)
				continue
			}
			left = append(left, p)
		}
		w.pending = left
	default:
		w.pending = append(w.pending, o)
	}
}

// settledBy reports whether a sync makes an operation durable.
func (o op) settledBy(sync op) bool {
	if o.kind <= truncate {
		return sync.kind == syncFile && sync.node == o.node
	}
	return sync.kind == syncDir && (filepath.Dir(o.name) == sync.name || o.kind == rename &&
		filepath.Dir(o.target) == sync.name)
}

// cut emits what a power cut here can leave.
func (w *walk) cut(at int, emit func(State) bool) bool {
	variant := func(name string, parts []op) bool {
		d := w.durable.clone()
		for _, p := range parts {
			d.apply(p)
		}
		return emit(State{fmt.Sprintf("before operation %d, %s", at, name), slices.Clone(w.lines), d.files()})
	}
	if !variant("everything kept", w.pending) {
		return false
	}
	for k, p := range w.pending {
		before, after := w.pending[:k:k], w.pending[k+1:]
		ok := variant(fmt.Sprintf("%d of %d kept", k, len(w.pending)), before) &&
			variant(fmt.Sprintf("only piece %d kept", k), []op{p}) &&
			variant(fmt.Sprintf("piece %d lost", k), slices.Concat(before, after))
		for _, torn := range p.torn() {
			ok = ok && variant(fmt.Sprintf("piece %d torn, the rest lost", k), append(before, torn)) &&
				variant(fmt.Sprintf("piece %d torn, the rest kept", k), slices.Concat(before, []op{torn}, after))
		}
		if !ok {
			return false
		}
	}
	return w.subsets(variant)
}

// subsets emits every choice of what was not synced, as long as there are few pieces.
func (w *walk) subsets(variant func(name string, parts []op) bool) bool {
	const most = 7
	if len(w.pending) > most {
		return true
	}
	for chosen := range 1 << len(w.pending) {
		var parts []op
		for k, p := range w.pending {
			if chosen>>k&1 == 1 {
				parts = append(parts, p)
			}
		}
		if !variant(fmt.Sprintf("pieces %b of %d kept", chosen, len(w.pending)), parts) {
			return false
		}
	}
	return true
}

// torn returns the ways in which a write can be done by half: its first sectors, its last
// sectors, and zeros in its place.
func (o op) torn() (ways []op) {
	if o.kind != write {
		return nil
	}
	part := func(from, to int) {
		t := o
		t.off, t.data = o.off+int64(from), o.data[from:to]
		ways = append(ways, t)
	}
	for _, n := range cuts(len(o.data)) {
		part(0, n)
		part(n, len(o.data))
	}
	room := o // given to the file, never filled
	room.off, room.data = o.off+int64(len(o.data)), nil
	return append(ways, room)
}

// cuts returns where a write of n bytes can be torn: at every sector when it is small, else
// at eight places.
func cuts(n int) (at []int) {
	step := max(sector, (n/8+sector-1)/sector*sector)
	for i := step; i < n; i += step {
		at = append(at, i)
	}
	return at
}
