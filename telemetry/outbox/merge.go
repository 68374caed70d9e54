package outbox

import (
	"slices"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// longestPeriod is how much time merged statistics may cover: longer ones say too little.
const longestPeriod = time.Hour

// thin makes room in the bulk lane, a quarter of it at a time so that the work is rare: it
// merges neighbouring statistics from the oldest on, then drops the oldest messages.
func (b *Box) thin() {
	target := b.opts.BulkBytes * 3 / 4
	b.mergeNeighbours(target)
	drop := 0
	for ; b.stats.BulkBytes > target && drop < len(b.bulk)-1; drop++ {
		b.stats.BulkBytes -= b.bulk[drop].size()
	}
	b.bulk = slices.Delete(b.bulk, 0, drop)
	b.stats.BulkDropped += uint64(drop)
}

// mergeNeighbours joins statistics in pairs, the older into the newer, until what waits
// fits the target. What Next has returned stays as it is: it may be on its way.
func (b *Box) mergeNeighbours(target int) {
	kept := b.bulk[:0]
	var before *wire.Stats // statistics in kept that the next may take in
	var at int             // where in kept
	for _, item := range b.bulk {
		s := b.mergeable(item, target)
		if s == nil || !absorb(s, before) {
			kept = append(kept, item)
			if s != nil {
				before, at = s, len(kept)-1
			}
			continue
		}
		payload, err := wire.Append(nil, s)
		if err != nil { // too large together
			kept, before = append(kept, item), nil
			continue
		}
		b.stats.BulkBytes += len(payload) - len(item.Payload) - kept[at].size()
		b.stats.BulkMerged++
		item.Payload = slices.Clip(payload)
		kept = append(slices.Delete(kept, at, at+1), item)
		before = nil // one pair at a time keeps the resolution even
	}
	clear(b.bulk[len(kept):])
	b.bulk = kept
}

// mergeable returns the statistics in an item that may take part in merging, else nil.
func (b *Box) mergeable(item Item, target int) *wire.Stats {
	if item.Seq <= b.given || b.stats.BulkBytes <= target {
		return nil
	}
	if t, err := wire.ParseTopic(item.Topic); err != nil || t.Kind != wire.KindStats {
		return nil
	}
	m, err := wire.Decode(item.Topic, item.Payload)
	if err != nil {
		return nil
	}
	return m.(*wire.Stats)
}

// absorb adds the counts of the earlier statistics to s, if both are of one boot and the
// sum does not cover too much time.
func absorb(s, earlier *wire.Stats) bool {
	if earlier == nil || earlier.Boot != s.Boot || s.PeriodMS+earlier.PeriodMS > longestPeriod.Milliseconds() {
		return false
	}
	stages, ok := mergeStages(s.Stages, earlier.Stages)
	if !ok {
		return false
	}
	s.Stages = stages
	s.PeriodMS += earlier.PeriodMS
	f, e := &s.Frames, earlier.Frames
	f.Captured += e.Captured
	f.Replaced += e.Replaced
	f.Inferred += e.Inferred
	f.Dropped += e.Dropped
	f.Errors += e.Errors
	s.FPS = float64(f.Inferred) / max(0.001, float64(s.PeriodMS)/1000)
	return true
}

// mergeStages adds histograms of the same name; ok is false when their buckets differ.
func mergeStages(stages, earlier []wire.Stage) (merged []wire.Stage, ok bool) {
	merged = slices.Clone(stages)
	for _, e := range earlier {
		i := slices.IndexFunc(merged, func(s wire.Stage) bool { return s.Name == e.Name })
		if i < 0 {
			merged = append(merged, e)
			continue
		}
		var sum latency.Histogram
		if sum.AddWire(merged[i].Histogram) != nil || sum.AddWire(e.Histogram) != nil {
			return nil, false
		}
		merged[i].Histogram = sum.Wire()
	}
	return merged, true
}
