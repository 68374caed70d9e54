package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"emberwing/telemetry/telemetrytest/link"
)

// world is one run: a drone, a broker, a station, an operator, and the links between them.
type world struct {
	dir       string
	opts      *options
	rng       *rand.Rand
	mosquitto bool

	broker, station, drone *process   // broker is nil when it is part of the station
	up, feed               *link.Link // drone to broker, station to broker; feed is nil without mosquitto
	brokerPort             int
	operator               operator
	raised, refused        *tally
	kills                  int          // of the drone
	ups                    atomic.Int64 // times the drone had a connection
	keys                   chan string
	verdict                verdict
}

func newWorld(dir string, seed uint64, o *options) *world {
	w := &world{
		dir: dir, opts: o, rng: rand.New(rand.NewPCG(seed, 5)), mosquitto: seed%2 == 0,
		raised: newTally(), refused: newTally(), keys: make(chan string, 16), operator: operator{shown: newTally()},
	}
	w.verdict.Broker = "built-in broker"
	if w.mosquitto {
		w.verdict.Broker = "mosquitto"
	}
	return w
}

// patience bounds what should take a moment, on a machine that is busy.
const patience = 5 * time.Minute

// live makes the run.
func (w *world) live(ctx context.Context) (verdict, error) {
	defer w.close()
	if err := w.begin(ctx); err != nil {
		return w.verdict, err
	}
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.operator.watch(watching) })
	defer wg.Wait()
	defer stop()
	err := w.await(ctx, "first alert", func() bool { return len(w.raised.copy()) > 0 })
	if err == nil {
		err = w.chaos(ctx)
	}
	if err == nil {
		err = w.recover(ctx)
	}
	stop()
	wg.Wait()
	if err == nil {
		err = w.compare(ctx)
	}
	return w.verdict, err
}

// begin starts everything.
func (w *world) begin(ctx context.Context) error {
	err := errors.Join(w.prepareBroker(), w.prepareStation())
	if err != nil {
		return err
	}
	if w.broker != nil {
		err = w.broker.start()
	}
	if err = errors.Join(err, w.station.start()); err != nil {
		return err
	}
	select {
	case key := <-w.keys:
		err = w.prepareDrone(key)
	case <-time.After(patience):
		err = errors.New("the station does not start")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return w.drone.start()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) prepareBroker() (err error) {
	if w.brokerPort, err = freePort(); err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(w.brokerPort)
	if w.up, err = link.New("127.0.0.1:0", address); err != nil || !w.mosquitto {
		return err
	}
	if w.feed, err = link.New("127.0.0.1:0", address); err != nil {
		return err
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"+
		"persistence_location %s/\nautosave_interval 1\nautosave_on_changes true\n",
		w.brokerPort, w.path("broker"))
	if os.Geteuid() == 0 {
		conf += "user root\n" // else it gives up root and cannot write to the folder
	}
	err = errors.Join(os.Mkdir(w.path("broker"), 0o755), os.WriteFile(w.path("mosquitto.conf"), []byte(conf), 0o644))
	if err != nil {
		return err
	}
	w.broker, err = newProcess(w.dir, "mosquitto", []string{mosquittoPath(), "-c", w.path("mosquitto.conf")}, nil, nil)
	return err
}

// mosquittoPath is where Debian puts it: sbin is in the path of root only.
func mosquittoPath() string { return "/usr/sbin/mosquitto" }

var keyLine = regexp.MustCompile(`^keys = \["(ed25519:[^"]+)"\]`)

func (w *world) prepareStation() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	w.operator.url = "http://" + listen
	args := []string{filepath.Join(w.opts.bin, "emberwing"), "ground", "--listen", listen, "--store",
		w.path("ground.db"), "--name", "crash"}
	if w.mosquitto {
		args = append(args, "--broker", w.feed.URL())
	} else {
		args = append(args, "--mqtt-listen", "127.0.0.1:"+strconv.Itoa(w.brokerPort))
	}
	env := []string{"EMBERTEST_CLOCK=" + w.path("ground.clock")}
	w.station, err = newProcess(w.dir, "ground", args, env, func(line string) {
		if m := keyLine.FindStringSubmatch(line); m != nil {
			select {
			case w.keys <- m[1]:
			default:
			}
		}
	})
	return err
}

var alertLine = regexp.MustCompile(`msg=alert .*event=(\S+) revision=(\d+)`)

