package ground

import (
	"cmp"
	"maps"
	"slices"

	"emberwing/telemetry/wire"
)

func sortedConditions(m map[string]wire.Condition) []wire.Condition {
	return slices.SortedFunc(maps.Values(m), func(a, b wire.Condition) int { return cmp.Compare(a.Code, b.Code) })
}
