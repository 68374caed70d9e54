package export_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"emberwing/telemetry/export"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

func put(t *testing.T, s *store.Store, revision int, phase wire.Phase) {
	t.Helper()
	a := smoke().Latest
	a.Revision, a.Phase, a.Seq = revision, phase, uint64(41+revision)
	a.Evidence.Model.RequestedPrecision, a.Evidence.Model.RequestedProvider = "int8", "cpu"
	payload, err := wire.Append(nil, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), []store.Arrival{{Message: a, Payload: payload, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
}

// run starts an exporter over a feed and returns it, and what stops it.
func run(t *testing.T, s export.Feed, target string, active func() bool) (x *export.Exporter, stop func()) {
	t.Helper()
	parsed, err := export.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := parsed.Open()
	if err != nil {
		t.Fatal(err)
	}
	x = &export.Exporter{Target: parsed, Sink: sink, Feed: s, Changed: ticking, Active: active,
		Lag: time.Hour, Log: telemetrytest.Quiet()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); x.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		sink.Close()
	})
	t.Cleanup(stop)
	return x, stop
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "ground.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.SetMark(t.Context(), "none", 0); err != nil {
		t.Fatal(err)
	}
	return s
}

func always() bool { return true }

// ticking is a feed that grows all the time.
func ticking() <-chan struct{} {
	tick := make(chan struct{})
	close(tick)
	return tick
}

func TestExportOverHTTPIsRepeatedUntilTaken(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	answer := []int{http.StatusServiceUnavailable, http.StatusOK, http.StatusBadRequest, http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if got := r.Header.Get("Content-Type"); got != "application/cap+xml" {
			t.Errorf("got content type %s", got)
		}
		bodies = append(bodies, string(body))
		w.WriteHeader(answer[min(len(bodies), len(answer))-1])
	}))
	defer server.Close()
	s := openStore(t)
	target := "cap=" + server.URL
	if err := s.SetMark(t.Context(), target, 0); err != nil {
		t.Fatal(err)
	}
	put(t, s, 0, wire.PhaseBegin)
	put(t, s, 1, wire.PhaseUpdate)
	put(t, s, 2, wire.PhaseEnd)
	x, stop := run(t, s, target, always)
	telemetrytest.Eventually(t, "two are sent and one refused", func() bool {
		st := x.Stats()
		return st.Sent == 2 && st.Failed == 1 && st.Refused == 1
	})
	stop()
	if bodies[0] != bodies[1] {
		t.Error("the second attempt differs from the first")
	}
	for i, want := range map[int]string{0: "<msgType>Alert", 2: "<msgType>Update", 3: "<msgType>Cancel"} {
		if !strings.Contains(bodies[i], want) {
			t.Errorf("message %d: want %s in %s", i, want, bodies[i])
		}
	}
	put(t, s, 3, wire.PhaseUpdate)
	run(t, s, target, always)
	telemetrytest.Eventually(t, "it goes on where it was",
		func() bool { mu.Lock(); defer mu.Unlock(); return len(bodies) == 5 })
	if !strings.Contains(bodies[4], ".r3</identifier>") {
		t.Errorf("got %s, want revision 3", bodies[4])
	}
}

func TestExportOverUDPAndToFiles(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	s, dir := openStore(t), t.TempDir()
	cot, files := "cot=udp://"+socket.LocalAddr().String(), "geojson=file://"+dir
	for _, target := range []string{cot, files} {
		if err := s.SetMark(t.Context(), target, 0); err != nil {
			t.Fatal(err)
		}
		run(t, s, target, always)
	}
	put(t, s, 0, wire.PhaseBegin)
	put(t, s, 1, wire.PhaseUpdate)
	buf := make([]byte, 64<<10)
	for _, want := range []string{`revision="0"`, `revision="1"`} {
		_ = socket.SetReadDeadline(time.Now().Add(telemetrytest.Patience))
		n, _, err := socket.ReadFrom(buf)
		if err != nil || !strings.Contains(string(buf[:n]), want) {
			t.Errorf("got %s, %v, want %s", buf[:n], err, want)
		}
	}
	telemetrytest.Eventually(t, "the file has the latest state", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "*.geojson"))
		if len(found) != 1 {
			return false
		}
		body, err := os.ReadFile(found[0])
		return err == nil && strings.Contains(string(body), `"revision":1`)
	})
}

