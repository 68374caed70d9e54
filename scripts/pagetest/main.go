// Pagetest plays drones for the tests of the live page. It reads one order a line from
// standard input, publishes what the order says, and answers with one line when the broker
// has acknowledged it, so that a test knows when a message was out.
//
//	{"do":"status","drone":"kite-7","state":"online"}
//	{"do":"alert","drone":"kite-7","event":"e1","phase":"begin","label":"smoke"}
//	{"do":"obey","drone":"kite-7","key":"ed25519:…"}
//	→ {"captured":1780000000000}
//
// A drone that obeys is online, checks commands against the key of the station and answers.
//
// It runs without ONNX Runtime, OpenCV or a camera; what it sends is made up.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

func main() {
	broker := flag.String("broker", "tcp://127.0.0.1:1883", "address of the broker")
	shrinking := flag.Bool("shrink", false, "make the PNG files named smaller, and play no drones")
	certified := flag.String("certificate", "",
		"write a certificate for the name station.test into this folder, and play no drones")
	flag.Parse()
	if err := do(*broker, *shrinking, *certified); err != nil {
		fmt.Fprintln(os.Stderr, "pagetest:", err)
		os.Exit(1)
	}
}

func do(broker string, shrinking bool, certified string) error {
	switch {
	case certified != "":
		return certificate(certified, "station.test")
	case shrinking:
		for _, path := range flag.Args() {
			if err := shrink(path); err != nil {
				return err
			}
		}
		return nil
	}
	return run(context.Background(), broker)
}

func run(ctx context.Context, url string) error {
	f := newFeeder(url)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		at, err := f.obey(ctx, in.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", in.Text(), err)
		}
		fmt.Printf("{\"captured\":%d}\n", at.UnixMilli())
	}
	return in.Err()
}

// feeder has one connection to the broker, made anew when it was lost.
type feeder struct {
	broker mqtt.Broker
	conn   *mqtt.Conn
	drones map[string]*drone
}

func newFeeder(url string) *feeder {
	return &feeder{broker: mqtt.Broker{URL: url}, drones: make(map[string]*drone)}
}

// obey publishes what one order says and returns the capture time that it used.
func (f *feeder) obey(ctx context.Context, line []byte) (time.Time, error) {
	o := order{Fleet: "valley", Task: wire.TaskFire, Calibrated: 0.91}
	if err := json.Unmarshal(line, &o); err != nil {
		return time.Time{}, err
	}
	if o.Do == "crowd" {
		return time.Now(), f.crowd(ctx, o)
	}
	m, err := f.drone(o.Drone).message(&o)
	if err != nil {
		return time.Time{}, err
	}
	if o.Do == "obey" {
		return m.Head().Captured.Time, f.obeyStation(ctx, &o, m)
	}
	if o.Hold {
		return m.Head().Captured.Time, nil
	}
	return m.Head().Captured.Time, f.publish(ctx, m)
}

func (f *feeder) drone(id string) *drone {
	d := f.drones[id]
	if d == nil {
		d = &drone{id: id, boot: wire.NewBoot(), started: time.Now(), begun: make(map[string]time.Time)}
		f.drones[id] = d
	}
	return d
}

// publish sends until a broker has taken the message.
func (f *feeder) publish(ctx context.Context, m wire.Message) error {
	payload, err := wire.Append(nil, m)
	if err != nil {
		return err
	}
	_, retained := m.(*wire.Status)
	for {
		wire.Stamp(payload, time.Now())
		err := f.attempt(ctx, mqtt.Message{Topic: m.Topic().String(), Payload: payload, QoS: 1, Retained: retained})
		if err == nil {
			return nil
		}
		fmt.Fprintln(os.Stderr, "pagetest: trying again:", err)
		f.conn = nil
		time.Sleep(50 * time.Millisecond) // the broker is being restarted
	}
}

func (f *feeder) attempt(ctx context.Context, m mqtt.Message) error {
	if f.conn == nil {
		conn, err := mqtt.Dial(ctx, f.broker, mqtt.Session{ClientID: "pagetest-" + wire.NewBoot()})
		if err != nil {
			return err
		}
		f.conn = conn
	}
	return f.conn.Wait(ctx, f.conn.Publish(m))
}
