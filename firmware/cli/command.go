package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"emberwing/telemetry/follow"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

func commandCommand(s Streams) *cobra.Command {
	var k command
	c := &cobra.Command{
		Use:   "command --station URL --drone FLEET/DRONE VERB ARGUMENTS",
		Short: "send a signed command to a drone by way of a ground station",
		Args:  cobra.RangeArgs(1, 2),
		Long: `command has a ground station sign a command and send it to a drone until the drone
answers. The verbs are acknowledge, mute, threshold, snapshot and profile; none of
them flies. ARGUMENTS is the JSON object of the verb, as telemetry/wire/SCHEMA.md has
it. The drone must know the key of the station.`,
		Example: `  emberwing command --station http://127.0.0.1:8780 --drone valley/kite-7 profile '{"name":"narrow"}'
  emberwing command --station http://127.0.0.1:8780 --drone valley/kite-7 threshold '{"task":"fire","value":0.7}'
  emberwing command --station http://127.0.0.1:8780 --drone valley/kite-7 mute \
      '{"id":"stack","seconds":3600,"circle":{"lat":46.5,"lon":7.25,"radius_m":300}}'`,
		RunE: func(c *cobra.Command, args []string) error { return k.run(c.Context(), s, args) },
	}
	f := c.Flags()
	k.station.flags(f)
	f.StringVar(&k.drone, "drone", "", "whom it is for, fleet/drone")
	f.DurationVar(&k.wait, "wait", 30*time.Second, "for the answer; 0 does not wait, the station goes on sending")
	f.BoolVar(&k.json, "json", false, "print the result as one JSON object")
	return c
}

type command struct {
	station stationFlags
	drone   string
	wait    time.Duration
	json    bool
}

func (k *command) run(ctx context.Context, s Streams, args []string) error {
	fleet, drone, ok := cutDrone(k.drone)
	if !ok || k.station.url == "" {
		return errors.New("command: want --station http://host:port and --drone fleet/drone")
	}
	arguments := json.RawMessage("{}")
	if len(args) == 2 {
		arguments = json.RawMessage(args[1])
	}
	if !json.Valid(arguments) {
		return fmt.Errorf("command: the arguments are not JSON: %s", arguments)
	}
	f, err := k.station.follower("", 0)
	if err != nil {
		return err
	}
	id, err := f.Order(ctx, fleet, drone, wire.Verb(args[0]), arguments, k.station.name())
	if err != nil {
		return err
	}
	order, err := k.await(ctx, f, id)
	if err != nil {
		return err
	}
	return k.print(s, order)
}

// await asks until the order has an end, or the time is over.
func (k *command) await(ctx context.Context, f *follow.Follower, id int64) (order store.Order, err error) {
	limited, cancel := context.WithTimeout(ctx, k.wait)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if order, err = f.OrderState(ctx, id); err != nil || order.State != store.OrderPending {
			return order, err
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return order, ctx.Err()
		}
	}
}

func (k *command) print(s Streams, o store.Order) error {
	if k.json {
		if err := emit(s.Out, o); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.Out, "command %d: %s after %d attempts %s\n", o.ID, o.State, o.Attempts, printable(o.Text))
	}
	if o.State != store.OrderDone && !(o.State == store.OrderPending && k.wait == 0) {
		return fmt.Errorf("command %d is %s", o.ID, o.State)
	}
	return nil
}

func cutDrone(text string) (fleet, drone string, ok bool) {
	for i := range text {
		if text[i] == '/' {
			return text[:i], text[i+1:], i > 0 && i < len(text)-1
		}
	}
	return "", "", false
}
