package page

import (
	"container/list"
	"encoding/json"
	"fmt"
)

// key names an entry. Its parts are what the browser files the value under.
type key struct{ Kind, ID string }

// entry is the newest form of one thing that the page shows. A value of nil says that
// the thing is gone.
type entry struct {
	key   key
	seq   uint64 // of its latest change
	value any
	body  []byte // encoded on demand
}

// board holds entries in the order of their latest change. It remembers maxGone removals,
// for those who have to catch up.
type board struct {
	seq     uint64 // of the latest change; begins with 1, since 0 means a reader that has seen nothing
	floor   uint64 // latest removal that is no longer remembered
	entries map[key]*list.Element
	order   *list.List // of *entry, oldest change first
	gone    int        // removals among them
	maxGone int
}

func newBoard(maxGone int) *board {
	return &board{seq: 1, entries: make(map[key]*list.Element), order: list.New(), maxGone: maxGone}
}

// put notes that the value under k is new or has changed.
func (b *board) put(k key, value any) {
	b.seq++
	e, ok := b.entries[k]
	if !ok {
		b.entries[k] = b.order.PushBack(&entry{key: k, seq: b.seq, value: value})
		return
	}
	old := e.Value.(*entry)
	if old.value == nil {
		b.gone--
	}
	old.seq, old.value, old.body = b.seq, value, nil
	b.order.MoveToBack(e)
}

// remove notes that k is gone.
func (b *board) remove(k key) {
	if e, ok := b.entries[k]; !ok || e.Value.(*entry).value == nil {
		return
	}
	b.put(k, nil)
	if b.gone++; b.gone > b.maxGone {
		b.forget()
	}
}

// forget drops the oldest removal.
func (b *board) forget() {
	for e := b.order.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*entry); v.value == nil {
			b.floor = v.seq
			b.order.Remove(e)
			delete(b.entries, v.key)
			b.gone--
			return
		}
	}
}

// change is an entry as it is sent.
type change struct {
	seq  uint64
	gone bool
	body []byte // must not be changed
}

// since returns what changed after seq, oldest first. Reset says that the reader must
// forget all it knows first, because removals after seq are no longer remembered.
func (b *board) since(seq uint64) (changes []change, reset bool) {
	if seq == 0 || seq < b.floor || seq > b.seq {
		seq, reset = 0, true
	}
	e := b.order.Back()
	for e != nil && e.Value.(*entry).seq > seq {
		e = e.Prev()
	}
	if e == nil {
		e = b.order.Front()
	} else {
		e = e.Next()
	}
	for ; e != nil; e = e.Next() {
		if v := e.Value.(*entry); v.value != nil || !reset {
			changes = append(changes, change{seq: v.seq, gone: v.value == nil, body: v.encoded()})
		}
	}
	return changes, reset
}

// encoded returns {"kind":…,"key":…,"value":…}, value null for what is gone.
func (e *entry) encoded() []byte {
	if e.body == nil {
		e.body = encode(struct {
			Kind  string `json:"kind"`
			Key   string `json:"key"`
			Value any    `json:"value"`
		}{e.key.Kind, e.key.ID, e.value})
	}
	return e.body
}

// encode returns JSON on one line. The values are validated messages and numbers made
// from them, so a failure is a fault of this package; it is shown rather than hidden.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(map[string]string{"kind": "fault", "key": fmt.Sprintf("encode %T: %v", v, err)})
	}
	return b
}

// values returns the present values of one kind, oldest change first.
func (b *board) values(kind string) []any {
	out := []any{}
	for e := b.order.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*entry); v.key.Kind == kind && v.value != nil {
			out = append(out, v.value)
		}
	}
	return out
}
