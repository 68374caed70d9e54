// Command fleetsim puts a fleet of simulated drones on a real broker in front of a real
// ground station, and counts what arrives. Each drone has a connection of its own and the
// transport of the real daemon; only camera, models and the outbox on disk are left out.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"emberwing/telemetry/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "fleet: %v\n", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

var errUsage = errors.New("bad usage")

type options struct {
	program      string
	drones, rate int
	seconds      int
	warmup       int
	launch       time.Duration
	share        float64
	broker       string
	cluster      bool
	killNode     bool
	storm        bool
	patience     time.Duration
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	f.StringVar(&o.program, "program", "bin/emberwing", "the tool that runs the station and the cluster")
	f.IntVar(&o.drones, "drones", 300, "simulated drones, each with a connection of its own")
	f.IntVar(&o.rate, "rate", 200, "messages a second, of all together")
	f.IntVar(&o.seconds, "seconds", 20, "length of the measurement")
	f.IntVar(&o.warmup, "warmup", 5, "seconds before it")
	f.DurationVar(&o.launch, "launch", 0, "over which the drones are switched on; 0 takes 1 ms for each")
	f.Float64Var(&o.share, "alerts", 0.1, "share of the messages that are alerts; the others are statistics and health")
	f.StringVar(&o.broker, "broker", "", "address of a broker that runs already; by default a mosquitto is started")
	f.BoolVar(&o.cluster, "cluster", false, "start a cluster of three of our own brokers instead")
	f.BoolVar(&o.killNode, "kill-node", false, "kill one broker of the cluster in the middle of the measurement")
	f.BoolVar(&o.storm, "storm", false, "kill the broker after the measurement, start it again,"+
		" and time the reconnect of all")
	f.DurationVar(&o.patience, "patience", 5*time.Minute, "for everything to arrive, once nothing more is raised")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.drones < 1 || o.rate < 1 || o.seconds < 1 || o.killNode && !o.cluster ||
		o.storm && (o.broker != "" || o.cluster) || f.NArg() > 0 {
		return o, fmt.Errorf("%w: want positive numbers; --kill-node needs --cluster; --storm needs a mosquitto of its own",
			errUsage)
	}
	if o.launch <= 0 {
		o.launch = time.Duration(o.drones) * time.Millisecond
	}
	return o, nil
}

// rig is everything that runs.
type rig struct {
	opts    options
	dir     string
	brokers *brokers
	station *process
	url     string
	swarm   *swarm
	reader  *reader
	page    pageReader
	report  report
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(uint64(o.drones + 500)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "emberwing-fleet-")
	if err != nil {
		return err
	}
	r := &rig{opts: o, dir: dir, report: report{Drones: o.drones, Rate: o.rate, Seconds: o.seconds}}
	err = r.run(ctx)
	if err == nil {
		err = r.report.verdict()
	}
	if err != nil {
		return fmt.Errorf("%w (logs are in %s)", err, dir)
	}
	return os.RemoveAll(dir)
}

func (r *rig) run(ctx context.Context) error {
	if err := r.startServers(ctx); err != nil {
		return err
	}
	defer r.brokers.stop()
	defer r.station.kill()
	flying, land := context.WithCancel(ctx)
	defer land()
	go r.reader.run(flying)
	go r.page.run(flying, r.url)
	if err := r.launch(flying); err != nil {
		return err
	}
	if err := r.measure(ctx); err != nil {
		return err
	}
	if r.opts.storm {
		if err := r.storm(ctx); err != nil {
			return err
		}
	}
	r.collect()
	land()
	r.swarm.wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(&r.report)
}

func (r *rig) startServers(ctx context.Context) (err error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	switch {
	case r.opts.broker != "":
		r.brokers = &brokers{url: r.opts.broker}
	case r.opts.cluster:
		r.brokers, err = startCluster(limited, r.dir, r.opts.program)
	default:
		r.brokers, err = startMosquitto(limited, r.dir)
	}
	if err != nil {
		return err
	}
	if r.station, r.url, err = startStation(limited, r.dir, r.opts.program, r.brokers.url); err != nil {
		return err
	}
	r.reader = newReader(r.url)
	return eventually(limited, "the station is connected", func() bool {
		s, err := station(r.url)
		return err == nil && s.Stats.Connected
	})
}

func (r *rig) launch(ctx context.Context) error {
	s, err := station(r.url)
	if err != nil {
		return err
	}
	key, err := wire.ParseKey(s.Key)
	if err != nil {
		return err
	}
	if r.swarm, err = newSwarm(r.opts.drones, r.brokers.url, []ed25519.PublicKey{key}); err != nil {
		return err
	}
	began := time.Now()
	r.swarm.launch(ctx, r.opts.launch)
	limited, cancel := context.WithTimeout(ctx, r.opts.launch+5*time.Minute)
	defer cancel()
	err = eventually(limited, "all drones are connected", func() bool { return r.swarm.connected() == r.opts.drones })
	r.report.LaunchS = time.Since(began).Seconds()
	say("%d drones connected in %.1f s", r.swarm.connected(), r.report.LaunchS)
	return err
}

