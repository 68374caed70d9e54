package page

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"emberwing/telemetry/wire"
)

// Times of a stream.
const (
	pingEvery  = 2 * time.Second        // the browser mistrusts a stream that is silent for longer
	paceEvery  = 20 * time.Millisecond  // at most one batch in this time
	takesNone  = 10 * time.Second       // a browser that takes nothing for this long is dropped
	closeGrace = 250 * time.Millisecond // for a last write when the page closes
)

var errClosed = errors.New("page closed")

// stream is one browser. Only its own goroutine uses the fields.
type stream struct {
	page    *Page
	w       http.ResponseWriter
	control *http.ResponseController
	seq     uint64 // position: everything up to this change was sent
	greeted bool
	skipped uint64 // changes superseded before they were sent
	buf     bytes.Buffer
}

// streams are the open ones.
type streams struct {
	mu              sync.Mutex
	open            map[*stream]struct{}
	limit           int
	closed          chan struct{}
	opened, refused uint64
	slow            uint64
}

func newStreams(limit int) streams {
	return streams{open: make(map[*stream]struct{}), limit: limit, closed: make(chan struct{})}
}

func (l *streams) stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Streams: len(l.open), Opened: l.opened, Refused: l.refused, Slow: l.slow}
}

func (l *streams) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *streams) add(s *stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() || len(l.open) >= l.limit {
		l.refused++
		return false
	}
	l.open[s] = struct{}{}
	l.opened++
	return true
}

// remove forgets s, after which close does not touch its connection any more.
func (l *streams) remove(s *stream, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, s)
	if err != nil && !l.isClosed() {
		l.slow++
	}
}

// arm limits the next write of s.
func (l *streams) arm(s *stream) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return errClosed
	}
	return deadline(s, takesNone)
}

func (l *streams) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return
	}
	close(l.closed)
	for s := range l.open {
		_ = deadline(s, closeGrace) // a connection without deadlines is ended by its server
	}
}

// deadline limits the writes of s. Writers without deadlines, as in tests, have none.
func deadline(s *stream, in time.Duration) error {
	err := s.control.SetWriteDeadline(time.Now().Add(in))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// serveEvents is the stream of server-sent events:
//
//	hello {"now","reset","verdicts",…}             first, and again when the state starts anew
//	put   {"kind","key","value"}                   newest form of an entry, value null when gone; has an id
//	ping  {"now","skipped","unseen",…}             after the first state, and every 2 s
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	s := &stream{page: p, w: w, control: http.NewResponseController(w), seq: p.position(r)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	if !p.streams.add(s) {
		h.Set("Retry-After", "5")
		http.Error(w, "too many open pages, or the page is closing: try again later", http.StatusServiceUnavailable)
		return
	}
	p.streams.remove(s, s.run(r.Context()))
}

// position returns where a returning browser left off, 0 for all others. EventSource
// sends the header only when it reconnects by itself, hence the query.
func (p *Page) position(r *http.Request) uint64 {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("last")
	}
	epoch, digits, ok := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || epoch != p.epoch {
		return 0
	}
	return seq
}

// run sends until the browser leaves, the page closes or a write fails, which is the
// only end that is an error.
func (s *stream) run(ctx context.Context) error {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		changed, err := s.sendChanges()
		if err == nil {
			err = await(ctx, s, ping.C, time.After(paceEvery))
		}
		if err == nil {
			err = await(ctx, s, ping.C, changed)
		}
		if err != nil {
			return ended(ctx, err)
		}
	}
}

// await waits for a channel and pings meanwhile.
func await[T any](ctx context.Context, s *stream, ping <-chan time.Time, c <-chan T) error {
	for {
		select {
		case <-c:
			return nil
		case <-ping:
			if err := s.sendPing(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.page.streams.closed:
			return errClosed
		}
	}
}

// ended returns nil when the browser left by itself or the page is closed.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// sendChanges writes what is new, and returns a channel that is closed once there is more.
func (s *stream) sendChanges() (<-chan struct{}, error) {
	changes, reset, changed := s.take()
	first := !s.greeted
	s.buf.Reset()
	if first || reset {
		s.writeHello(reset)
	}
	for _, c := range changes {
		fmt.Fprintf(&s.buf, "id: %s-%d\nevent: put\ndata: %s\n\n", s.page.epoch, c.seq, c.body)
	}
	if first {
		s.writePing()
	}
	return changed, s.flush()
}

// take moves the position to the present and returns what lies between.
func (s *stream) take() (changes []change, reset bool, changed <-chan struct{}) {
	p := s.page
	p.mu.Lock()
	defer p.mu.Unlock()
	board := p.fleet.board
	if board.seq == s.seq && s.greeted {
		return nil, false, p.changed
	}
	changes, reset = board.since(s.seq)
	if s.greeted && !reset {
		lost := board.seq - s.seq - uint64(len(changes))
		s.skipped += lost
		p.superseded.Add(lost)
	}
	s.seq = board.seq
	return changes, reset, p.changed
}

func (s *stream) writeHello(reset bool) {
	p := s.page
	if reset {
		p.resets.Add(1)
	} else {
		p.resumed.Add(1)
	}
	s.greeted = true
	fmt.Fprintf(&s.buf, "retry: 1000\nevent: hello\ndata: %s\n\n", encode(struct {
		Now      wire.Time     `json:"now"`
		Software string        `json:"software"`
		Banner   string        `json:"banner"`
		Reset    bool          `json:"reset"`
		Answers  bool          `json:"answers"`
		Commands bool          `json:"commands"`
		Verdicts []verdictView `json:"verdicts"`
		Map      *MapInfo      `json:"map"`
	}{wire.At(time.Now()), p.opts.Software, p.opts.Banner, reset, p.opts.Answer != nil, p.opts.Commander != nil,
		verdicts(), p.mapInfo()}))
}

func (s *stream) writePing() {
	unseen, crowded := s.page.limits()
	fmt.Fprintf(&s.buf, "event: ping\ndata: %s\n\n", encode(struct {
		Now     wire.Time  `json:"now"`
		Skipped uint64     `json:"skipped"`
		Unseen  int        `json:"unseen"`
		Crowded int        `json:"crowded"`
		Station *Condition `json:"station"`
	}{wire.At(time.Now()), s.skipped, unseen, crowded, s.page.condition()}))
}

func (s *stream) sendPing() error {
	s.buf.Reset()
	s.writePing()
	return s.flush()
}

func (s *stream) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	if err := s.page.streams.arm(s); err != nil {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}
