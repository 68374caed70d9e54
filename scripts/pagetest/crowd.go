package main

import (
	"context"
	"fmt"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// crowd plays a large fleet: each drone reports its health once, and the events are spread
// over them.
func (f *feeder) crowd(ctx context.Context, o order) error {
	for n := range o.Drones {
		one := o
		one.Do, one.Drone = "health", fmt.Sprintf("crowd-%05d", n)
		one.Lat, one.Lon = 44+float64(n%100)/1000, 6+float64(n/100)/1000
		if err := f.crowdMessage(ctx, &one, n); err != nil {
			return err
		}
	}
	for n := range o.Events {
		one := o
		one.Do, one.Drone, one.Event = "alert", fmt.Sprintf("crowd-%05d", n*7%o.Drones), fmt.Sprintf("crowd-%d", n)
		one.Phase, one.Label = wire.PhaseBegin, "smoke"
		if err := f.crowdMessage(ctx, &one, n); err != nil {
			return err
		}
	}
	return nil
}

// crowdMessage waits for the broker with every hundredth message, and with every alert, which
// is small.
func (f *feeder) crowdMessage(ctx context.Context, o *order, n int) error {
	m, err := f.drone(o.Drone).message(o)
	if err != nil {
		return err
	}
	if a, ok := m.(*wire.Alert); ok {
		a.Evidence.Thumb = nil
	}
	if n%100 == 0 {
		return f.publish(ctx, m)
	}
	payload, err := wire.Append(nil, m)
	if err == nil {
		f.conn.Publish(mqtt.Message{Topic: m.Topic().String(), Payload: payload,
			QoS: 1}) // the broker has it before the hundredth
	}
	return err
}
