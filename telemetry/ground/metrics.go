package ground

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"emberwing/telemetry/export"
	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// metrics serves the counters of the station and the state of each drone.
func (s *Station) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(s), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the station when it is scraped.
type collector struct {
	s                         *Station
	messages, refused, alerts *prometheus.Desc
	waiting, receipts, orders *prometheus.Desc
	connected, active, alarm  *prometheus.Desc
	storeBytes, feedRows      *prometheus.Desc
	removed, exports          *prometheus.Desc
	latency                   *prometheus.Desc
	online, age, depth        *prometheus.Desc
	missing, temperature      *prometheus.Desc
}

func newCollector(s *Station) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("emberwing_"+name, help, labels, nil)
	}
	return &collector{
		s:          s,
		messages:   desc("ground_messages_total", "Messages received, good or bad."),
		refused:    desc("ground_messages_refused_total", "Messages that were not taken, by reason.", "reason"),
		alerts:     desc("ground_alerts_total", "Alerts and results, by what became of them.", "fate"),
		waiting:    desc("ground_unstored", "Alerts and results in memory because the store does not take them."),
		receipts:   desc("ground_receipts_total", "Receipts, by whether they were sent.", "sent"),
		orders:     desc("ground_commands_sent_total", "Commands sent, repetitions included."),
		connected:  desc("ground_connected", "1 while the station is connected to the broker."),
		active:     desc("ground_active", "1 while this station, of all on the broker, hands alerts on."),
		alarm:      desc("ground_alarm", "1 for each thing that is wrong with the station.", "code"),
		storeBytes: desc("ground_store_bytes", "Size of the store and of its log."),
		feedRows:   desc("ground_feed_rows", "Newest row of the feed."),
		removed:    desc("ground_store_removed_total", "Removed from the store to stay within its limits.", "what"),
		exports: desc("ground_exports_total", "Steps of events handed on to a target, by what became of them.",
			"target", "fate"),
		latency: desc("ground_ingest_seconds", "From the arrival of an alert until it was on disk or shown.", "until"),
		online:  desc("drone_online", "1 while the drone is connected, 0 when it is not or unknown.", "fleet", "drone"),
		age:     desc("drone_age_seconds", "Since the latest message of the drone.", "fleet", "drone"),
		depth:   desc("drone_waiting", "Messages that wait on the drone, by its latest word.", "fleet", "drone", "lane"),
		missing: desc("drone_missing", "Alerts missing in the sequence of the drone.", "fleet", "drone"),
		temperature: desc("drone_temperature_celsius", "Temperatures by the latest health message.", "fleet", "drone",
			"sensor"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.collectStation(out)
	now := time.Now()
	for _, d := range c.s.Drones() {
		c.collectDrone(out, &d, now)
	}
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (c *collector) collectStation(out chan<- prometheus.Metric) {
	s := c.s.Stats()
	counter(out, c.messages, s.Messages)
	counter(out, c.refused, s.Malformed, "malformed")
	counter(out, c.refused, s.Oversized, "oversized")
	counter(out, c.refused, s.Mismatched, "other_drone")
	counter(out, c.refused, s.StaleWills, "stale_will")
	counter(out, c.refused, s.Forged, "forged_verdict")
	counter(out, c.alerts, s.Stored, "stored")
	counter(out, c.alerts, s.Replayed, "replayed")
	counter(out, c.alerts, s.Conflicts, "conflict")
	counter(out, c.alerts, s.Given, "given_up")
	gauge(out, c.waiting, float64(s.Unstored))
	counter(out, c.receipts, s.Receipts, "yes")
	counter(out, c.receipts, s.NoReceipt, "no")
	counter(out, c.orders, s.Orders)
	gauge(out, c.connected, truth(s.Connected))
	gauge(out, c.active, truth(s.Active))
	for _, a := range c.s.Alarms() {
		gauge(out, c.alarm, 1, a.Code)
	}
	gauge(out, c.storeBytes, float64(c.s.opts.Store.Size()))
	gauge(out, c.feedRows, float64(c.s.opts.Store.Last()))
	counter(out, c.removed, s.Removed.Pictures, "picture")
	counter(out, c.removed, s.Removed.Events, "event")
	counter(out, c.removed, s.Removed.Others, "other")
	c.collectExports(out)
	c.summary(out, &c.s.toDisk, "disk")
	c.summary(out, &c.s.toPage, "page")
}

// collectExports adds up exporters of the same target, of which Prometheus takes only one.
func (c *collector) collectExports(out chan<- prometheus.Metric) {
	sums := make(map[string]export.Stats)
	for _, x := range c.s.exporters() {
		st, sum := x.Stats(), sums[x.Target.String()]
		sum.Sent, sum.Failed, sum.Refused, sum.Skipped = sum.Sent+st.Sent, sum.Failed+st.Failed, sum.Refused+st.Refused,
			sum.Skipped+st.Skipped
		sums[x.Target.String()] = sum
	}
	for target, sum := range sums {
		counter(out, c.exports, sum.Sent, target, "sent")
		counter(out, c.exports, sum.Failed, target, "retried")
		counter(out, c.exports, sum.Refused, target, "refused")
		counter(out, c.exports, sum.Skipped, target, "without_position")
	}
}

func (c *collector) summary(out chan<- prometheus.Metric, h *latency.Histogram, until string) {
	quantiles := map[float64]float64{}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		quantiles[q] = h.Quantile(q).Seconds()
	}
	out <- prometheus.MustNewConstSummary(c.latency, h.Count(), h.Sum().Seconds(), quantiles, until)
}

func (c *collector) collectDrone(out chan<- prometheus.Metric, d *Drone, now time.Time) {
	gauge(out, c.online, truth(d.Status != nil && d.Status.State == wire.Online), d.Fleet, d.Drone)
	if age := d.age(now); age >= 0 {
		gauge(out, c.age, age.Seconds(), d.Fleet, d.Drone)
	}
	alerts, bulk := d.Depth()
	gauge(out, c.depth, float64(alerts), d.Fleet, d.Drone, "alert")
	gauge(out, c.depth, float64(bulk), d.Fleet, d.Drone, "bulk")
	gauge(out, c.missing, float64(d.Missing), d.Fleet, d.Drone)
	if d.Health == nil {
		return
	}
	seen := make(map[string]bool)
	for _, s := range d.Health.Sensors {
		if s.Kind == "temperature" && !seen[s.Name] {
			seen[s.Name] = true
			gauge(out, c.temperature, s.Value, d.Fleet, d.Drone, s.Name)
		}
	}
}
