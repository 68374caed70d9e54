package drone

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"emberwing/firmware/metrics"
	"emberwing/firmware/pipeline"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// gauges shows the drone to Prometheus.
type gauges struct {
	d     *Drone
	total map[string]*latency.Histogram // of periods that are over
}

// Health implements metrics.Drone.
func (g *gauges) Health() *wire.Health { return g.d.periodic.latest.Load() }

// Frames implements metrics.Drone.
func (g *gauges) Frames() wire.Frames { return framesOf(g.d.loop.Counts()) }

// Delivery implements metrics.Drone.
func (g *gauges) Delivery() wire.Delivery { return g.d.link.Delivery() }

// Link implements metrics.Drone.
func (g *gauges) Link() wire.LinkState { return g.d.link.State() }

// Latencies implements metrics.Drone.
func (g *gauges) Latencies() map[string]*latency.Histogram { return g.total }

// stageNames are the stages of the statistics, in their order.
func stageNames() (names []string) {
	for _, s := range pipeline.Stages() {
		names = append(names, s.String())
	}
	return append(names, "enqueue", "publish")
}

// serveMetrics serves Prometheus while the drone flies, when the configuration says so.
func (d *Drone) serveMetrics() (stop func(), err error) {
	if d.cfg.Metrics.Listen == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", d.cfg.Metrics.Listen)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	server := &http.Server{Handler: metrics.Handler(&gauges{d, d.periodic.total}), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with ErrServerClosed
	}()
	d.log.Info("metrics", "url", fmt.Sprintf("http://%s/metrics", l.Addr()))
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
		<-ended
	}, nil
}
