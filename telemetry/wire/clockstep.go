//go:build clockstep

package wire

import (
	"os"
	"strings"
	"time"
)

// wall lets the crash harness step the clock: builds with the tag clockstep add the duration
// in the file that EMBERTEST_CLOCK names, e.g. "-24h". No other build can.
func wall(t time.Time) time.Time {
	text, err := os.ReadFile(os.Getenv("EMBERTEST_CLOCK"))
	if err != nil {
		return t
	}
	step, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return t
	}
	return t.Add(step)
}