// prepareDrone writes two configurations: one whose camera sees fire come and go, and one
// that sees none, for the time when what was raised is sent.
func (w *world) prepareDrone(key string) error {
	for _, name := range []string{"fire", "calm"} {
		if err := w.film(name); err != nil {
			return err
		}
		text := fmt.Sprintf(droneConfig, w.path(name), w.up.URL(), w.path("outbox.db"), key, w.path("commands.json"))
		if err := os.WriteFile(w.path(name+".toml"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := []string{filepath.Join(w.opts.bin, "emberwingd"), "--config", w.path("fire.toml")}
	var err error
	env := []string{"EMBERTEST_CLOCK=" + w.path("drone.clock")}
	w.drone, err = newProcess(w.dir, "drone", args, env, func(line string) {
		if m := alertLine.FindStringSubmatch(line); m != nil {
			w.raised.add(m[1] + "/" + m[2])
		}
		if strings.Contains(line, `msg="alert refused"`) {
			w.refused.add(line)
		}
		if strings.Contains(line, `msg="mqtt link up"`) {
			w.ups.Add(1)
		}
	})
	return err
}

const droneConfig = `
[drone]
fleet = "crash"
id = "d1"
[camera]
kind = "folder"
source = %q
fps = 15.0
[inference]
providers = ["cpu"]
threads = 1
[fire]
window = 1
agree = 1
threshold = 0.6
dwell = "1ms"
update = "100ms"
[gesture]
enabled = false
[mqtt]
broker = %q
keep_alive = "2s"
backoff_min = "20ms"
backoff_max = "200ms"
receipt_timeout = "500ms"
[outbox]
path = %q
[commands]
keys = [%q]
state = %q
[telemetry]
stats_every = "500ms"
health_every = "500ms"
`

// film links pictures into a folder in the order in which the drone sees them.
func (w *world) film(name string) error {
	if err := os.Mkdir(w.path(name), 0o755); err != nil {
		return err
	}
	calm, err := filepath.Glob(filepath.Join(w.opts.pictures, "fire", "nofire", "*.jpg"))
	if err != nil || len(calm) == 0 {
		return fmt.Errorf("no pictures without fire in %s: %w", w.opts.pictures, err)
	}
	fire, err := filepath.Glob(filepath.Join(w.opts.pictures, "fire", "fire", "*.jpg"))
	if err != nil || len(fire) == 0 {
		return fmt.Errorf("no pictures with fire in %s: %w", w.opts.pictures, err)
	}
	for i := range 60 {
		from := calm[i%len(calm)]
		if name == "fire" && i%4 >= 2 {
			from = fire[i%len(fire)]
		}
		if err := os.Symlink(from, filepath.Join(w.path(name), fmt.Sprintf("%03d.jpg", i))); err != nil {
			return err
		}
	}
	return nil
}

// await waits until ok returns true.
func (w *world) await(ctx context.Context, what string, ok func() bool) error {
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("%s: not within %v", what, patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// recover ends the flight, then flies without fire until all that was raised is shown and
// the drone has nothing left.
func (w *world) recover(ctx context.Context) error {
	if w.rng.IntN(2) == 0 {
		w.kills++
		w.drone.kill()
	} else {
		w.drone.end(syscall.SIGINT)
	}
	raised := w.raised.copy()
	w.drone.args[2] = w.path("calm.toml")
	for range 10 {
		before := w.ups.Load()
		if err := w.drone.start(); err != nil {
			return err
		}
		err := w.await(ctx, fmt.Sprintf("all of %d alerts shown", len(raised)), func() bool {
			return w.operator.shown.has(raised) && w.ups.Load() > before
		})
		if err != nil {
			if ctx.Err() == nil {
				w.verdict.judge(raised, w.operator.shown.copy(), w.operator.shown.copy(), w.kills)
			}
			return err
		}
		if w.drone.end(syscall.SIGINT) == 0 {
			return nil
		}
	}
	return errors.New("everything has arrived, but the drone keeps alerts after ten flights")
}

// compare ends the station and looks into its store.
func (w *world) compare(ctx context.Context) error {
	w.station.end(syscall.SIGINT)
	stored, gaps, err := readStore(ctx, w.path("ground.db"))
	if err != nil {
		return err
	}
	w.verdict.Gaps, w.verdict.Refused = gaps, slices.Sorted(maps.Keys(w.refused.copy()))
	w.verdict.Resets = w.operator.resets
	w.verdict.judge(w.raised.copy(), stored, w.operator.shown.copy(), w.kills)
	return nil
}

func (w *world) close() {
	for _, p := range []*process{w.drone, w.station, w.broker} {
		p.kill()
		if p != nil {
			p.log.Close()
		}
	}
	for _, l := range []*link.Link{w.up, w.feed} {
		if l != nil {
			l.Close()
		}
	}
}
