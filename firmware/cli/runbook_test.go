package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"emberwing/firmware/health"
)

// The runbook of the ground station names every alarm, and only flags that there are.
func TestRunbookIsCurrent(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	book := read("../../telemetry/ground/README.md")
	raised := regexp.MustCompile(`(?:raise\(|exportFailing = )"([a-z-]+)"`)
	found := 0
	for _, file := range []string{"station.go", "ingest.go", "tidy.go", "exports.go", "peers.go"} {
		for _, m := range raised.FindAllStringSubmatch(read("../../telemetry/ground/"+file), -1) {
			found++
			if !strings.Contains(book, "| `"+m[1]) {
				t.Errorf("the runbook does not name the alarm %s of the station", m[1])
			}
		}
	}
	if found < 6 {
		t.Errorf("got %d alarms in the source, want 6 or more: they are written otherwise now", found)
	}
	for _, code := range []health.Code{
		health.SourceStalled, health.SourceClosed, health.SourceEnded, health.Fallback, health.InferFailing, health.OutboxDegraded,
		health.AlertRefused, health.BulkDropped, health.SnapshotFailing, health.LinkDown, health.IndicatorFailed, health.CommandsRefused,
		health.NoReceipt, health.MessageDead, health.DiskLow, health.PositionLost, health.AlertsLost,
		health.OutboxDamaged,
	} {
		if !strings.Contains(book, "`"+string(code)) {
			t.Errorf("the runbook does not name the alarm %s of drones", code)
		}
	}
	var known []*cobra.Command
	for _, make := range []func(Streams) *cobra.Command{groundCommand, watchCommand, commandCommand} {
		known = append(known, make(Streams{}))
	}
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(book, -1) {
		is := false
		for _, c := range known {
			is = is || c.Flags().Lookup(flag[2:]) != nil
		}
		if !is {
			t.Errorf("the runbook names %s, which no command has", flag)
		}
	}
}
