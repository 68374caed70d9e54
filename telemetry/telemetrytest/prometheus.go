package telemetrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Prometheus is a stock Prometheus server that is running.
type Prometheus struct {
	t  testing.TB
	at string
}

// NewPrometheus starts a Prometheus on loopback that scrapes targets (host:port) five times a
// second until the test ends. When there is no Prometheus the test is skipped, and fails if
// the environment has CI=true.
func NewPrometheus(t testing.TB, targets ...string) *Prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		const hint = "prometheus not found: run scripts/setup test"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	conf := fmt.Sprintf("global: {scrape_interval: 200ms}\nscrape_configs:\n- job_name: emberwing\n  static_configs:\n  - targets: ['%s']\n",
		strings.Join(targets, "', '"))
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &Prometheus{t: t, at: freeAddr(t).String()}
	cmd := exec.Command(path, "--config.file", file, "--storage.tsdb.path", dir, "--web.listen-address", p.at,
		"--log.level", "error")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended, which Wants has told
		_ = cmd.Wait()
	})
	return p
}

// Ask returns the value of the only series of a query, "" when there is not exactly one.
func (p *Prometheus) Ask(query string) string {
	resp, err := http.Get("http://" + p.at + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || len(answer.Data.Result) != 1 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

// Wants waits until a query has that value.
func (p *Prometheus) Wants(query, value string) {
	p.t.Helper()
	Eventually(p.t, fmt.Sprintf("prometheus has %s = %s", query, value), func() bool { return p.Ask(query) == value })
}
