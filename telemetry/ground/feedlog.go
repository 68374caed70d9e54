package ground

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"emberwing/telemetry/store"
)

// feedLog keeps the newest rows of the feed in their encoded form, for those who follow it,
// and reads older ones from the store.
type feedLog struct {
	store *store.Store

	mu     sync.Mutex
	recent []feedItem // consecutive rows, the oldest first
	wakeup chan struct{}
	done   bool
}

// feedItem is a row as it is sent.
type feedItem struct {
	row  int64
	body []byte // JSON of a store.Entry
}

const feedRecent = 4096 // rows in memory

func newFeedLog(s *store.Store) *feedLog { return &feedLog{store: s, wakeup: make(chan struct{})} }

// changed returns a channel that is closed at the next row.
func (f *feedLog) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wakeup
}

// append takes in new rows. They may come out of order by a little, when two goroutines
// have written to the store; then the memory starts anew, and readers go to the store until
// it ends with the newest row again.
func (f *feedLog) append(outcomes []store.Outcome) {
	var items []feedItem
	for _, o := range outcomes {
		if o.Entry == nil {
			continue
		}
		body, err := encodeEntry(o.Entry)
		if err != nil {
			continue // readers find it in the store
		}
		items = append(items, feedItem{o.Entry.Row, body})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range items {
		if n := len(f.recent); n > 0 && f.recent[n-1].row+1 != i.row {
			f.recent = f.recent[:0]
		}
		f.recent = append(f.recent, i)
	}
	if surplus := len(f.recent) - feedRecent; surplus > 0 {
		f.recent = append(f.recent[:0:0], f.recent[surplus:]...)
	}
	if len(items) > 0 && !f.done {
		close(f.wakeup)
		f.wakeup = make(chan struct{})
	}
}

func encodeEntry(e *store.Entry) ([]byte, error) {
	if e.Alert != nil && len(e.Alert.Evidence.Thumb) > 0 { // it has a place of its own
		light := *e
		alert := *e.Alert
		alert.Evidence.Thumb = nil
		light.Alert = &alert
		e = &light
	}
	return json.Marshal(e)
}

// since returns up to limit rows above after, and a channel that is closed when there are
// more than now.
func (f *feedLog) since(ctx context.Context, after int64, limit int) ([]feedItem, <-chan struct{}, error) {
	items, wakeup, ok := f.fromMemory(after, limit)
	if ok {
		return items, wakeup, nil
	}
	entries, err := f.store.Feed(ctx, after, limit)
	if err != nil {
		return nil, nil, err
	}
	for i := range entries {
		body, err := encodeEntry(&entries[i])
		if err != nil {
			return nil, nil, fmt.Errorf("encode row %d: %w", entries[i].Row, err)
		}
		items = append(items, feedItem{entries[i].Row, body})
	}
	return items, wakeup, nil
}

// fromMemory reports false when the store has to be asked.
func (f *feedLog) fromMemory(after int64, limit int) ([]feedItem, <-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.recent)
	if n == 0 || after+1 < f.recent[0].row || f.recent[n-1].row != f.store.Last() {
		return nil, f.wakeup, false
	}
	start := min(after+1-f.recent[0].row, int64(n))
	end := min(start+int64(limit), int64(n))
	return append([]feedItem(nil), f.recent[start:end]...), f.wakeup, true
}

// close wakes everybody up for good.
func (f *feedLog) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.done {
		f.done = true
		close(f.wakeup)
	}
}

func (f *feedLog) ended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}
