package outbox

import (
	"bytes"
	"slices"
	"time"

	"emberwing/telemetry/latency"
	"emberwing/telemetry/wire"
)

// longestPeriod is how much time merged statistics may cover: longer ones say too little.
const longestPeriod = time.Hour

// thin makes room in the bulk lane, a quarter of it at a time so that the work is rare: it
// merges neighbours from the oldest on, then drops the oldest messages.
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

// mergeNeighbours joins messages of one kind in pairs, the older into the newer, until what
// waits fits the target. What Next has returned stays as it is: it may be on its way.
func (b *Box) mergeNeighbours(target int) {
	partner := make(map[wire.Kind]int) // an earlier message that the next of its kind may take in
	for i := range b.bulk {
		kind := b.mergeable(&b.bulk[i], target)
		at, ok := partner[kind]
		switch {
		case kind == "":
		case !ok || !b.join(&b.bulk[i], &b.bulk[at]):
			partner[kind] = i
		default:
			delete(partner, kind) // one pair at a time keeps the resolution even
		}
	}
	b.bulk = slices.DeleteFunc(b.bulk, func(i Item) bool { return i.Payload == nil })
}

// mergeable returns the kind of a message that may take part in merging, else "".
func (b *Box) mergeable(item *Item, target int) wire.Kind {
	if item.Seq <= b.given || b.stats.BulkBytes <= target {
		return ""
	}
	t, err := wire.ParseTopic(item.Topic)
	if err != nil || t.Kind != wire.KindStats && t.Kind != wire.KindHealth {
		return ""
	}
	return t.Kind
}

// join makes item stand for earlier too, which is left without a payload. It reports whether
// that can be done.
func (b *Box) join(item, earlier *Item) bool {
	later, errLater := wire.Decode(item.Topic, item.Payload)
	before, errBefore := wire.Decode(earlier.Topic, earlier.Payload)
	if errLater != nil || errBefore != nil || later.Head().Boot != before.Head().Boot {
		return false
	}
	switch m := later.(type) {
	case *wire.Stats:
		if !absorb(m, before.(*wire.Stats)) {
			return false
		}
	case *wire.Health:
		if !sameHealth(m, before.(*wire.Health)) {
			return false
		}
	}
	payload, err := wire.Append(nil, later)
	if err != nil { // too large together
		return false
	}
	b.stats.BulkBytes += len(payload) - len(item.Payload) - earlier.size()
	b.stats.BulkMerged++
	item.Payload, earlier.Payload = bytes.Clone(payload), nil
	return true
}

// sameHealth reports whether a health message says nothing that the later one does not: the
// conditions are the same, and only readings differ.
func sameHealth(later, earlier *wire.Health) bool {
	same := func(a, b wire.Condition) bool { return a.Code == b.Code && a.Severity == b.Severity }
	return later.State == earlier.State && slices.EqualFunc(later.Conditions, earlier.Conditions, same)
}

// absorb adds the counts of the earlier statistics to s, if the sum does not cover too much
// time.
func absorb(s, earlier *wire.Stats) bool {
	if s.PeriodMS+earlier.PeriodMS > longestPeriod.Milliseconds() {
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
