package mqtt_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// scripted is a broker that answers everything at once but acknowledges messages from the
// outbox only when told to, and remembers their order.
type scripted struct {
	welcome chan struct{} // CONNECT is answered once this is closed

	mu     sync.Mutex
	conn   net.Conn
	topics []string // of PUBLISH packets but the status, in order
	held   []uint16 // their ids, as far as they wait for an acknowledgement
}

func newScripted(t *testing.T) (*scripted, string) {
	s := &scripted{welcome: make(chan struct{})}
	return s, deafServer(t, s.serve)
}

func (s *scripted) open() { close(s.welcome) }

func (s *scripted) serve(c net.Conn) {
	s.mu.Lock()
	s.conn, s.held = c, nil
	s.mu.Unlock()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		<-s.welcome
		s.answer(p)
	}
}

func (s *scripted) answer(p packets.ControlPacket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := p.(type) {
	case *packets.ConnectPacket:
		s.write(packets.NewControlPacket(packets.Connack))
	case *packets.PingreqPacket:
		s.write(packets.NewControlPacket(packets.Pingresp))
	case *packets.PublishPacket:
		if strings.HasSuffix(p.TopicName, "/status") {
			s.acknowledge(p.MessageID)
			return
		}
		s.topics = append(s.topics, p.TopicName[strings.LastIndex(p.TopicName, "/")+1:])
		s.held = append(s.held, p.MessageID)
	}
}

func (s *scripted) write(p packets.ControlPacket) { _ = p.Write(s.conn) } // the peer may be gone

func (s *scripted) acknowledge(id uint16) {
	a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	a.MessageID = id
	s.write(a)
}

// release acknowledges the oldest n messages that wait.
func (s *scripted) release(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.held[:n] {
		s.acknowledge(id)
	}
	s.held = s.held[n:]
}

func (s *scripted) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.topics...)
}

func TestWindows(t *testing.T) {
	broker, url := newScripted(t)
	broker.open()
	d := telemetrytest.NewDrone(t, url, func(o *mqtt.Options) { o.AlertWindow, o.BulkWindow = 2, 1 })
	d.WaitConnected()
	for range 3 {
		if err := d.Box.Put(&wire.Health{Header: telemetrytest.Header(d.Boot), State: wire.HealthOK}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"health"} // one may be under way, however small the window
	wait := func(add ...string) {
		t.Helper()
		want = append(want, add...)
		telemetrytest.Eventually(t, strings.Join(want, " "), func() bool { return len(broker.seen()) >= len(want) })
		if diff := cmp.Diff(want, broker.seen()); diff != "" {
			t.Fatalf("published (-want +got):\n%s", diff)
		}
	}
	wait()
	d.Raise("a", "b", "c")
	wait("fire", "fire") // past the waiting bulk, two at a time
	broker.release(1)    // the bulk message: the next has to let the alert pass
	broker.release(1)
	wait("fire", "health")
	if got := d.Pipe.Stats(); got.Published != 5 || got.Acked > 2 {
		t.Errorf("got %+v, want 5 published and no more acknowledged than were", got)
	}
	broker.release(3)
	wait("health")
	broker.release(1)
	telemetrytest.Eventually(t, "all acknowledged", func() bool { return d.Pipe.Stats().Acked == 6 })
}

// A link that was down starts with the alerts, whatever else waits.
func TestAlertsGoFirst(t *testing.T) {
	broker, url := newScripted(t)
	d := telemetrytest.NewDrone(t, url, func(o *mqtt.Options) { o.BulkWindow = 1 << 20 })
	for range 5 {
		if err := d.Box.Put(&wire.Health{Header: telemetrytest.Header(d.Boot), State: wire.HealthOK}); err != nil {
			t.Fatal(err)
		}
	}
	d.Raise("a", "b")
	broker.open()
	telemetrytest.Eventually(t, "everything", func() bool { return len(broker.seen()) == 7 })
	if diff := cmp.Diff([]string{"fire", "fire", "health", "health", "health", "health", "health"}, broker.seen()); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

// A broker that answers pings but acknowledges nothing is no use.
func TestSilentBrokerIsGivenUp(t *testing.T) {
	broker, url := newScripted(t)
	broker.open()
	d := telemetrytest.NewDrone(t, url, func(o *mqtt.Options) { o.AckTimeout = 50 * time.Millisecond })
	d.WaitConnected()
	d.Raise("a")
	telemetrytest.Eventually(t, "given up", func() bool {
		return strings.Contains(d.Pipe.Stats().LastError,
			"no acknowledgement")
	})
	if d.Box.Stats().AlertDepth != 1 {
		t.Error("the alert is gone")
	}
}
