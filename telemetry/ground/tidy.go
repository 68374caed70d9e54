package ground

import (
	"context"
	"fmt"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// Removed counts what was removed from the store since the station was made.
type Removed struct{ Pictures, Events, Others uint64 }

// tidy keeps the store within its limits until ctx ends.
func (s *Station) tidy(ctx context.Context) {
	tick := time.NewTicker(s.opts.Tidy)
	defer tick.Stop()
	for {
		s.prune(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Station) prune(ctx context.Context) {
	p, err := s.opts.Store.Prune(ctx, s.opts.Clock(), s.opts.Keep)
	s.notePruned(p)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.opts.Log.Error("store not tidied", "err", err)
	case p.Over:
		s.raise("store-limit", wire.SeverityWarning, fmt.Sprintf("the store holds %d MB, over its limit of %d, and what "+
			"is left is not acknowledged or too new to remove: acknowledge alerts, or raise --store-limit-mb",
			p.Used>>20, s.opts.Keep.Bytes>>20))
	default:
		s.clearAlarm("store-limit")
	}
}

func (s *Station) notePruned(p store.Pruned) {
	if p.Pictures+p.Events+p.Others == 0 {
		return
	}
	s.opts.Log.Info("store tidied", "pictures", p.Pictures, "events", p.Events, "others", p.Others, "bytes", p.Used)
	s.count(func(c *StationStats) {
		c.Removed.Pictures += uint64(p.Pictures)
		c.Removed.Events += uint64(p.Events)
		c.Removed.Others += uint64(p.Others)
	})
}
