package mqtt_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/outbox"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// confirmer is a station reduced to its voice: it counts alerts and sends the receipts it
// is told to.
type confirmer struct {
	t    *testing.T
	conn *mqtt.Conn

	mu   sync.Mutex
	seen map[uint64]int // by number in the lane
}

func newConfirmer(t *testing.T, url string) *confirmer {
	t.Helper()
	c := &confirmer{t: t, seen: make(map[uint64]int)}
	var err error
	c.conn, err = mqtt.Dial(t.Context(), mqtt.Broker{URL: url}, mqtt.Session{ClientID: "confirmer", Receive: c.receive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Disconnect(time.Second) })
	c.wait(c.conn.Subscribe("ew/1/valley/+/alert/+"))
	return c
}

func (c *confirmer) wait(token mqtt.Token) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), telemetrytest.Patience)
	defer cancel()
	if err := c.conn.Wait(ctx, token); err != nil {
		c.t.Fatal(err)
	}
}

func (c *confirmer) receive(m mqtt.Message) {
	decoded, err := wire.Decode(m.Topic, m.Payload)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[decoded.Head().Seq]++
}

func (c *confirmer) times(seq uint64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[seq]
}

// confirm publishes a receipt, signed when there is a key.
func (c *confirmer) confirm(key ed25519.PrivateKey, boot string, from, to uint64) {
	c.t.Helper()
	r := &wire.Receipt{Header: telemetrytest.Header(boot), Station: "hill", Stored: []wire.Range{{Boot: boot, From: from,
		To: to}}}
	if key != nil {
		if err := wire.Sign(r, key); err != nil {
			c.t.Fatal(err)
		}
	}
	payload, err := wire.Append(nil, r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.wait(c.conn.Publish(mqtt.Message{Topic: r.Topic().String(), Payload: payload, QoS: 1}))
}

func withReceipts(timeout time.Duration, trusted ...ed25519.PublicKey) func(*mqtt.Options) {
	return func(o *mqtt.Options) { o.Ack, o.ReceiptTimeout, o.Trusted = wire.AckReceipt, timeout, trusted }
}

func TestOnlyAReceiptDeletes(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	c := newConfirmer(t, b.URL())
	d := telemetrytest.NewDrone(t, b.URL(), withReceipts(time.Hour))
	const n = 40 // more than the window: what waits for receipts holds up nothing
	for i := range n {
		d.Raise(fmt.Sprint("alert-", i))
	}
	telemetrytest.Eventually(t, "all published", func() bool { return d.Pipe.Stats().Unreceipted == n })
	if depth := d.Box.Stats().AlertDepth; depth != n {
		t.Fatalf("got %d alerts in the outbox, want %d: a PUBACK deletes nothing", depth, n)
	}
	c.confirm(nil, "another-boot", 1, n)
	c.confirm(nil, d.Boot, 2, n)
	telemetrytest.Eventually(t, "the receipt is acted upon", func() bool { return d.Pipe.Stats().Acked == n-1 })
	if depth := d.Box.Stats().AlertDepth; depth != 1 {
		t.Errorf("got %d alerts in the outbox, want 1", depth)
	}
	if item, ok := d.Box.Next(outbox.Alerts, 0); !ok || item.Seq != 1 {
		t.Errorf("got %v, %v left, want alert 1", item.ID, ok)
	}
	if s := d.Pipe.Stats(); s.Resent != 0 || s.Acked != n-1 || s.Unreceipted != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestAlertsWithoutReceiptAreSentAgain(t *testing.T) {
	b := telemetrytest.NewEmbedded(t)
	c := newConfirmer(t, b.URL())
	d := telemetrytest.NewDrone(t, b.URL(), withReceipts(20*time.Millisecond))
	d.Raise("a", "b")
	telemetrytest.Eventually(t, "both are repeated", func() bool { return c.times(1) >= 3 && c.times(2) >= 3 })
	if s := d.Pipe.Stats(); s.WaitingFrom.IsZero() {
		t.Errorf("got %+v, want the time since when alerts wait for a receipt", s)
	}
	c.confirm(nil, d.Boot, 1, 2)
	telemetrytest.Eventually(t, "nothing waits", func() bool {
		s := d.Pipe.Stats()
		return s.Unreceipted == 0 &&
			s.WaitingFrom.IsZero()
	})
	if depth := d.Box.Stats().AlertDepth; depth != 0 {
		t.Errorf("got %d alerts in the outbox, want 0", depth)
	}
}

func TestReceiptsMustBeSigned(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	wrong := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	b := telemetrytest.NewEmbedded(t)
	c := newConfirmer(t, b.URL())
	d := telemetrytest.NewDrone(t, b.URL(), withReceipts(time.Hour, key.Public().(ed25519.PublicKey)))
	d.Raise("a")
	telemetrytest.Eventually(t, "published", func() bool { return d.Pipe.Stats().Unreceipted == 1 })
	c.confirm(nil, d.Boot, 1, 1)
	c.confirm(wrong, d.Boot, 1, 1)
	c.wait(c.conn.Publish(mqtt.Message{Topic: "ew/1/valley/kite.7/receipt", Payload: []byte("{{{"), QoS: 1}))
	telemetrytest.Eventually(t, "three bad receipts", func() bool { return d.Pipe.Stats().BadReceipts == 3 })
	if depth := d.Box.Stats().AlertDepth; depth != 1 {
		t.Fatalf("got %d alerts in the outbox, want 1", depth)
	}
	c.confirm(key, d.Boot, 1, 1)
	telemetrytest.Eventually(t, "the signed one counts", func() bool { return d.Box.Stats().AlertDepth == 0 })
}

// looking is a broker that takes every message unless look, which sees it first, returns false:
// then it closes the connection.
func looking(t *testing.T, look func(net.Conn, *packets.PublishPacket) bool) (url string) {
	return deafServer(t, func(c net.Conn) {
		for {
			p, err := packets.ReadPacket(c)
			if err != nil {
				return
			}
			switch p := p.(type) {
			case *packets.ConnectPacket:
				_ = packets.NewControlPacket(packets.Connack).Write(c)
			case *packets.SubscribePacket:
				a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
				a.MessageID, a.ReturnCodes = p.MessageID, make([]byte, len(p.Topics))
				_ = a.Write(c)
			case *packets.PublishPacket:
				if !look(c, p) {
					c.Close()
					return
				}
				a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				a.MessageID = p.MessageID
				_ = a.Write(c)
			}
		}
	})
}

// misdirecting answers an alert with a receipt on the topic of another drone that names this
// one's alert.
func misdirecting(t *testing.T) (url string) {
	return looking(t, func(c net.Conn, p *packets.PublishPacket) bool {
		if m, err := wire.Decode(p.TopicName, p.Payload); err == nil && m.Topic().Kind == wire.KindAlert {
			r := &wire.Receipt{Header: *m.Head(), Station: "hill", Stored: []wire.Range{{Boot: m.Head().Boot, From: 1, To: 9}}}
			r.Drone = "another"
			out := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			out.TopicName = r.Topic().String()
			out.Payload, _ = wire.Append(nil, r)
			_ = out.Write(c)
		}
		return true
	})
}

func TestReceiptsForOthersDeleteNothing(t *testing.T) {
	d := telemetrytest.NewDrone(t, misdirecting(t), withReceipts(time.Hour))
	d.Raise("a")
	telemetrytest.Eventually(t, "the receipt of another arrives", func() bool { return d.Pipe.Stats().Misdirected == 1 })
	if depth := d.Box.Stats().AlertDepth; depth != 1 {
		t.Errorf("got %d alerts in the outbox, want 1", depth)
	}
}

// picky closes the connection when it sees a message with the forbidden word, as brokers do
// with what is not allowed or too large, and acknowledges all others.
func picky(t *testing.T, forbidden string) (url string) {
	return looking(t, func(_ net.Conn, p *packets.PublishPacket) bool {
		return !strings.Contains(string(p.Payload), forbidden)
	})
}

func TestRefusedMessagesDoNotHoldUpTheRest(t *testing.T) {
	d := telemetrytest.NewDrone(t, picky(t, "forbidden"))
	h := &wire.Health{Header: telemetrytest.Header(d.Boot), State: wire.HealthOK, Profile: "forbidden"}
	if err := d.Box.Put(h); err != nil {
		t.Fatal(err)
	}
	d.Raise("before", "forbidden", "after", "later")
	telemetrytest.Eventually(t, "the rest has arrived", func() bool { return d.Pipe.Stats().Acked == 3 })
	telemetrytest.Eventually(t, "both are set aside", func() bool { return d.Pipe.Stats().Dead == 2 })
	s := d.Box.Stats()
	if s.AlertDepth != 1 || s.BulkDepth != 0 || s.Buried != 1 {
		t.Errorf("got %+v, want the alert kept and the health message buried", s)
	}
	if got := d.Pipe.Stats().LastDead; !strings.Contains(got, "ends every connection") {
		t.Errorf("got %q as the reason", got)
	}
}

func TestDeadAlertsAreTriedAgain(t *testing.T) {
	d := telemetrytest.NewDrone(t, picky(t, "forbidden"), func(o *mqtt.Options) { o.DeadRetry = 50 * time.Millisecond })
	d.Raise("forbidden")
	telemetrytest.Eventually(t, "set aside twice", func() bool { return d.Pipe.Stats().Dead >= 2 })
}
