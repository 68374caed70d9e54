// Package config reads the one TOML file that describes a drone.
//
// Reading is strict and total: an unknown key, a value of the wrong type and a
// value out of its range are each reported with key path, line and value, and
// all of them at once. Defaults live in [Default] alone. Every key can also be
// set by the environment: mqtt.broker is EMBERWING_MQTT_BROKER.
package config

import (
	"time"
)

// EnvPrefix starts the name of every environment variable that sets a key.
const EnvPrefix = "EMBERWING_"

// Config is the whole configuration of one drone.
type Config struct {
	Drone     Drone     `toml:"drone"`
	Camera    Camera    `toml:"camera"`
	Inference Inference `toml:"inference"`
	Fire      Task      `toml:"fire"`
	Gesture   Task      `toml:"gesture"`
	MQTT      MQTT      `toml:"mqtt"`
	Outbox    Outbox    `toml:"outbox"`
	Telemetry Telemetry `toml:"telemetry"`
	Commands  Commands  `toml:"commands"`
	Position  Position  `toml:"position"`
	Metrics   Metrics   `toml:"metrics"`
	Snapshot  Snapshot  `toml:"snapshot"`
	Indicator Indicator `toml:"indicator"`
}

// Drone names the sender of every message.
type Drone struct {
	Fleet string `toml:"fleet"` // topic level, e.g. "north-ridge"
	ID    string `toml:"id"`    // topic level, unique within the fleet

	Exercise bool `toml:"exercise"` // every alert is marked as a drill
}

// CameraKind names a way to get frames.
type CameraKind string

// The kinds of camera that a drone can open.
const (
	Synthetic CameraKind = "synthetic" // the rendered flight of camera/synth
	Folder    CameraKind = "folder"    // still images with recorded timing
	Video     CameraKind = "video"     // a video file
	V4L2      CameraKind = "v4l2"      // /dev/videoN or /dev/v4l/by-id/…
	RTSP      CameraKind = "rtsp"      // rtsp://…
	CSI       CameraKind = "csi"       // nvarguscamerasrc on a Jetson
	GStreamer CameraKind = "gstreamer" // any pipeline that ends in appsink
)

// Camera chooses and tunes the source of frames.
type Camera struct {
	Kind       CameraKind `toml:"kind"`
	Source     string     `toml:"source"`      // path, device, URL or pipeline; sensor id for csi
	Width      int        `toml:"width"`       // pixels; 0 leaves the choice to the source
	Height     int        `toml:"height"`      // pixels; 0 leaves the choice to the source
	FPS        float64    `toml:"fps"`         // frames per second; 0 leaves the choice to the source
	Flip       int        `toml:"flip"`        // of a CSI camera: nvvidconv's flip-method, 2 is 180°
	Loop       bool       `toml:"loop"`        // start again at the end of a file, folder or flight
	Realtime   bool       `toml:"realtime"`    // play files at their own pace, not as fast as possible
	StallAfter Duration   `toml:"stall_after"` // no frame for this long is a stall
	Seed       uint64     `toml:"seed"`        // of the synthetic flight
	Length     Duration   `toml:"length"`      // of one round of the synthetic flight
}

// Inference says what runs the models.
type Inference struct {
	Providers []string `toml:"providers"` // execution providers in order of preference
	Strict    bool     `toml:"strict"`    // any fallback is an error
	Threads   int      `toml:"threads"`   // intra-op threads; 0 is cores-1, at least 1
	Library   string   `toml:"library"`   // libonnxruntime; "" searches beside the program
	CacheDir  string   `toml:"cache_dir"` // TensorRT engines
}

// Task configures one model and its temporal decision. Zero values of the
// decision take what the model's manifest declares.
type Task struct {
	Enabled   bool     `toml:"enabled"`
	Model     string   `toml:"model"`     // name of a shipped model or path of a manifest
	Precision string   `toml:"precision"` // fp32, fp16 or int8
	Every     int      `toml:"every"`     // run on every Nth prepared frame
	Threshold float64  `toml:"threshold"` // calibrated score in (0,1); 0 takes the manifest's
	Release   float64  `toml:"release"`   // hysteresis: below it a frame no longer supports the event
	Window    int      `toml:"window"`    // M frames
	Agree     int      `toml:"agree"`     // N of the last M frames
	Dwell     Duration `toml:"dwell"`     // time that agreement must last before an event begins
	Update    Duration `toml:"update"`    // time between updates of a lasting event
}

// MQTT says where the ground is.
type MQTT struct {
	Broker       string   `toml:"broker"` // tcp://host:1883, ssl://host:8883
	Username     string   `toml:"username"`
	PasswordFile string   `toml:"password_file"` // a secret is a file, never a value in this one
	KeepAlive    Duration `toml:"keep_alive"`
	BackoffMin   Duration `toml:"backoff_min"` // first wait before a reconnect; full jitter
	BackoffMax   Duration `toml:"backoff_max"`

	Ack            string   `toml:"ack"`             // what deletes an alert: "receipt" of a ground station, or "broker"
	ReceiptTimeout Duration `toml:"receipt_timeout"` // an alert without receipt is sent again after this, doubled each time

	CAFile        string `toml:"ca_file"`        // PEM; "" takes the roots of the system
	CertFile      string `toml:"cert_file"`      // PEM, the drone's certificate; read again when it changes
	KeyFile       string `toml:"key_file"`       // PEM, its private key
	ServerName    string `toml:"server_name"`    // in the broker's certificate, when it is not the host of the address
	ClockTolerant bool   `toml:"clock_tolerant"` // accept any validity dates while nothing has set the clock
}