// measure lets the fleet talk, and waits until everything has arrived.
func (r *rig) measure(ctx context.Context) error {
	before, err := station(r.url)
	if err != nil {
		return err
	}
	cpu := r.station.cpu()
	total := time.Duration(r.opts.warmup+r.opts.seconds) * time.Second
	talking, hush := context.WithTimeout(ctx, total)
	defer hush()
	warm := time.AfterFunc(time.Duration(r.opts.warmup)*time.Second, func() { r.reader.setWarm(); r.page.setWarm() })
	defer warm.Stop()
	if r.opts.killNode {
		victim := time.AfterFunc(total/2, func() { say("killing one broker of three"); r.brokers.members[0].kill() })
		defer victim.Stop()
	}
	r.report.Alerts, r.report.Bulk, err = r.swarm.generate(talking, r.opts.rate, r.opts.share)
	if err != nil {
		return err
	}
	r.report.StationCPU = (r.station.cpu() - cpu).Seconds() / total.Seconds()
	say("%d alerts and %d other messages, waiting for the last to arrive", r.report.Alerts, r.report.Bulk)
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.countBulk(ctx, before.Stats)
	return nil
}

// countBulk waits until the station has read all statistics, or reads no more: the broker
// may hold some when the last alert is through.
func (r *rig) countBulk(ctx context.Context, before counters) {
	arrived := func() int {
		s, err := station(r.url)
		if err != nil {
			return r.report.BulkArrived
		}
		r.report.BulkReplayed = s.Stats.BulkReplayed - before.BulkReplayed
		return int(s.Stats.Bulk - before.Bulk)
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_ = eventually(limited, "all statistics are in", func() bool {
		r.report.BulkArrived = arrived()
		return r.report.BulkArrived >= r.report.Bulk
	})
}

// settle waits until no drone holds anything and the reader has seen every alert.
func (r *rig) settle(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, r.opts.patience)
	defer cancel()
	raised, began, said := r.swarm.raised(), time.Now(), time.Now()
	err := eventually(limited, "everything arrives", func() bool {
		if time.Since(said) > sayEvery {
			said = time.Now()
			say("%s", r.behind(raised))
		}
		alerts, bulk := r.swarm.waiting()
		missing, _ := r.reader.compare(raised)
		return alerts+bulk+missing == 0
	})
	r.report.SettleS = time.Since(began).Seconds()
	if err != nil {
		return fmt.Errorf("%w: %s", err, r.behind(raised))
	}
	return nil
}

const sayEvery = 10 * time.Second

// behind says what has not arrived.
func (r *rig) behind(raised map[string]bool) string {
	alerts, bulk := r.swarm.waiting()
	missing, _ := r.reader.compare(raised)
	return fmt.Sprintf("%d of %d drones connected, %d alerts and %d others wait on them, %d alerts were not shown",
		r.swarm.connected(), r.opts.drones, alerts, bulk, missing) + r.swarm.laggard()
}

// storm kills the broker under all drones at once and times their return.
func (r *rig) storm(ctx context.Context) error {
	say("killing the broker under all drones")
	r.brokers.members[0].kill()
	if err := eventually(ctx, "all drones notice", func() bool { return r.swarm.connected() == 0 }); err != nil {
		return err
	}
	if err := r.brokers.members[0].start(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	began, last := time.Now(), 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last < r.opts.drones {
		select {
		case <-tick.C:
			now := r.swarm.connected()
			r.report.StormPerS = append(r.report.StormPerS, now-last)
			last = now
		case <-limited.Done():
			return fmt.Errorf("reconnect of all: %w with %d of %d back", limited.Err(), last, r.opts.drones)
		}
	}
	r.report.StormS = time.Since(began).Seconds()
	return nil
}

func (r *rig) collect() {
	rep := &r.report
	raised := r.swarm.raised()
	rep.Missing, rep.Repeated = r.reader.compare(raised)
	rep.Jumps = r.reader.jumps
	rep.ToReader, rep.ToPage, rep.Whole = summarise(&r.reader.ingest), summarise(&r.page.ingest),
		summarise(&r.reader.whole)
	rep.Behind = summarise(&r.swarm.putLate)
	rep.StationMB = r.station.memory()
	for _, p := range r.brokers.members {
		rep.BrokerMB = append(rep.BrokerMB, p.memory())
	}
	for _, d := range r.swarm.drones {
		rep.Resent += d.pipe.Stats().Resent
	}
	if s, err := station(r.url); err == nil {
		rep.Stored, rep.Replayed, rep.Commits = s.Stats.Stored, s.Stats.Replayed, s.Stats.Commits
	}
	rep.readLoad()
}
