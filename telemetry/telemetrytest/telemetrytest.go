// Package telemetrytest has what tests of telemetry need: a real mosquitto that can be
// killed and restarted on the same port, the embedded broker under the same interface, a
// link that can be cut or swallow everything, and the contract that every broker and pipe
// must keep (see RunContract).
package telemetrytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"emberwing/telemetry/broker"
)

// Patience is how long helpers wait for something that should happen at once. It is
// generous because a busy machine is slow, and costs nothing when all is well.
const Patience = 30 * time.Second

// Eventually waits until ok returns true; it fails the test after Patience.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(Patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %v", what, Patience)
		}
	}
}

// Broker is a broker under test.
type Broker interface {
	// URL returns tcp://host:port, the same after every Start.
	URL() string
	// Kill ends the broker at once, as a power cut does.
	Kill()
	// Start starts it again on the same port with what it had stored.
	Start()
}

// NewMosquitto starts a mosquitto process with persistence on a free loopback port. When
// there is no mosquitto the test is skipped, and fails if the environment has CI=true.
func NewMosquitto(t testing.TB) Broker {
	t.Helper()
	path, err := findMosquitto()
	if err != nil {
		const hint = "mosquitto not found: apt-get install mosquitto"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	m := &mosquitto{t: t, path: path, dir: t.TempDir(), addr: freeAddr(t)}
	m.Start()
	t.Cleanup(m.Kill)
	return m
}

// findMosquitto looks where Debian puts it, too: sbin is in the path of root only.
func findMosquitto() (string, error) {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/mosquitto")
}

func freeAddr(t testing.TB) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr)
}

type mosquitto struct {
	t    testing.TB
	path string
	dir  string
	addr *net.TCPAddr
	cmd  *exec.Cmd // nil while stopped
	log  bytes.Buffer
}

func (m *mosquitto) URL() string { return "tcp://" + m.addr.String() }

func (m *mosquitto) Start() {
	m.t.Helper()
	conf := filepath.Join(m.dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 100000\n", m.addr.Port, m.dir)
	if os.Geteuid() == 0 {
		text += "user root\n" // else it gives up root and cannot write to the directory
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.cmd = exec.Command(m.path, "-c", conf)
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	Eventually(m.t, "mosquitto accepts connections", func() bool {
		c, err := net.Dial("tcp", m.addr.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (m *mosquitto) Kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill() // may have ended by itself
	_ = m.cmd.Wait()
	m.cmd = nil
}

// NewEmbedded starts package broker under the same interface. Kill closes it in order,
// as nothing else is possible within one process.
func NewEmbedded(t testing.TB) Broker {
	t.Helper()
	e := &embedded{t: t, dir: t.TempDir(), port: freeAddr(t).Port}
	e.Start()
	t.Cleanup(e.Kill)
	return e
}

type embedded struct {
	t    testing.TB
	dir  string
	port int
	b    *broker.Broker // nil while stopped
}

func (e *embedded) URL() string {
	return "tcp://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.port))
}

func (e *embedded) Start() {
	e.t.Helper()
	b, err := broker.Start(e.t.Context(), broker.Options{Port: e.port, StoreDir: e.dir, Log: Quiet()})
	if err != nil {
		e.t.Fatal(err)
	}
	e.b = b
}

func (e *embedded) Kill() {
	if e.b == nil {
		return
	}
	if err := e.b.Close(); err != nil {
		e.t.Error(err)
	}
	e.b = nil
}

// Link is a TCP proxy in front of a broker. It passes everything on until it is told
// otherwise.
type Link struct {
	t        testing.TB
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	gates  [2]chan struct{} // per direction, closed while bytes pass
	down   bool             // refuse connections
	conns  map[net.Conn]bool
	closed bool
}

// NewLink starts a proxy to the broker at url (tcp://host:port).
func NewLink(t testing.TB, url string) *Link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link := &Link{t: t, target: url[len("tcp://"):], listener: l, conns: make(map[net.Conn]bool)}
	for i := range link.gates {
		link.gates[i] = make(chan struct{})
		close(link.gates[i])
	}
	link.wg.Go(link.accept)
	t.Cleanup(link.close)
	return link
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
	far, err := net.DialTimeout("tcp", l.target, Patience)
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

func (l *Link) copy(to, from net.Conn, direction int) {
	defer l.forget(to)
	defer l.forget(from)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err != nil && !errors.Is(err, io.EOF) {
			return
		}
		<-l.gate(direction)
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

func (l *Link) forget(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

func (l *Link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.listener.Close()
	l.Restore()
	l.Break()
	l.wg.Wait()
}
