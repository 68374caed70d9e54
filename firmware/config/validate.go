package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
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
}

func (d *decoder) rest(c Config) {
	d.want(c.Outbox.Path != "", "outbox.path", "want the path of the file that keeps alerts")
	d.want(c.Outbox.BulkBytes >= 4096, "outbox.bulk_bytes", "want at least 4096 bytes")
	d.within("telemetry.stats_every", c.Telemetry.StatsEvery, 100*time.Millisecond, time.Hour)
	d.within("telemetry.health_every", c.Telemetry.HealthEvery, 100*time.Millisecond, time.Hour)
	d.want(c.Snapshot.Quality >= 1 && c.Snapshot.Quality <= 100, "snapshot.quality", "want 1..100")
	d.want(c.Snapshot.Keep >= 1 && c.Snapshot.Keep <= 1_000_000, "snapshot.keep", "want 1..1000000 files")
	d.want(c.Indicator.Line >= 0, "indicator.line", "want a line offset of 0 or more")
}
