// Package metrics shows the state of a flying drone to Prometheus. It only reads what the
// drone sends anyway, so a scrape costs the frame path nothing.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// Drone is what is shown. Its methods may be called from any goroutine.
type Drone interface {
	// Health returns the latest health message, nil before the first.
	Health() *wire.Health
	// Frames returns counts since the start.
	Frames() wire.Frames
	// Delivery returns counts since the start, and what waits now.
	Delivery() wire.Delivery
	// Link returns the state of the connection to the broker.
	Link() wire.LinkState
	// Latencies returns the stages of the way from camera to broker, for the time since
	// the start.
	Latencies() map[string]*latency.Histogram
}

// Handler serves the metrics.
func Handler(d Drone) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(d), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// collector reads the drone when it is scraped.
type collector struct {
	drone                                     Drone
	frames, messages, waiting, bytes          *prometheus.Desc
	connected, connections, failures          *prometheus.Desc
	condition, sensor, memory, disk, position *prometheus.Desc
	latency                                   *prometheus.Desc
}

func newCollector(d Drone) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("emberwing_"+name, help, labels, nil)
	}
	return &collector{
		drone:       d,
		frames:      desc("frames_total", "Frames by what became of them.", "fate"),
		messages:    desc("messages_total", "Messages by what became of them.", "fate"),
		waiting:     desc("messages_waiting", "Messages that wait for the link.", "lane"),
		bytes:       desc("statistics_waiting_bytes", "Size of the statistics that wait."),
		connected:   desc("link_connected", "1 while the broker is connected."),
		connections: desc("link_connections_total", "Times the link came up."),
		failures:    desc("link_failures_total", "Connections refused or lost."),
		condition:   desc("condition", "1 for each thing that is wrong.", "code", "severity"),
		sensor:      desc("sensor", "Readings of the board, in their own unit.", "name", "kind", "unit"),
		memory:      desc("memory_bytes", "Memory of the board and of the daemon.", "what"),
		disk:        desc("disk_bytes", "File system of the outbox.", "what"),
		position:    desc("position", "Where the drone is, when known.", "what"),
		latency:     desc("stage_seconds", "Time that a stage takes.", "stage"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	f, d, l := c.drone.Frames(), c.drone.Delivery(), c.drone.Link()
	counts(out, c.frames, map[string]uint64{"captured": f.Captured, "replaced": f.Replaced, "inferred": f.Inferred, "dropped": f.Dropped, "failed": f.Errors})
	counts(out, c.messages, map[string]uint64{"queued": d.Queued, "sent": d.Sent, "arrived": d.Acked, "resent": d.Resent,
		"dropped": d.Dropped, "merged": d.Merged, "set_aside": d.Dead, "alerts_lost": d.AlertsLost})
	gauges(out, c.waiting, map[string]uint64{"alerts": d.AlertDepth, "alerts_in_memory": d.AlertMemory, "statistics": d.BulkDepth})
	gauge(out, c.bytes, float64(d.BulkBytes))
	connected := 0.0
	if l.Connected {
		connected = 1
	}
	gauge(out, c.connected, connected)
	out <- prometheus.MustNewConstMetric(c.connections, prometheus.CounterValue, float64(l.Generation))
	out <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(l.Failures))
	c.collectHealth(out, c.drone.Health())
	for stage, h := range c.drone.Latencies() {
		out <- prometheus.MustNewConstSummary(c.latency, h.Count(), h.Sum().Seconds(), map[float64]float64{
			0.5: h.Quantile(0.5).Seconds(), 0.9: h.Quantile(0.9).Seconds(), 0.99: h.Quantile(0.99).Seconds()}, stage)
	}
}

func (c *collector) collectHealth(out chan<- prometheus.Metric, h *wire.Health) {
	if h == nil {
		return
	}
	for _, x := range h.Conditions {
		gauge(out, c.condition, 1, x.Code, string(x.Severity))
	}
	seen := make(map[[3]string]bool) // boards may call two sensors the same
	for _, s := range h.Sensors {
		if name := [3]string{s.Name, s.Kind, s.Unit}; !seen[name] {
			seen[name] = true
			gauge(out, c.sensor, s.Value, s.Name, s.Kind, s.Unit)
		}
	}
	if m := h.Memory; m != nil {
		gauges(out, c.memory, map[string]uint64{"available": m.AvailableBytes, "total": m.TotalBytes, "process": m.ProcessBytes})
	}
	if d := h.Disk; d != nil {
		gauges(out, c.disk, map[string]uint64{"free": d.FreeBytes, "total": d.TotalBytes, "outbox": d.OutboxBytes})
	}
	if p := h.Position; p != nil {
		for what, v := range map[string]float64{"latitude_degrees": p.Lat, "longitude_degrees": p.Lon, "altitude_metres": p.AltM, "uncertainty_metres": p.UncertaintyM} {
			gauge(out, c.position, v, what)
		}
	}
}

func counts(out chan<- prometheus.Metric, d *prometheus.Desc, values map[string]uint64) {
	for label, v := range values {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
}

func gauges(out chan<- prometheus.Metric, d *prometheus.Desc, values map[string]uint64) {
	for label, v := range values {
		gauge(out, d, float64(v), label)
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}