// A station that is not active sends nothing, and takes over what the active one may not
// have sent any more.
func TestStandbyTakesOver(t *testing.T) {
	s, dir := openStore(t), t.TempDir()
	target := "geojson=file://" + dir
	if err := s.SetMark(t.Context(), target, 0); err != nil {
		t.Fatal(err)
	}
	put(t, s, 0, wire.PhaseBegin)
	var active atomic.Bool
	asked := make(chan struct{}, 1)
	x, _ := run(t, s, target, func() bool {
		select {
		case asked <- struct{}{}:
		default:
		}
		return active.Load()
	})
	<-asked
	if x.Stats().Sent != 0 {
		t.Error("a station that is not active has sent something")
	}
	active.Store(true)
	telemetrytest.Eventually(t, "it takes over", func() bool { return x.Stats().Sent == 1 })
}

// fullDisk is a store that cannot write until somebody has made room.
type fullDisk struct {
	*store.Store
	room atomic.Bool
}

func (d *fullDisk) SetMark(ctx context.Context, name string, row int64) error {
	if !d.room.Load() {
		return errors.New("database or disk is full")
	}
	return d.Store.SetMark(ctx, name, row)
}

func TestExportsOutliveAFullDisk(t *testing.T) {
	disk := &fullDisk{Store: openStore(t)}
	target := "geojson=file://" + t.TempDir()
	if err := disk.Store.SetMark(t.Context(), target, 0); err != nil {
		t.Fatal(err)
	}
	x, stop := run(t, disk, target, always)
	put(t, disk.Store, 0, wire.PhaseBegin)
	telemetrytest.Eventually(t, "the trouble is told", func() bool {
		st := x.Stats()
		return st.Sent == 1 && strings.Contains(st.Trouble, "full") && !st.Since.IsZero()
	})
	disk.room.Store(true)
	put(t, disk.Store, 1, wire.PhaseUpdate)
	telemetrytest.Eventually(t, "it goes on", func() bool { st := x.Stats(); return st.Sent == 2 && st.Trouble == "" })
	stop()
	if row, _, err := disk.Mark(t.Context(), target); err != nil || row != disk.Last() {
		t.Errorf("got mark %d, %v, want %d", row, err, disk.Last())
	}
}

// An alert must not pass for handed on because a proxy redirected it, nor be passed over
// because a token had expired.
func TestReceiversThatAreWronglySetUp(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			var posts, gets atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method != http.MethodPost:
					gets.Add(1)
				case r.URL.Path == "/moved":
					posts.Add(1)
				default:
					w.Header().Set("Location", "/moved")
					w.WriteHeader(status)
				}
			}))
			defer server.Close()
			s := openStore(t)
			target := "cap=" + server.URL
			if err := s.SetMark(t.Context(), target, 0); err != nil {
				t.Fatal(err)
			}
			put(t, s, 0, wire.PhaseBegin)
			x, stop := run(t, s, target, always)
			follow := status == http.StatusTemporaryRedirect
			telemetrytest.Eventually(t, "it is tried", func() bool {
				st := x.Stats()
				return st.Failed > 0 && st.Trouble != "" || follow && st.Sent == 1
			})
			stop()
			if st := x.Stats(); st.Refused > 0 || gets.Load() > 0 || follow != (st.Sent == 1) || follow != (posts.Load() == 1) {
				t.Errorf("got %+v, %d posts where it was redirected to, %d gets", st, posts.Load(), gets.Load())
			}
		})
	}
}

func TestTargets(t *testing.T) {
	for _, bad := range []string{"", "cap", "pdf=http://h", "cap=ftp://h/x", "cot=udp://h", "cap=http://",
		"geojson=file://", "cap=::"} {
		if _, err := export.ParseTarget(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	target, err := export.ParseTarget("cap=https://ann:secret@host/path")
	if err != nil || strings.Contains(target.String(), "secret") {
		t.Errorf("got %s, %v, want it without the password", target, err)
	}
}
