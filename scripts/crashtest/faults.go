package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// fault is one thing that goes wrong, and how it is put right.
type fault struct {
	name   string
	strike func() error
	heal   func() error
}

// chaosTime is how long things go wrong; faults last up to longestFault.
const (
	chaosTime    = 1800 * time.Millisecond
	longestFault = 400 * time.Millisecond
)

// faults lists what can go wrong in this world.
func (w *world) faults() []fault {
	restart := func(p *process) func() error { return func() error { return p.start() } }
	kill := func(p *process) func() error { return func() error { p.kill(); return nil } }
	links := func(f func()) func() error { return func() error { f(); return nil } }
	nothing := func() error { return nil }
	list := []fault{
		{"kill drone", func() error { w.kills++; w.drone.kill(); return nil }, restart(w.drone)},
		{"kill station", kill(w.station), restart(w.station)},
		{"wipe broker", w.wipe, w.startBroker},
		{"cut uplink", links(w.up.Cut), links(w.up.Restore)},
		{"reset uplink", links(w.up.Break), nothing},
		{"freeze uplink", links(w.up.BlackHole), links(w.up.Restore)},
		{"hold replies", links(w.up.HoldReplies), func() error { w.up.Break(); w.up.Restore(); return nil }},
		{"step drone's clock", func() error { return w.step("drone.clock") }, nothing},
		{"step station's clock", func() error { return w.step("ground.clock") }, nothing},
	}
	if w.mosquitto {
		list = append(list,
			fault{"kill broker", kill(w.broker), restart(w.broker)},
			fault{"cut feed", links(w.feed.Cut), links(w.feed.Restore)},
			fault{"reset feed", links(w.feed.Break), nothing},
			fault{"freeze feed", links(w.feed.BlackHole), links(w.feed.Restore)})
	}
	return list
}

// wipe kills the broker and removes all it knows.
func (w *world) wipe() error {
	dir, p := w.path("ground.db.broker"), w.station
	if w.mosquitto {
		dir, p = w.path("broker"), w.broker
	}
	p.kill()
	return errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
}

func (w *world) startBroker() error {
	if w.mosquitto {
		return w.broker.start()
	}
	return w.station.start()
}

// step sets a clock a day forward, a day back, or right.
func (w *world) step(file string) error {
	offset := []string{"24h", "-24h", "0s"}[w.rng.IntN(3)]
	return os.WriteFile(w.path(file), []byte(offset), 0o644)
}

// moment is when something happens.
type moment struct {
	at time.Duration
	do func() error
}

// chaos lets two to six faults happen at random times, then puts everything right.
func (w *world) chaos(ctx context.Context) error {
	list := w.faults()
	var plan []moment
	for range 2 + w.rng.IntN(5) {
		f := list[w.rng.IntN(len(list))]
		at := time.Duration(w.rng.Int64N(int64(chaosTime)))
		until := at + time.Duration(w.rng.Int64N(int64(longestFault)))
		w.verdict.Faults = append(w.verdict.Faults, fmt.Sprintf("%s %v..%v", f.name, at.Round(time.Millisecond),
			until.Round(time.Millisecond)))
		plan = append(plan, moment{at, f.strike}, moment{until, f.heal})
	}
	slices.SortStableFunc(plan, func(a, b moment) int { return int(a.at - b.at) })
	start := time.Now()
	for _, m := range plan {
		select {
		case <-time.After(time.Until(start.Add(m.at))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := m.do(); err != nil {
			return err
		}
	}
	return w.heal()
}

// heal starts what does not run and opens the links.
func (w *world) heal() error {
	var err error
	if w.broker != nil {
		err = w.broker.start()
	}
	w.up.Restore()
	if w.feed != nil {
		w.feed.Restore()
	}
	return errors.Join(err, w.station.start(), w.drone.start())
}