// The ack modes.
const (
	AckReceipt = "receipt"
	AckBroker  = "broker"
)

// Outbox says where alerts wait for the link.
type Outbox struct {
	Path      string `toml:"path"`       // file of the durable alert lane
	BulkBytes int    `toml:"bulk_bytes"` // cap of the statistics lane in memory
	MaxBytes  int    `toml:"max_bytes"`  // cap of the file; alerts fill at most half of it
}

// Telemetry sets the rhythm of periodic messages.
type Telemetry struct {
	StatsEvery  Duration `toml:"stats_every"`
	HealthEvery Duration `toml:"health_every"`
}

// Commands says whose commands the drone takes, and how far they may go.
type Commands struct {
	Keys         []string `toml:"keys"`          // public keys of ground stations; none takes no commands
	State        string   `toml:"state"`         // file of the counters seen, which makes replays worthless
	ThresholdMin float64  `toml:"threshold_min"` // a command may set a threshold between these two
	ThresholdMax float64  `toml:"threshold_max"`
	MuteMax      Duration `toml:"mute_max"` // a mute lasts no longer
}

// PositionKind names a way to know where the drone is.
type PositionKind string

// The kinds of position source.
const (
	NoPosition PositionKind = "none"
	Fixed      PositionKind = "fixed"     // a mast, or a test
	MAVLink    PositionKind = "mavlink"   // the flight controller
	Simulated  PositionKind = "simulated" // circles around the given point, for the synthetic flight
)

// Position says where the drone is, or who knows.
type Position struct {
	Kind         PositionKind `toml:"kind"`
	Source       string       `toml:"source"` // of mavlink: udp://:14550 or serial:///dev/ttyTHS1:57600
	Lat          float64      `toml:"lat"`    // degrees, WGS 84
	Lon          float64      `toml:"lon"`
	AltM         float64      `toml:"alt_m"`         // metres above mean sea level
	UncertaintyM float64      `toml:"uncertainty_m"` // metres, horizontal, 95 %
	HeadingDeg   float64      `toml:"heading_deg"`   // of the camera, clockwise from north; added to the drone's heading for mavlink
	FOVDeg       float64      `toml:"fov_deg"`       // horizontal field of view of the camera; 0 is unknown
}

// Metrics is the endpoint for Prometheus.
type Metrics struct {
	Listen string `toml:"listen"` // host:port; "" serves none
}

// Snapshot keeps the picture behind each alert.
type Snapshot struct {
	Dir     string `toml:"dir"`     // "" keeps none
	Quality int    `toml:"quality"` // JPEG quality 1..100
	Keep    int    `toml:"keep"`    // newest files kept

	ThumbBytes int `toml:"thumb_bytes"` // cap of the small picture inside an alert that begins; 0 sends none
}

// Indicator is one output pin that is on while an alert is active.
type Indicator struct {
	Chip string `toml:"chip"` // GPIO chip label, e.g. "tegra-gpio"; "" has no indicator
	Line int    `toml:"line"` // line offset on that chip
}

// Duration is a time span written as "2s" or "500ms".
type Duration time.Duration

// D returns d as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText parses the form that [time.ParseDuration] takes.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.D().String()), nil }

// Default returns the configuration of a drone that flies the synthetic
// flight against a broker on this machine.
func Default() Config {
	return Config{
		Drone:     Drone{Fleet: "demo", ID: "drone-1"},
		Camera:    Camera{Kind: Synthetic, Loop: true, Realtime: true, StallAfter: Duration(1500 * time.Millisecond), Seed: 1, Length: Duration(30 * time.Second)},
		Inference: Inference{Providers: []string{"tensorrt", "cuda", "cpu"}, CacheDir: "engines"},
		Fire:      Task{Enabled: true, Model: "fire", Precision: "int8", Every: 1, Update: Duration(2 * time.Second)},
		Gesture:   Task{Enabled: true, Model: "gesture", Precision: "int8", Every: 1, Update: Duration(2 * time.Second)},
		MQTT: MQTT{Broker: "tcp://127.0.0.1:1883", KeepAlive: Duration(15 * time.Second),
			BackoffMin: Duration(500 * time.Millisecond), BackoffMax: Duration(10 * time.Second),
			Ack: AckReceipt, ReceiptTimeout: Duration(10 * time.Second), ClockTolerant: true},
		Outbox:    Outbox{Path: "outbox.db", BulkBytes: 1 << 20, MaxBytes: 256 << 20},
		Telemetry: Telemetry{StatsEvery: Duration(10 * time.Second), HealthEvery: Duration(10 * time.Second)},
		Commands:  Commands{Keys: []string{}, State: "commands.json", ThresholdMin: 0.3, ThresholdMax: 0.95, MuteMax: Duration(24 * time.Hour)},
		Position:  Position{Kind: NoPosition, UncertaintyM: 10},
		Snapshot:  Snapshot{Quality: 80, Keep: 200, ThumbBytes: 8 << 10},
	}
}
