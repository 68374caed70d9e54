package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"emberwing/telemetry/store"
)

// verdict is the outcome of a run.
type verdict struct {
	Seed       uint64   `json:"seed"`
	Broker     string   `json:"broker"`
	Faults     []string `json:"faults"`
	Raised     int      `json:"raised"`      // alerts that the drone said were on disk
	Stored     int      `json:"stored"`      // alerts in the store
	Lost       []string `json:"lost"`        // raised and not stored
	Duplicates []string `json:"duplicates"`  // stored more than once
	ShownTwice []string `json:"shown_twice"` // shown to the operator more than once
	Unseen     []string `json:"unseen"`      // stored and not shown
	Phantoms   []string `json:"phantoms"`    // stored, and more than the kills can explain
	Refused    []string `json:"refused"`     // alerts that the drone could not keep at all
	Gaps       int      `json:"gaps"`        // numbers of the drone's alert lane that the store lacks
	Resets     int      `json:"resets"`
	Seconds    float64  `json:"seconds"`
	Dir        string   `json:"dir"`
}

func (v *verdict) ok() bool {
	return len(v.Lost)+len(v.Duplicates)+len(v.ShownTwice)+len(v.Unseen)+len(v.Phantoms)+
		len(v.Refused)+v.Resets+v.Gaps == 0 &&
		v.Raised > 0
}

// judge compares what was raised, stored and shown. An alert may be stored without having
// been logged by the drone when a kill came between the two: one a kill.
func (v *verdict) judge(raised, stored, shown map[string]int, kills int) {
	v.Raised, v.Stored = len(raised), len(stored)
	var extra []string
	for _, k := range slices.Sorted(maps.Keys(stored)) {
		if stored[k] > 1 {
			v.Duplicates = append(v.Duplicates, k)
		}
		if raised[k] == 0 {
			extra = append(extra, k)
		}
		if shown[k] == 0 {
			v.Unseen = append(v.Unseen, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(shown)) {
		if shown[k] > 1 {
			v.ShownTwice = append(v.ShownTwice, k)
		}
		if stored[k] == 0 {
			v.Phantoms = append(v.Phantoms, "shown, not stored: "+k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(raised)) {
		if stored[k] == 0 {
			v.Lost = append(v.Lost, k)
		}
	}
	if len(extra) > kills {
		v.Phantoms = append(v.Phantoms, extra...)
	}
}

// readStore counts the alerts in the store of a station that has ended, and the numbers that
// are missing between them. The drone numbers what it puts on its disk one by one, so a gap
// is an alert that was lost, also when a kill kept the drone from logging it.
func readStore(ctx context.Context, path string) (stored map[string]int, gaps int, err error) {
	db, err := store.Open(path, store.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer db.Close()
	if s := db.Salvaged(); s != nil {
		return nil, 0, fmt.Errorf("the store was damaged: %+v", *s)
	}
	drones, err := db.Drones(ctx)
	if err != nil {
		return nil, 0, err
	}
	stored, err = countAlerts(ctx, db)
	gaps = -len(stored)
	for _, d := range drones {
		gaps += int(d.Sequence.High)
	}
	return stored, gaps, err
}

func countAlerts(ctx context.Context, db *store.Store) (map[string]int, error) {
	stored := make(map[string]int)
	for after := int64(0); ; {
		rows, err := db.Feed(ctx, after, 500)
		if err != nil || len(rows) == 0 {
			return stored, err
		}
		for _, e := range rows {
			after = e.Row
			if e.Alert != nil {
				stored[key(e.Alert.Event, e.Alert.Revision)]++
			}
		}
	}
}
