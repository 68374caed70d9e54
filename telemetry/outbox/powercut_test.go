package outbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"emberwing/telemetry/outbox"
	"emberwing/telemetry/telemetrytest/powercut"
	"emberwing/telemetry/wire"
)

// alertsALife is how many alerts each of the two lives of shortLife raises: enough for a
// thousand states also where several of them share a write.
const alertsALife = 14

// shortLife does in a process of its own what a drone does: alerts of several sizes,
// acknowledgements, receipts, statistics, and a restart. It prints what is promised.
func shortLife(path string) int {
	for life := range 2 {
		b, err := outbox.Open(outbox.Options{Path: path})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for n := range alertsALife {
			if err := liveOnce(b, life*alertsALife+n+1); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		if err := b.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// liveOnce raises alert n; some alerts are larger than a page, some are acknowledged.
func liveOnce(b *outbox.Box, n int) error {
	a := alert(fmt.Sprint("marker-", n))
	if n%4 == 0 {
		a.Evidence.Thumb = append([]byte{0xff, 0xd8, 0xff}, make([]byte, 7000)...)
	}
	if err := b.Put(a); err != nil {
		return err
	}
	fmt.Println("put", n)
	if err := b.Put(health()); err != nil {
		return err
	}
	switch {
	case n%5 == 3:
		if err := b.Ack(outbox.ID{Lane: outbox.Alerts, Seq: uint64(n)}); err != nil {
			return err
		}
		fmt.Println("gone", n)
	case n%9 == 7:
		if _, err := b.Receive([]wire.Range{{Boot: "b00t", From: uint64(n) - 1, To: uint64(n)}}); err != nil {
			return err
		}
		fmt.Println("gone", n-1, n)
	}
	return nil
}

// TestEveryPowerCut opens the outbox on every state that a power cut can leave: nothing
// that Put promised is missing, nothing is there that was never put, nothing returns that
// was acknowledged, and no number is given out twice.
func TestEveryPowerCut(t *testing.T) {
	dir := memoryDir(t)
	trace := powercut.Record(t, dir, os.Args[0], nil, []string{
		"EMBERWING_OUTBOX_CHILD=short", "EMBERWING_OUTBOX_PATH=" + filepath.Join(dir, "box", "outbox.db")})
	work := memoryDir(t)
	states := 0
	for s := range trace.States() {
		states++
		s.Write(t, work)
		checkState(t, s, filepath.Join(work, "box", "outbox.db"))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d states", states)
	if states < 1000 {
		t.Errorf("got %d states, want enough to mean something", states)
	}
}

// checkState opens one state.
func checkState(t *testing.T, s powercut.State, path string) {
	t.Helper()
	want := map[string]bool{} // label: must be there (true) or must not (false)
	last := 0
	for _, line := range s.Lines {
		words := strings.Fields(line)
		for _, word := range words[1:] {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatalf("the child says %q", line)
			}
			want[fmt.Sprint(n, " marker-", n)] = words[0] == "put"
			last = max(last, n)
		}
	}
	b, err := outbox.Open(outbox.Options{Path: path})
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	defer b.Close()
	got := labels(t, b)
	for _, l := range got {
		if must, known := want[l]; known && !must {
			t.Errorf("%s: %q was acknowledged and is back", s.Name, l)
		} else if !known && l != fmt.Sprint(last+1, " marker-", last+1) {
			t.Errorf("%s: phantom %q after %d promises", s.Name, l, last)
		}
	}
	for l, must := range want {
		if must && !strings.Contains("\n"+strings.Join(got, "\n")+"\n", "\n"+l+"\n") && !goneNext(l, s) {
			t.Errorf("%s: %q is lost, got %v", s.Name, l, got)
		}
	}
	a := alert("new")
	if err := b.Put(a); err != nil || int(a.Seq) <= last {
		t.Errorf("%s: next alert got number %d and %v, want more than %d", s.Name, a.Seq, err, last)
	}
	if st := b.Stats(); st.BadRecords != 0 || st.Err != nil {
		t.Errorf("%s: got %+v", s.Name, st)
	}
}

// goneNext tells whether an alert may have been deleted by the operation that the power cut
// interrupted: its acknowledgement was under way.
func goneNext(label string, s powercut.State) bool {
	last := s.Lines[len(s.Lines)-1]
	var n int
	fmt.Sscan(label, &n)
	return last == fmt.Sprint("put ", n) && (n%5 == 3 || n%9 == 7) ||
		last == fmt.Sprint("put ", n+1) && (n+1)%9 == 7 && (n+1)%5 != 3
}
