package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"emberwing/telemetry/wire"
)

// validate checks every value against its range, and values against each
// other where one decides what another may be.
func (d *decoder) validate() {
	d.drone(d.cfg.Drone)
	d.camera(d.cfg.Camera)
	d.inference(d.cfg.Inference)
	d.task("fire", d.cfg.Fire)
	d.task("gesture", d.cfg.Gesture)
	d.mqtt(d.cfg.MQTT)
	d.commands(d.cfg.Commands)
	d.position(d.cfg.Position)
	d.rest(d.cfg)
}

// want records a fault at key unless ok.
func (d *decoder) want(ok bool, key, format string, args ...any) {
	path := strings.Split(key, ".")
	if ok || d.faulty(key) {
		return
	}
	d.fault(path, fmt.Sprintf(format, args...))
}

// faulty tells whether key already has a fault; one is enough to act on.
func (d *decoder) faulty(key string) bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return f.Key == key })
}

func (d *decoder) drone(c Drone) {
	d.want(topicLevel(c.Fleet), "drone.fleet", "want 1..64 letters, digits, '-', '_' or '.': it is a topic level")
	d.want(topicLevel(c.ID), "drone.id", "want 1..64 letters, digits, '-', '_' or '.': it is a topic level")
}

// topicLevel tells whether s can stand between two slashes of a topic.
func topicLevel(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	return len(s) >= 1 && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

func (d *decoder) camera(c Camera) {
	kinds := []CameraKind{Synthetic, Folder, Video, V4L2, RTSP, CSI, GStreamer}
	d.want(slices.Contains(kinds, c.Kind), "camera.kind", "want one of %v", kinds)
	needs := slices.Contains([]CameraKind{Folder, Video, V4L2, RTSP, GStreamer}, c.Kind)
	d.want(!needs || c.Source != "", "camera.source", "want a path, device, URL or pipeline for kind %q", c.Kind)
	d.want(c.Width >= 0 && c.Width <= 8192, "camera.width", "want 0..8192 pixels")
	d.want(c.Height >= 0 && c.Height <= 8192, "camera.height", "want 0..8192 pixels")
	d.want(c.FPS >= 0 && c.FPS <= 240, "camera.fps", "want 0..240 frames per second")
	d.within("camera.length", c.Length, 5*time.Second, time.Hour)
	d.want(c.Flip >= 0 && c.Flip <= 7, "camera.flip", "want 0..7, nvvidconv's flip-method")
	d.within("camera.stall_after", c.StallAfter, 100*time.Millisecond, time.Minute)
}

func (d *decoder) within(key string, v Duration, low, high time.Duration) {
	d.want(v.D() >= low && v.D() <= high, key, "want %v..%v", low, high)
}

func (d *decoder) inference(c Inference) {
	known := []string{"tensorrt", "cuda", "cpu"}
	bad := slices.IndexFunc(c.Providers, func(p string) bool { return !slices.Contains(known, p) })
	d.want(len(c.Providers) > 0 && bad < 0, "inference.providers", "want one or more of %v in order of preference", known)
	d.want(c.Threads >= 0 && c.Threads <= 256, "inference.threads", "want 0..256")
}

func (d *decoder) task(name string, c Task) {
	key := func(k string) string { return name + "." + k }
	d.want(!c.Enabled || c.Model != "", key("model"), "want the name of a model or the path of a manifest")
	precisions := []string{"fp32", "fp16", "int8"}
	d.want(slices.Contains(precisions, c.Precision), key("precision"), "want one of %v", precisions)
	d.want(c.Every >= 1 && c.Every <= 1000, key("every"), "want 1..1000")
	d.want(c.Threshold >= 0 && c.Threshold < 1, key("threshold"), "want a calibrated score in (0,1), or 0 for the manifest's")
	d.want(c.Release >= 0 && (c.Threshold == 0 || c.Release <= c.Threshold) && c.Release < 1,
		key("release"), "want at most the threshold, or 0 for the manifest's")
	d.want(c.Window >= 0 && c.Window <= 256, key("window"), "want 1..256 frames, or 0 for the manifest's")
	d.want(c.Agree >= 0 && (c.Window == 0 || c.Agree <= c.Window), key("agree"), "want at most the window, or 0 for the manifest's")
	d.within(key("dwell"), c.Dwell, 0, time.Minute)
	d.within(key("update"), c.Update, 100*time.Millisecond, time.Hour)
}

func (d *decoder) mqtt(c MQTT) {
	u, err := url.Parse(c.Broker)
	schemes := []string{"tcp", "mqtt", "ssl", "tls", "mqtts"}
	d.want(err == nil && slices.Contains(schemes, u.Scheme) && u.Hostname() != "", "mqtt.broker", "want tcp://host:1883 or ssl://host:8883")
	d.want(err != nil || u.User == nil, "mqtt.broker", "want no password in the address: use username and password_file")
	d.within("mqtt.keep_alive", c.KeepAlive, time.Second, 10*time.Minute)
	d.within("mqtt.backoff_min", c.BackoffMin, 10*time.Millisecond, time.Minute)
	d.within("mqtt.backoff_max", c.BackoffMax, c.BackoffMin.D(), time.Hour)
	d.want(c.Ack == AckReceipt || c.Ack == AckBroker, "mqtt.ack", "want %q or %q", AckReceipt, AckBroker)
	d.within("mqtt.receipt_timeout", c.ReceiptTimeout, 100*time.Millisecond, time.Hour)
	d.want((c.CertFile == "") == (c.KeyFile == ""), "mqtt.cert_file", "want cert_file and key_file, or neither")
	secure := err != nil || slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme)
	d.want(secure || c.CertFile == "" && c.CAFile == "", "mqtt.broker", "want ssl://host:8883: there are certificates, and tcp would not use them")
}

