// Package telemetrytest has what tests of telemetry need: a real mosquitto that can be
// killed and restarted on the same port, the embedded broker under the same interface, a
// link that can be cut or swallow everything, and the contract that every broker and pipe
// must keep (see RunContract).
package telemetrytest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/telemetrytest/link"
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

// NewLink starts a link to the broker at url (tcp://host:port).
func NewLink(t testing.TB, url string) *link.Link {
	t.Helper()
	l, err := link.New("127.0.0.1:0", url[len("tcp://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}
