//go:build linux

package cli

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// fullStation is a station in a process of its own, whose files the kernel lets grow to a
// limit only: a write beyond it fails as it does on a full disk.
type fullStation struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  lockedBuffer
	page string
}

func startFull(t *testing.T, broker, db string, limit uint64) *fullStation {
	t.Helper()
	s := &fullStation{t: t, page: freePort(t)}
	s.cmd = exec.Command(os.Args[0], "ground", "--broker", broker, "--listen", s.page, "--store", db, "--name", "hill")
	s.cmd.Args[0] = "emberwing" // by which TestMain knows what to be
	s.cmd.Stderr = &s.log
	s.cmd.Env = append(os.Environ(), "GOCOVERDIR=")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	s.limit(limit)
	feedUp(t, &s.log)
	return s
}

// limit bounds every file of the process; it may be raised and lowered.
func (s *fullStation) limit(bytes uint64) {
	s.t.Helper()
	err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *fullStation) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL) // it may be dead already
	_ = s.cmd.Wait()
}

// get returns what the station serves, "" when it does not answer.
func (s *fullStation) get(path string) string {
	resp, err := http.Get("http://" + s.page + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what there is of it
	return string(body)
}

// alarm reports whether the store's alarm is raised wherever people and programs look.
func (s *fullStation) alarm(raised bool) bool {
	return strings.Contains(s.get("/api/v1/station"), `"store-failed"`) == raised &&
		strings.Contains(s.get("/metrics"), `emberwing_ground_alarm{code="store-failed"} 1`) == raised &&
		strings.Contains(s.told(), `"store-failed"`) == raised
}

// told returns what a browser is told of the station.
func (s *fullStation) told() string {
	resp, err := http.Get("http://" + s.page + "/events")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), `"station":`) {
			return lines.Text()
		}
	}
	return ""
}

// deafDrone sends alerts and notes what receipts it gets.
type deafDrone struct {
	t    *testing.T
	conn *mqtt.Conn
	key  ed25519.PublicKey

	mu       sync.Mutex
	receipts map[uint64]bool
}

func newDeafDrone(t *testing.T, url string, key ed25519.PublicKey) *deafDrone {
	t.Helper()
	d := &deafDrone{t: t, key: key, receipts: make(map[uint64]bool)}
	var err error
	d.conn, err = mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: "kite", Receive: d.receive})
	if err == nil {
		err = d.conn.Wait(t.Context(), d.conn.Subscribe("ew/1/f/kite/receipt"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.conn.Abort)
	return d
}

func (d *deafDrone) receive(m mqtt.Message) {
	decoded, err := wire.Decode(m.Topic, m.Payload)
	r, ok := decoded.(*wire.Receipt)
	if err != nil || !ok || wire.Verify(r, []ed25519.PublicKey{d.key}) != nil {
		d.t.Errorf("got %s %s, %v, want a signed receipt", m.Topic, m.Payload, err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, run := range r.Stored {
		for n := run.From; n <= run.To; n++ {
			d.receipts[n] = true
		}
	}
}

// receipted counts the receipts, of the numbers up to n.
func (d *deafDrone) receipted(n uint64) (count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for seq := range d.receipts {
		if seq <= n {
			count++
		}
	}
	return count
}

// raise sends the alerts with these numbers, each an event of its own with a picture.
func (d *deafDrone) raise(from, to uint64) {
	d.t.Helper()
	for n := from; n <= to; n++ {
		a := groundAlert(n, 0)
		a.Event, a.Phase = fmt.Sprintf("e%d", n), wire.PhaseBegin
		a.Evidence.Thumb = noise(d.t, n)
		payload, err := wire.Append(nil, a)
		if err == nil {
			err = d.conn.Wait(d.t.Context(), d.conn.Publish(mqtt.Message{Topic: a.Topic().String(), Payload: payload, QoS: 1}))
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// noise is a picture that fills pages.
func noise(t *testing.T, seed uint64) []byte {
	t.Helper()
	img, rng := image.NewGray(image.Rect(0, 0, 96, 96)), rand.New(rand.NewPCG(seed, 1))
	for i := range img.Pix {
		img.Pix[i] = byte(rng.Uint32())
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A station whose disk is full shows alerts and gives no receipt for them, says so on its
// page, to Prometheus and in its log, and goes on when there is room. Killed meanwhile, it
// has everything that it gave a receipt for, and what it gave none for comes again.
func TestFullDiskLosesNothing(t *testing.T) {
	b := telemetrytest.NewMosquitto(t)
	db := filepath.Join(t.TempDir(), "g.db")
	key, err := ground.LoadKey(db + ".key")
	if err != nil {
		t.Fatal(err)
	}
	drone := newDeafDrone(t, b.URL(), key.Public().(ed25519.PublicKey))
	const roomy, tight = 1 << 30, 500_000
	s := startFull(t, b.URL(), db, tight)
	drone.raise(1, 100)
	telemetrytest.Eventually(t, "the alarm is raised", func() bool { return s.alarm(true) })
	telemetrytest.Eventually(t, "alerts without a place are shown", func() bool {
		return strings.Count(s.get("/state"), `"event":"e`) == 100
	})
	if n := drone.receipted(100); n == 0 || n == 100 || !strings.Contains(s.log.String(), "station alarm") {
		t.Fatalf("got %d receipts on a full disk and the log %s, want some, and the alarm", n, s.log.String())
	}
	s.limit(roomy)
	telemetrytest.Eventually(t, "with room, all get their receipts", func() bool { return drone.receipted(100) == 100 })
	telemetrytest.Eventually(t, "and the alarm is over", func() bool { return s.alarm(false) })

	s.limit(tight) // below what the files have
	drone.raise(101, 130)
	telemetrytest.Eventually(t, "the alarm is raised again", func() bool { return s.alarm(true) })
	s.kill()
	promised := drone.receipted(130)
	wantStored(t, db, drone, promised)

	s = startFull(t, b.URL(), db, roomy)
	drone.raise(101, 130) // as drones do, without a receipt
	telemetrytest.Eventually(t, "all get their receipts", func() bool { return drone.receipted(130) == 130 })
	s.kill()
	wantStored(t, db, drone, 130)
}

// wantStored checks that every receipt stands for a stored alert, and that none is there twice.
func wantStored(t *testing.T, path string, d *deafDrone, most int) {
	t.Helper()
	db, err := store.Open(path, store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	feed, err := db.Feed(t.Context(), 0, 1000)
	if err != nil || db.Salvaged() != nil {
		t.Fatalf("got %v, %+v", err, db.Salvaged())
	}
	stored := make(map[uint64]bool)
	for _, e := range feed {
		if e.Alert != nil && stored[e.Alert.Seq] {
			t.Errorf("alert %d is stored twice", e.Alert.Seq)
		}
		if e.Alert != nil {
			stored[e.Alert.Seq] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for seq := range d.receipts {
		if !stored[seq] {
			t.Errorf("alert %d has a receipt and is not stored", seq)
		}
	}
	if len(stored) < most {
		t.Errorf("got %d alerts stored, want %d or more", len(stored), most)
	}
}
