package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"emberwing/telemetry/latency"
)

// report is the result, one line of JSON.
type report struct {
	Drones  int     `json:"drones"`
	Rate    int     `json:"rate"` // messages a second asked for
	Seconds int     `json:"seconds"`
	LaunchS float64 `json:"launch_s"` // until all drones were connected

	SettleS float64 `json:"settle_s"` // from the last message raised until all had arrived

	Alerts      int    `json:"alerts"` // raised
	Stored      uint64 `json:"stored"`
	Missing     int    `json:"missing"`      // raised and never shown
	Repeated    int    `json:"repeated"`     // shown more than once
	Jumps       int    `json:"jumps"`        // rows of the feed out of order
	Replayed    uint64 `json:"replayed"`     // arrived more than once and dropped
	Resent      uint64 `json:"resent"`       // by drones
	Bulk        int    `json:"bulk"`         // statistics and health sent
	BulkArrived int    `json:"bulk_arrived"` // without repetitions

	BulkReplayed uint64 `json:"bulk_replayed"` // arrived more than once and dropped

	Commits uint64 `json:"commits"`

	ToReader quantiles `json:"ingest_to_feed_reader"` // arrival at the station → program that follows the feed
	ToPage   quantiles `json:"ingest_to_page"`        // arrival at the station → stream of the live page
	Whole    quantiles `json:"drone_to_feed_reader"`  // capture on the drone → program that follows the feed
	Behind   quantiles `json:"generator_behind"`      // of its plan: how starved the machine was

	StormS    float64 `json:"storm_s,omitempty"`     // broker back → all drones connected
	StormPerS []int   `json:"storm_per_s,omitempty"` // connections in each second of that

	StationMB  int     `json:"station_mb"`
	StationCPU float64 `json:"station_cpu"` // processors, on average
	BrokerMB   []int   `json:"broker_mb"`
	CPUs       int     `json:"cpus"`
	Load       string  `json:"load"` // of the machine, afterwards
}

// quantiles in milliseconds.
type quantiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

func summarise(h *latency.Histogram) quantiles {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return quantiles{h.Count(), ms(h.Quantile(0.5)), ms(h.Quantile(0.99)), ms(h.Quantile(0.999)), ms(h.Max())}
}

func (r *report) readLoad() {
	r.CPUs = runtime.NumCPU()
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		var one, five, fifteen string
		_, _ = fmt.Sscan(string(b), &one, &five, &fifteen)
		r.Load = one + " " + five + " " + fifteen
	}
}

// verdict judges what must hold on any machine; times are reported, not judged.
func (r *report) verdict() error {
	if r.Missing+r.Repeated+r.Jumps > 0 || int(r.Stored) != r.Alerts || r.Alerts == 0 {
		return fmt.Errorf("of %d alerts %d were stored, %d were not shown, %d were shown twice, %d rows came out of order",
			r.Alerts, r.Stored, r.Missing, r.Repeated, r.Jumps)
	}
	if r.BulkArrived != r.Bulk {
		return fmt.Errorf("of %d statistics and health messages %d arrived", r.Bulk, r.BulkArrived)
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "fleet: "+format+"\n", args...) }

// eventually waits until ok, or until ctx ends.
func eventually(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// raiseFileLimit makes room for that many sockets, here and in the programs that are started.
func raiseFileLimit(want uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = max(limit.Cur, want)
	limit.Max = max(limit.Max, limit.Cur)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("open %d files: %w (fewer --drones, or ulimit -n %d as root)", want, err, want)
	}
	return nil
}
