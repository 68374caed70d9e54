package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"emberwing/telemetry/wire"
)

// TestMessagesAreValid: what is played is what a drone may send, picture and all.
func TestMessagesAreValid(t *testing.T) {
	f := newFeeder("tcp://127.0.0.1:1")
	for _, o := range []order{
		{Do: "status", State: wire.Offline, Reason: "connection lost"},
		{Do: "alert", Task: wire.TaskFire, Event: "e", Phase: wire.PhaseBegin, Label: "fire", Calibrated: 0.9, Lat: 44,
			Lon: 6, Heading: 355, Strange: true},
		{Do: "alert", Task: wire.TaskGesture, Event: "g", Phase: wire.PhaseEnd, Revision: 1, Label: "palm", LateMS: 1e6},
		{Do: "stats", Task: wire.TaskFire, AlertDepth: 3},
		{Do: "health", Task: wire.TaskFire, Alarm: "hot", Lat: 44, Lon: 6},
	} {
		o.Fleet, o.Drone = "valley", "kite-1"
		m, err := f.drone(o.Drone).message(&o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Append(nil, m); err != nil {
			t.Errorf("%s: %v", o.Do, err)
		}
	}
	if _, err := f.drone("x").message(&order{Do: "fly"}); err == nil {
		t.Error("an unknown order is obeyed")
	}
}

func TestShrink(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		m.SetNRGBA(i%64, i/64, color.NRGBA{uint8(i % 64 * 4), uint8(i / 64 * 4), 77, 255})
	}
	path := filepath.Join(t.TempDir(), "p.png")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(out, m); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := shrink(path); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	got, err := png.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 * 64 {
		want := m.NRGBAAt(i%64, i/64)
		r, g, _, _ := got.At(i%64, i/64).RGBA()
		if dr, dg := int(r>>8)-int(want.R), int(g>>8)-int(want.G); max(dr, -dr, dg, -dg) > 24 {
			t.Fatalf("pixel %d is off by %d and %d", i, dr, dg)
		}
	}
}
