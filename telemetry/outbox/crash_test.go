package outbox_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"emberwing/telemetry/outbox"
)

// child runs instead of the tests in a process of its own; see TestMain. It prints the
// number of every alert once Put has returned, and acknowledges every third.
func child(mode, path string) int {
	if mode == "disk-full" {
		limitFileSize()
	}
	if mode == "short" {
		return shortLife(path)
	}
	b, err := outbox.Open(outbox.Options{Path: path})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for n := 1; ; n++ {
		a := alert(fmt.Sprint("marker-", n))
		switch err := b.Put(a); {
		case err == nil:
			fmt.Println("put", a.Seq)
		case mode == "disk-full" && errors.Is(err, outbox.ErrNotDurable):
			return reportFull(b)
		default:
			fmt.Println(err)
			return 1
		}
		if mode == "kill" && a.Seq%3 == 0 {
			if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: a.Seq}); err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Println("ack", a.Seq)
		}
	}
}

// limitFileSize makes every write beyond 200 kB fail with EFBIG, as a full disk does
// with ENOSPC.
func limitFileSize() {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 200 << 10, Max: 200 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// reportFull shows that the box goes on when the disk takes nothing more.
func reportFull(b *outbox.Box) int {
	_ = b.Put(alert("more"))
	s := b.Stats()
	waiting := 0
	for item, ok := b.Next(outbox.Alerts, 0); ok; item, ok = b.Next(outbox.Alerts, item.Seq) {
		waiting++
	}
	fmt.Println("full", waiting == s.AlertDepth && s.MemoryAlerts == 2 && s.Err != nil)
	return 0
}

func startChild(t *testing.T, mode, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EMBERWING_OUTBOX_CHILD="+mode, "EMBERWING_OUTBOX_PATH="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// Each round kills the process at another moment, on the same file.
func TestKilledProcessLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	want := map[uint64]bool{} // put and not acknowledged
	var last uint64
	for round := range 8 {
		cmd, lines := startChild(t, "kill", path)
		for n := 0; lines.Scan(); n++ {
			var verb string
			var seq uint64
			if k, err := fmt.Sscan(lines.Text(), &verb, &seq); k != 2 {
				t.Fatalf("child says %q: %v", lines.Text(), err)
			}
			want[seq] = verb == "put"
			last = max(last, seq)
			if n == 10+7*round {
				cmd.Process.Kill() // lines already in the pipe are still read
			}
		}
		_ = cmd.Wait() // killed
	}
	b := open(t, outbox.Options{Path: path})
	got := map[uint64]bool{}
	for item, ok := b.Next(outbox.Alerts, 0); ok; item, ok = b.Next(outbox.Alerts, item.Seq) {
		got[item.Seq] = true
	}
	for seq, waits := range want {
		if waits && !got[seq] && seq%3 != 0 { // an ack of the last may have been done but not printed
			t.Errorf("alert %d was put before the kill and is gone", seq)
		}
		if !waits && got[seq] {
			t.Errorf("alert %d was acknowledged and is back", seq)
		}
	}
	a := alert("after")
	put(t, b, a)
	if a.Seq <= last {
		t.Errorf("number after the kills: got %d, want more than %d", a.Seq, last)
	}
	if s := b.Stats(); s.FilesMoved != 0 || s.BadRecords != 0 {
		t.Errorf("got %+v, want an undamaged file", s)
	}
}

func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	cmd, lines := startChild(t, "disk-full", path)
	puts, verdict := 0, ""
	for lines.Scan() {
		if verdict = lines.Text(); verdict[:3] == "put" {
			puts++
		}
	}
	if err := cmd.Wait(); err != nil || verdict != "full true" {
		t.Fatalf("child: %v, last line %q", err, verdict)
	}
	if got := len(labels(t, open(t, outbox.Options{Path: path}))); got < puts || puts == 0 {
		t.Errorf("after a restart: got %d alerts, want the %d that were durable", got, puts)
	}
}
