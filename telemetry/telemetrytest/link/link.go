// Package link is a TCP proxy that can be cut, frozen and slowed down, for tests and for the
// crash harness.
package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Link is a TCP proxy in front of a broker. It passes everything on until it is told
// otherwise.
type Link struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	gates  [2]chan struct{} // per direction, closed while bytes pass
	down   bool             // refuse connections
	conns  map[net.Conn]bool
	closed bool
	rate   int // bits per second in each direction of each connection, 0 is unlimited
}

// dialTime is how long the far side may take to answer.
const dialTime = 10 * time.Second

// New listens on an address and passes what comes on to the target, both host:port.
func New(listen, target string) (*Link, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	l := &Link{target: target, listener: listener, conns: make(map[net.Conn]bool)}
	for i := range l.gates {
		l.gates[i] = make(chan struct{})
		close(l.gates[i])
	}
	l.wg.Go(l.accept)
	return l, nil
}

// URL returns the address of the near end.
func (l *Link) URL() string { return "tcp://" + l.listener.Addr().String() }

// Cut breaks all connections and refuses new ones until Restore.
func (l *Link) Cut() {
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	l.Break()
}

// Break resets all connections; new ones are possible at once.
func (l *Link) Break() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// BlackHole stops reading and writing in both directions without closing anything, as a
// radio link does behind a hill, until Restore.
func (l *Link) BlackHole() { l.shut(up, down) }

// HoldReplies lets bytes pass to the broker but none back, until Restore.
func (l *Link) HoldReplies() { l.shut(down) }

const up, down = 0, 1

func (l *Link) shut(directions ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range directions {
		if l.passing(d) {
			l.gates[d] = make(chan struct{})
		}
	}
}

// Restore undoes Cut, BlackHole and HoldReplies.
func (l *Link) Restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	for d := range l.gates {
		if !l.passing(d) {
			close(l.gates[d])
		}
	}
}

func (l *Link) passing(direction int) bool {
	select {
	case <-l.gates[direction]:
		return true
	default:
		return false
	}
}

func (l *Link) gate(direction int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gates[direction]
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		if far := l.admit(near); far != nil {
			l.wg.Go(func() { l.copy(far, near, up) })
			l.wg.Go(func() { l.copy(near, far, down) })
		}
	}
}

// admit registers a connection and opens the far side of it.
func (l *Link) admit(near net.Conn) (far net.Conn) {
	far, err := net.DialTimeout("tcp", l.target, dialTime)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.down || l.closed {
		near.Close()
		if far != nil {
			far.Close()
		}
		return nil
	}
	l.conns[near], l.conns[far] = true, true
	return far
}

// Throttle limits each direction of each new connection to a number of bits per second; 0
// lifts the limit. It buffers next to nothing, as a modem does.
func (l *Link) Throttle(bitsPerSecond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = bitsPerSecond
}

func (l *Link) copy(to, from net.Conn, direction int) {
	defer l.forget(to)
	defer l.forget(from)
	l.mu.Lock()
	rate := l.rate
	l.mu.Unlock()
	buf := make([]byte, chunk(rate))
	if tcp, ok := from.(*net.TCPConn); ok && rate > 0 {
		_ = tcp.SetReadBuffer(smallBuffer) // else it stands for a very long wire
	}
	free := time.Now() // when the last byte has left
	for {
		n, err := from.Read(buf)
		if err != nil && !errors.Is(err, io.EOF) {
			return
		}
		<-l.gate(direction)
		free = pace(free, n, rate)
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

const smallBuffer = 4 << 10

func chunk(rate int) int {
	if rate > 0 {
		return 512
	}
	return 16 << 10
}

// pace waits until n bytes have passed a wire that is free at the given time.
func pace(free time.Time, n, rate int) time.Time {
	if rate <= 0 {
		return free
	}
	if now := time.Now(); free.Before(now) {
		free = now
	}
	free = free.Add(time.Duration(n) * 8 * time.Second / time.Duration(rate))
	time.Sleep(time.Until(free))
	return free
}

func (l *Link) forget(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Close breaks all connections and stops listening.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.listener.Close()
	l.Restore()
	l.Break()
	l.wg.Wait()
}