func (d *decoder) commands(c Commands) {
	for _, k := range c.Keys {
		_, err := wire.ParseKey(k)
		d.want(err == nil, "commands.keys", "want lines that the ground station prints: ed25519: and 44 characters")
	}
	d.want(len(c.Keys) <= wire.MaxList, "commands.keys", "want at most %d keys", wire.MaxList)
	d.want(len(c.Keys) == 0 || c.State != "", "commands.state", "want the path of a file")
	d.want(c.ThresholdMin > 0 && c.ThresholdMin < 1, "commands.threshold_min", "want a score in (0,1)")
	d.want(c.ThresholdMax >= c.ThresholdMin && c.ThresholdMax < 1, "commands.threshold_max", "want a score from threshold_min to less than 1")
	d.within("commands.mute_max", c.MuteMax, time.Second, 30*24*time.Hour)
}

func (d *decoder) position(c Position) {
	kinds := []PositionKind{NoPosition, Fixed, MAVLink, Simulated}
	d.want(slices.Contains(kinds, c.Kind), "position.kind", "want one of %v", kinds)
	d.want(c.Kind != MAVLink || c.Source != "", "position.source", "want udp://:14550 or serial:///dev/ttyTHS1:57600")
	d.want(c.Lat >= -90 && c.Lat <= 90, "position.lat", "want -90..90 degrees")
	d.want(c.Lon >= -180 && c.Lon <= 180, "position.lon", "want -180..180 degrees")
	d.want(c.AltM >= -1000 && c.AltM <= 20_000, "position.alt_m", "want -1000..20000 metres")
	d.want(c.UncertaintyM >= 0 && c.UncertaintyM <= 1e6, "position.uncertainty_m", "want 0..1000000 metres")
	d.want(c.HeadingDeg >= 0 && c.HeadingDeg < 360, "position.heading_deg", "want 0 to less than 360 degrees")
	d.want(c.FOVDeg >= 0 && c.FOVDeg <= 360, "position.fov_deg", "want 0..360 degrees")
}

func (d *decoder) rest(c Config) {
	d.want(c.Outbox.Path != "", "outbox.path", "want the path of the file that keeps alerts")
	d.want(c.Outbox.BulkBytes >= 4096, "outbox.bulk_bytes", "want at least 4096 bytes")
	d.want(c.Outbox.MaxBytes >= 1<<20, "outbox.max_bytes", "want at least 1048576 bytes")
	d.want(c.Metrics.Listen == "" || listenable(c.Metrics.Listen), "metrics.listen", "want host:port such as 127.0.0.1:9464")
	d.within("telemetry.stats_every", c.Telemetry.StatsEvery, 100*time.Millisecond, time.Hour)
	d.within("telemetry.health_every", c.Telemetry.HealthEvery, 100*time.Millisecond, time.Hour)
	d.want(c.Snapshot.Quality >= 1 && c.Snapshot.Quality <= 100, "snapshot.quality", "want 1..100")
	d.want(c.Snapshot.ThumbBytes >= 0 && c.Snapshot.ThumbBytes <= wire.MaxThumb, "snapshot.thumb_bytes", "want 0..%d", wire.MaxThumb)
	d.want(c.Snapshot.Keep >= 1 && c.Snapshot.Keep <= 1_000_000, "snapshot.keep", "want 1..1000000 files")
	d.want(c.Indicator.Line >= 0, "indicator.line", "want a line offset of 0 or more")
}

func listenable(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port != ""
}
