package ground_test

import (
	"bufio"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/telemetry/export"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// foreign finds a program of others. Without it the test is skipped, and fails if the
// environment has CI=true.
func foreign(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" not found: run scripts/setup test")
	}
	return path
}

func missing(t *testing.T, hint string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}

// npmModules is where scripts/setup puts what Node.js programs of the tests need.
func npmModules(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/interop/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mqtt")); err != nil {
		missing(t, "the npm package mqtt is not installed: run scripts/setup test")
	}
	return dir
}

// firstLine starts a program, runs act once the program has printed "ready" (at once for
// one that does not), and returns the next line that it prints.
func firstLine(t *testing.T, ready bool, act func(), cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if ready && (!lines.Scan() || lines.Text() != "ready") {
		t.Fatalf("got %q, want ready", lines.Text())
	}
	act()
	if !lines.Scan() {
		t.Fatalf("%s printed nothing: %v", cmd.Path, lines.Err())
	}
	return lines.Text()
}

func wantAlert(t *testing.T, line string) {
	t.Helper()
	topic, payload, _ := strings.Cut(line, " ")
	m, err := wire.Decode(topic, []byte(payload))
	if a, ok := m.(*wire.Alert); err != nil || !ok || a.Drone != "a" {
		t.Errorf("got %.200q, %v, want the alert", line, err)
	}
}

func TestMosquittoSubReadsAlerts(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	u, _ := url.Parse(b.URL())
	drone := dial(t, b.URL(), "drone-a")
	retained(t, drone, alertOf("a", "b1", 1, 0, 1))
	line := firstLine(t, false, func() {}, exec.CommandContext(t.Context(), foreign(t, "mosquitto_sub"),
		"-h", u.Hostname(), "-p", u.Port(), "-q", "1", "-v", "-t", "ew/1/+/+/alert/+"))
	wantAlert(t, line)
}

// retained publishes an alert so that a subscriber that comes later gets it; no drone does.
func retained(t *testing.T, c *client, m wire.Message) {
	t.Helper()
	token := c.conn.Publish(mqtt.Message{Topic: m.Topic().String(), Payload: encode(t, m), QoS: 1, Retained: true})
	if err := c.conn.Wait(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

const mqttJS = `
const mqtt = require("mqtt");
const c = mqtt.connect(process.argv[2], {protocolVersion: 4, reconnectPeriod: 0});
c.on("connect", () => c.subscribe("ew/1/+/+/alert/+", {qos: 1}, (err) => console.log(err ? String(err) : "ready")));
c.on("message", (topic, payload) => { JSON.parse(payload); console.log(topic + " " + payload); });
`

func TestMQTTjsReadsAlerts(t *testing.T) {
	modules, node := npmModules(t), foreign(t, "node")
	eachBroker(t, func(t *testing.T, b telemetrytest.Broker) {
		drone := dial(t, b.URL(), "drone-a")
		script := filepath.Join(t.TempDir(), "read.js")
		if err := os.WriteFile(script, []byte(mqttJS), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, script, strings.Replace(b.URL(), "tcp:", "mqtt:", 1))
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		wantAlert(t, firstLine(t, true, func() { drone.send(alertOf("a", "b1", 1, 0, 1)) }, cmd))
	})
}

const checkJS = `
import("@placemarkio/check-geojson").then(({check}) => {
	check(require("fs").readFileSync(process.argv[2], "utf8"));
	console.log("valid");
}).catch((e) => console.log("refused: " + e));
`

func TestForeignValidatorTakesGeoJSON(t *testing.T) {
	modules, node := npmModules(t), foreign(t, "node")
	script := filepath.Join(filepath.Dir(modules), "check.cjs")
	if err := os.WriteFile(script, []byte(checkJS), 0o644); err != nil {
		t.Fatal(err)
	}
	check := func(file string) string {
		out, err := exec.CommandContext(t.Context(), node, script, file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	files, err := filepath.Glob("../export/testdata/golden/*" + export.GeoJSON.Extension())
	if err != nil || len(files) < 7 {
		t.Fatalf("got %d files, %v, want 7 or more", len(files), err)
	}
	for _, file := range files {
		if got := check(file); got != "valid" {
			t.Errorf("%s: %s", file, got)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.geojson")
	if err := os.WriteFile(bad,
		[]byte(`{"type":"Feature","geometry":{"type":"Point","coordinates":["7","46"]},"properties":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := check(bad); !strings.HasPrefix(got, "refused") {
		t.Errorf("a false feature: got %s, want it refused", got)
	}
}

func TestStockPrometheusScrapes(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	r := newRig(t, b.URL(), "hill").start()
	drone := dial(t, b.URL(), "drone-a")
	drone.send(onlineStatus("a", "b1"))
	drone.send(alertOf("a", "b1", 1, 0, 1))
	r.until("the alert", func(s ground.StationStats) bool { return s.Stored == 1 })
	server := httptest.NewServer(r.station.API())
	defer server.Close()
	p := telemetrytest.NewPrometheus(t, strings.TrimPrefix(server.URL, "http://"))
	p.Wants(`emberwing_ground_alerts_total{fate="stored"}`, "1")
	p.Wants(`emberwing_drone_online{drone="a"}`, "1")
	p.Wants(`emberwing_ground_store_removed_total{what="event"}`, "0")
}
