//go:build linux

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// terminal is a program on a terminal of its own.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File
	out  lockedBuffer
	read chan struct{} // closed when out holds all that the program printed
	wide bool
}

// onTerminal starts emberwing with arguments on a new terminal.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	pty, name := openTerminal(t)
	tty, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	term := &terminal{t: t, pty: pty, cmd: exec.Command(os.Args[0], args...), read: make(chan struct{})}
	term.cmd.Args[0] = "emberwing" // by which TestMain knows what to be
	term.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = tty, tty, tty
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.resize()
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.read)
		buf := make([]byte, 4096)
		for {
			n, err := pty.Read(buf)
			if err != nil { // the last one to hold the other end has gone
				return
			}
			term.out.Write(buf[:n])
		}
	}()
	t.Cleanup(func() {
		_ = term.cmd.Process.Kill() // it may have ended
		pty.Close()
	})
	return term
}

// openTerminal returns the near end of a new terminal and the name of its far end.
func openTerminal(t *testing.T) (pty *os.File, name string) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return pty, fmt.Sprintf("/dev/pts/%d", number)
}

// resize makes the program draw its whole screen, not only what has changed.
func (term *terminal) resize() {
	term.wide = !term.wide
	size := &unix.Winsize{Row: 24, Col: 100}
	if term.wide {
		size.Col = 110
	}
	raw, err := term.pty.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) // seen by what follows
		})
	}
	if err != nil {
		term.t.Fatal(err)
	}
}

var escapes = regexp.MustCompile(`\x1b(\[[0-9;:?<=>!]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[P_^][^\x1b]*\x1b\\|[()][0-9A-B]|[=>78M])`)

// sees waits until a screen shows the words. It asks for a new drawing again and again, as
// the words may be about what has not happened yet.
func (term *terminal) sees(words ...string) {
	term.t.Helper()
	from, asked := len(term.out.String()), time.Now()
	term.resize()
	telemetrytest.Eventually(term.t, fmt.Sprintf("the screen shows %q", words), func() bool {
		screen := escapes.ReplaceAllString(term.out.String()[from:], "")
		for _, w := range words {
			if !strings.Contains(screen, w) {
				if time.Since(asked) > 200*time.Millisecond {
					asked = time.Now()
					term.resize()
				}
				return false
			}
		}
		return true
	})
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.pty.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// exit waits for the end of the program and returns its exit code.
func (term *terminal) exit() int {
	term.t.Helper()
	done := make(chan int, 1)
	go func() {
		_ = term.cmd.Wait() // the code tells
		<-term.read         // its last words may still be on their way
		done <- term.cmd.ProcessState.ExitCode()
	}()
	select {
	case code := <-done:
		return code
	case <-time.After(telemetrytest.Patience):
		term.t.Fatalf("the program does not end: %s", term.out.String())
		return -1
	}
}

// The whole way of an operator at a terminal: list, filter, detail, verdict, and the end
// when the station has gone.
func TestWatchOnATerminal(t *testing.T) {
	mqttAt, pageAt, db := freePort(t), freePort(t), filepath.Join(t.TempDir(), "g.db")
	_, errs, stopGround := tool(t, "ground", "--mqtt-listen", mqttAt, "--listen", pageAt, "--store", db, "--name", "hill")
	feedUp(t, errs)
	conn, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: "tcp://" + mqttAt}, mqtt.Session{ClientID: "kite"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	seq := uint64(0)
	send := func(event, label string) {
		t.Helper()
		seq++
		a := groundAlert(seq, 0)
		a.Event, a.Label, a.Phase = event, label, wire.PhaseBegin
		payload, err := wire.Append(nil, a)
		if err == nil {
			err = conn.Wait(t.Context(), conn.Publish(mqtt.Message{Topic: a.Topic().String(), Payload: payload, QoS: 1}))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	send("e1", "smoke")
	term := onTerminal(t, "watch", "--station", "http://"+pageAt, "--operator", "ann", "--lost-after", "1s")
	term.sees("station hill", "1 not acknowledged, 1 events", "smoke")
	send("e2", "flame")
	term.sees("2 not acknowledged, 2 events", "flame")
	term.press("/smo")
	term.sees("filter: smo")
	term.press("\r")
	term.sees("filter: smo", "smoke", "select")
	term.press("\r")
	term.sees("a acknowledge", "other events", "e1")
	term.press("a")
	term.sees("press the key of the verdict")
	term.press("3")
	term.sees("event 1 acknowledged", "1 not acknowledged, 2 events")
	stopGround()
	if code := term.exit(); code != ExitFailed || !strings.Contains(term.out.String(), "feed lost") {
		t.Errorf("got exit code %d and %q after the station had gone, want %d and the reason", code, term.out.String(),
			ExitFailed)
	}
	kept, err := store.Open(db, store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	e, err := kept.Event(t.Context(), 1)
	if err != nil || e.Verdict == nil || e.Verdict.Verdict != "cloud" || e.Verdict.Operator != "ann" {
		t.Errorf("got %+v, %v, want the verdict of ann", e.Verdict, err)
	}
}

func TestWatchOnATerminalEndsAsAsked(t *testing.T) {
	_, errs, _ := tool(t, "ground", "--mqtt-listen", freePort(t), "--listen", freePort(t), "--store",
		filepath.Join(t.TempDir(), "g.db"), "--name", "hill")
	feedUp(t, errs)
	_, rest, _ := strings.Cut(errs.String(), "live page: ")
	station, _, _ := strings.Cut(rest, "\n")
	for name, keys := range map[string]string{"q": "q", "ctrl+c": "\x03"} {
		term := onTerminal(t, "watch", "--station", station)
		term.sees("0 not acknowledged")
		term.press(keys)
		if code := term.exit(); code != ExitOK {
			t.Errorf("%s: got exit code %d and %q, want %d", name, code, term.out.String(), ExitOK)
		}
	}
}
