package command_test

import (
	"fmt"
	"testing"
	"time"

	"emberwing/firmware/command"
	"emberwing/telemetry/wire"
)

func TestMutesCoverTheirArea(t *testing.T) {
	at := func(lat, lon float64) *wire.Position { return &wire.Position{Lat: lat, Lon: lon, UncertaintyM: 10} }
	looking := func(bearing float64) *wire.View { return &wire.View{BearingDeg: bearing} }
	circle := wire.Mute{ID: "x", Seconds: 60, Circle: &wire.Circle{Lat: 46.5, Lon: 7.25, RadiusM: 1000}}
	square := wire.Mute{ID: "x", Seconds: 60, Polygon: []wire.Point{{Lat: 46, Lon: 7}, {Lat: 47, Lon: 7},
		{Lat: 47, Lon: 8}, {Lat: 46, Lon: 8}}}
	fiji := wire.Mute{ID: "x", Seconds: 60, Polygon: []wire.Point{{Lat: -18, Lon: 179}, {Lat: -16, Lon: 179},
		{Lat: -16, Lon: -179}, {Lat: -18, Lon: -179}}}
	north := wire.Mute{ID: "x", Seconds: 60, Task: wire.TaskFire, Sector: &wire.Sector{FromDeg: 350, ToDeg: 10}}
	cases := []struct {
		name string
		mute wire.Mute
		task wire.Task
		at   *wire.Position
		view *wire.View
		want bool
	}{
		{"in the circle", circle, wire.TaskFire, at(46.505, 7.25), nil, true},
		{"in the circle, another task", circle, wire.TaskGesture, at(46.505, 7.25), nil, true},
		{"perhaps outside", circle, wire.TaskFire, at(46.5+0.00895, 7.25), nil, false}, // 995 m ± 10 m
		{"outside", circle, wire.TaskFire, at(46.52, 7.25), nil, false},
		{"unknown position", circle, wire.TaskFire, nil, looking(0), false},
		{"in the square", square, wire.TaskFire, at(46.5, 7.5), nil, true},
		{"beside the square", square, wire.TaskFire, at(46.5, 8.01), nil, false},
		{"south of the square", square, wire.TaskFire, at(45.9, 7.5), nil, false},
		{"across the date line", fiji, wire.TaskFire, at(-17, -179.5), nil, true},
		{"across the date line, other side", fiji, wire.TaskFire, at(-17, 179.5), nil, true},
		{"far from the date line", fiji, wire.TaskFire, at(-17, 0), nil, false},
		{"north", north, wire.TaskFire, nil, looking(5), true},
		{"edge", north, wire.TaskFire, nil, looking(350), true},
		{"west", north, wire.TaskFire, nil, looking(349), false},
		{"north, another task", north, wire.TaskGesture, nil, looking(5), false},
		{"unknown bearing", north, wire.TaskFire, at(46.5, 7.5), nil, false},
	}
	now := time.Now()
	for _, c := range cases {
		var m command.Mutes
		if err := m.Set(c.mute, now, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := m.Cover(c.task, c.at, c.view, now.Add(59*time.Second)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if m.Cover(c.task, c.at, c.view, now.Add(time.Minute)) {
			t.Errorf("%s: it did not end", c.name)
		}
	}
}

func TestMutesAreReplacedLiftedAndBounded(t *testing.T) {
	var m command.Mutes
	now := time.Now()
	set := func(id string, seconds int64) error {
		return m.Set(wire.Mute{ID: id, Seconds: seconds, Sector: &wire.Sector{FromDeg: 0, ToDeg: 90}}, now, time.Hour)
	}
	if err := set("long", 3601); err == nil {
		t.Error("a mute beyond the limit was taken")
	}
	for i := range wire.MaxList {
		if err := set(fmt.Sprintf("m%02d", i), 60); err != nil {
			t.Fatal(err)
		}
	}
	if err := set("one too many", 60); err == nil {
		t.Error("got no error beyond the bound")
	}
	if err := set("m00", 120); err != nil {
		t.Errorf("replace one of a full list: %v", err)
	}
	if err := set("m01", 0); err != nil {
		t.Error(err)
	}
	got := m.List(now.Add(30 * time.Second))
	if len(got) != wire.MaxList-1 || got[0].ID != "m00" || got[0].Seconds != 90 || got[1].ID != "m02" || got[1].Seconds != 30 {
		t.Errorf("got %d mutes, first %+v", len(got), got[:2])
	}
}
