package ground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Times and sizes of a feed stream.
const (
	feedBatch    = 256              // rows written at a time
	feedPing     = 2 * time.Second  // a reader mistrusts a stream that is silent for longer
	feedPatience = 10 * time.Second // for a reader to take what is written
)

// ErrCursor is a cursor that is not one.
var ErrCursor = errors.New("bad cursor")

// Cursor is a position in the feed of one store, "<epoch>-<row>".
type Cursor struct {
	Epoch string
	Row   int64
}

// String is the inverse of ParseCursor.
func (c Cursor) String() string { return c.Epoch + "-" + strconv.FormatInt(c.Row, 10) }

// ParseCursor reads a cursor; "" and "0" are the beginning of any store.
func ParseCursor(text string) (Cursor, error) {
	if text == "" || text == "0" {
		return Cursor{}, nil
	}
	epoch, digits, ok := strings.Cut(text, "-")
	row, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || row < 0 || epoch == "" {
		return Cursor{}, fmt.Errorf("%w: got %.80q, want <epoch>-<row> as the feed gives it, or 0", ErrCursor, text)
	}
	return Cursor{epoch, row}, nil
}

// stream is one reader of the feed.
type stream struct {
	s       *Station
	w       http.ResponseWriter
	control *http.ResponseController
	row     int64 // everything up to here was sent
	buf     bytes.Buffer
}

// serveFeed is the feed as server-sent events, from the cursor in Last-Event-ID or ?since=,
// "now" for the end, without one from the beginning:
//
//	hello {"epoch","last","reset","station"}   first; reset when the cursor was of another store
//	entry a store.Entry; its id is the cursor
//	ping  {"last"}                             every 2 s
func (s *Station) serveFeed(w http.ResponseWriter, r *http.Request) {
	row, reset, err := s.position(r)
	if err != nil {
		fail(w, fmt.Errorf("%w: %w", errRequest, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	st := &stream{s: s, w: w, control: http.NewResponseController(w), row: row}
	fmt.Fprintf(&st.buf, "retry: 1000\nevent: hello\ndata: {\"epoch\":%q,\"last\":%d,\"reset\":%v,\"station\":%q}\n\n",
		s.opts.Store.Epoch(), s.opts.Store.Last(), reset, s.opts.Name)
	if err := st.run(r.Context()); err != nil && r.Context().Err() == nil {
		s.opts.Log.Warn("feed stream ended", "err", err)
	}
}

// position returns the row after which the reader goes on.
func (s *Station) position(r *http.Request) (row int64, reset bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	if text == "now" {
		return s.opts.Store.Last(), false, nil
	}
	c, err := ParseCursor(text)
	if err != nil {
		return 0, false, err
	}
	known := c.Epoch == s.opts.Store.Epoch() && c.Row <= s.opts.Store.Last()
	if c.Epoch != "" && !known {
		return 0, true, nil
	}
	return c.Row, false, nil
}

func (st *stream) run(ctx context.Context) error {
	ping := time.NewTicker(feedPing)
	defer ping.Stop()
	for {
		more, err := st.sendRows(ctx)
		if err != nil {
			return err
		}
		if more == nil {
			continue
		}
		select {
		case <-more:
			if st.s.feed.ended() {
				return nil
			}
		case <-ping.C:
			fmt.Fprintf(&st.buf, "event: ping\ndata: {\"last\":%d}\n\n", st.s.opts.Store.Last())
		case <-ctx.Done():
			return nil
		}
	}
}

// sendRows sends what is new. It returns nil when there may be more at once, else a channel
// that is closed when there is.
func (st *stream) sendRows(ctx context.Context) (<-chan struct{}, error) {
	items, more, err := st.s.feed.since(ctx, st.row, feedBatch)
	if err != nil {
		return nil, err
	}
	epoch := st.s.opts.Store.Epoch()
	for _, i := range items {
		fmt.Fprintf(&st.buf, "id: %s-%d\nevent: entry\ndata: %s\n\n", epoch, i.row, i.body)
		st.row = i.row
	}
	if len(items) == feedBatch {
		more = nil
	}
	return more, st.flush()
}

func (st *stream) flush() error {
	if st.buf.Len() == 0 {
		return nil
	}
	err := st.control.SetWriteDeadline(time.Now().Add(feedPatience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := st.w.Write(st.buf.Bytes()); err != nil {
		return err
	}
	st.buf.Reset()
	return st.control.Flush()
}
