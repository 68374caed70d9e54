package drone

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"emberwing/firmware/health"
)

// watch tells systemd that the daemon is ready, and feeds its watchdog for as
// long as frames and decisions move. Without systemd it does nothing.
func watch(ctx context.Context, stages map[string]health.Progress) {
	daemon.SdNotify(false, daemon.SdNotifyReady) // no socket is no error worth telling
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	dog := health.NewWatchdog(stages)
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if len(dog.Stuck()) == 0 {
				daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			}
		case <-ctx.Done():
			daemon.SdNotify(false, daemon.SdNotifyStopping)
			return
		}
	}
}
