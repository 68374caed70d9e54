package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// limit of the threshold, beyond which the played drone refuses as a real one does.
const limit = 0.9

// obeyStation makes a drone answer commands over a connection of its own, as long as the
// program runs. Its status says so, once it listens.
func (f *feeder) obeyStation(ctx context.Context, o *order, status wire.Message) error {
	key, err := wire.ParseKey(o.Key)
	if err != nil {
		return err
	}
	d := f.drone(o.Drone)
	commands := make(chan mqtt.Message, 16)
	conn, err := mqtt.Dial(ctx, f.broker, mqtt.Session{
		ClientID: "obey-" + wire.NewBoot(), Receive: func(m mqtt.Message) { commands <- m },
	})
	if err != nil {
		return err
	}
	if err := conn.Wait(ctx, conn.Subscribe("ew/1/"+o.Fleet+"/"+o.Drone+"/cmd/+")); err != nil {
		return err
	}
	go func() {
		for m := range commands {
			if err := d.obey(ctx, conn, o, key, m); err != nil {
				fmt.Fprintln(os.Stderr, "pagetest: command:", err)
			}
		}
	}()
	return f.publish(ctx, status)
}

// obey checks one command and answers it.
func (d *drone) obey(ctx context.Context, conn *mqtt.Conn, o *order, key ed25519.PublicKey, m mqtt.Message) error {
	decoded, err := wire.Decode(m.Topic, m.Payload)
	c, ok := decoded.(*wire.Command)
	if err != nil || !ok {
		return nil // its own result, which comes back
	}
	outcome, text := "done", ""
	switch {
	case wire.Verify(c, []ed25519.PublicKey{key}) != nil || c.Boot != d.boot || c.ExpiresNS == 0:
		outcome, text = "refused", "not signed, for another run, or without an expiry"
	case c.Threshold != nil && c.Threshold.Value > limit:
		outcome, text = "refused", fmt.Sprintf("threshold %v is above the limit of %v", c.Threshold.Value, limit)
	}
	head := d.header(o, 0)
	if c.Snapshot != nil {
		p := &wire.Picture{Header: head, Event: c.Snapshot.Event, Counter: c.Counter, Width: width, Height: height,
			JPEG: picture(o)}
		if err := send(ctx, conn, p); err != nil {
			return err
		}
	}
	head.Seq = d.alerts.Add(1)
	return send(ctx, conn, &wire.Result{
		Header: head, Verb: string(c.Verb), Counter: c.Counter, Outcome: outcome, Text: text, Key: c.Key,
	})
}

func send(ctx context.Context, conn *mqtt.Conn, m wire.Message) error {
	payload, err := wire.Append(nil, m)
	if err != nil {
		return err
	}
	return conn.Wait(ctx, conn.Publish(mqtt.Message{Topic: m.Topic().String(), Payload: payload, QoS: 1}))
}
