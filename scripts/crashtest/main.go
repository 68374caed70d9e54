// Command crashtest runs the whole system over and over, breaks it in every way a field can,
// and checks that every alert a drone raised is in the store of the ground station exactly
// once and was shown to the operator exactly once. scripts/crash builds what it needs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const usage = `crashtest runs drone, broker and ground station as processes of their own, with TCP
proxies between them. While the drone raises alerts it kills them with SIGKILL, cuts,
resets, freezes and half-closes the links, wipes the broker's state and steps clocks by
a day. Then it lets everything recover and compares.

Every second run uses mosquitto, the others the broker built into the station.

Example:
    scripts/crash --runs 50 --seed 1

Options:
`

// options of the command line.
type options struct {
	runs     int
	jobs     int
	seed     uint64
	bin      string
	pictures string
	keep     bool
	json     bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "crashtest:", err)
		return 2
	}
	return o.all(ctx, stdout, stderr)
}

// parse reads the command line; it returns flag.ErrHelp after --help.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("crashtest", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.runs, "runs", 50, "how many runs")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the first run, counted up by one a run")
	fs.IntVar(&o.jobs, "jobs", 4, "runs at a time: they wait more than they work")
	fs.StringVar(&o.bin, "bin", "bin", "folder with emberwing and emberwingd, built with the tag clockstep")
	fs.StringVar(&o.pictures, "pictures", "", "folder with fire/nofire and fire/fire, as synthflight writes them")
	fs.BoolVar(&o.keep, "keep", false, "keep the folder of every run, not only of those that fail")
	fs.BoolVar(&o.json, "json", false, "print one JSON object a run, and the sum as the last")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			fs.SetOutput(stderr)
			fs.PrintDefaults()
		}
		return nil, err
	}
	if fs.NArg() > 0 || o.runs < 1 || o.jobs < 1 {
		return nil, fmt.Errorf("got %d runs and arguments %v, want one or more runs and no arguments", o.runs, fs.Args())
	}
	_, err := os.Stat(filepath.Join(o.pictures, "fire", "fire"))
	if o.pictures == "" || err != nil {
		return nil, fmt.Errorf("no pictures in %q: use scripts/crash, which makes them", o.pictures)
	}
	return o, nil
}

// sum adds up the runs.
type sum struct {
	Runs       int     `json:"runs"`
	Seed       uint64  `json:"seed"`
	Failed     int     `json:"failed"`
	Faults     int     `json:"faults"`
	Raised     int     `json:"raised"`
	Stored     int     `json:"stored"`
	Lost       int     `json:"lost"`
	Duplicates int     `json:"duplicates"`
	ShownTwice int     `json:"shown_twice"`
	Seconds    float64 `json:"seconds"`
}

// outcome is that of one run.
type outcome struct {
	verdict verdict
	err     error
}

// each makes the runs, several at a time, and hands out their outcomes in the order in which
// they end. It goes on after one that fails.
func (o *options) each(ctx context.Context) <-chan outcome {
	seeds, outcomes := make(chan uint64), make(chan outcome)
	go func() {
		defer close(seeds)
		for i := 0; i < o.runs && ctx.Err() == nil; i++ {
			seeds <- o.seed + uint64(i)
		}
	}()
	var wg sync.WaitGroup
	for range o.jobs {
		wg.Go(func() {
			for seed := range seeds {
				v, err := o.one(ctx, seed)
				outcomes <- outcome{v, err}
			}
		})
	}
	go func() {
		wg.Wait()
		close(outcomes)
	}()
	return outcomes
}

// all prints the outcome of every run and their sum.
func (o *options) all(ctx context.Context, stdout, stderr io.Writer) int {
	total := sum{Seed: o.seed}
	start := time.Now()
	for r := range o.each(ctx) {
		if ctx.Err() == nil {
			total.add(r.verdict, r.err)
			o.print(stdout, r.verdict, r.err)
		}
	}
	total.Seconds = time.Since(start).Seconds()
	if o.json {
		_ = json.NewEncoder(stdout).Encode(total)
	} else {
		fmt.Fprintf(stdout, "%d runs from seed %d, %d faults: %d alerts raised, %d stored; "+
			"%d lost, %d duplicate rows, %d shown twice; %d runs failed; %.0f s\n",
			total.Runs, total.Seed, total.Faults, total.Raised, total.Stored, total.Lost, total.Duplicates, total.ShownTwice,
			total.Failed, total.Seconds)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "interrupted")
		return 1
	case total.Failed > 0:
		return 1
	}
	return 0
}

func (s *sum) add(v verdict, err error) {
	s.Runs++
	s.Faults += len(v.Faults)
	s.Raised += v.Raised
	s.Stored += v.Stored
	s.Lost += len(v.Lost)
	s.Duplicates += len(v.Duplicates)
	s.ShownTwice += len(v.ShownTwice)
	if err != nil || !v.ok() {
		s.Failed++
	}
}

// one makes one run in a folder of its own, which stays only when something is wrong.
func (o *options) one(ctx context.Context, seed uint64) (verdict, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("emberwing-crash-%d-", seed))
	if err != nil {
		return verdict{Seed: seed}, err
	}
	start := time.Now()
	v, err := newWorld(dir, seed, o).live(ctx)
	v.Seed, v.Dir, v.Seconds = seed, dir, time.Since(start).Seconds()
	if err == nil && v.ok() && !o.keep || ctx.Err() != nil {
		os.RemoveAll(dir)
	}
	return v, err
}

func (o *options) print(w io.Writer, v verdict, err error) {
	if o.json {
		line := struct {
			verdict
			OK    bool   `json:"ok"`
			Error string `json:"error,omitempty"`
		}{verdict: v, OK: err == nil && v.ok()}
		if err != nil {
			line.Error = err.Error()
		}
		_ = json.NewEncoder(w).Encode(line)
		return
	}
	fmt.Fprintf(w, "seed %d (%s): %d faults, %d raised, %d stored, %.1f s", v.Seed, v.Broker, len(v.Faults), v.Raised,
		v.Stored, v.Seconds)
	if err != nil || !v.ok() {
		fmt.Fprintf(w, " FAILED: %v lost %v, %d missing numbers, refused %v, duplicates %v, shown twice %v, not raised %v; "+
			"faults %v; logs in %s; repeat with --runs 1 --seed %d",
			err, v.Lost, v.Gaps, v.Refused, v.Duplicates, v.ShownTwice, v.Phantoms, v.Faults, v.Dir, v.Seed)
	}
	fmt.Fprintln(w)
}
