package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Errors of a connection.
var (
	ErrClosed  = errors.New("connection closed")
	ErrURL     = errors.New("bad broker url")
	ErrRefused = errors.New("broker refused the connection")
)

// Broker says how to reach one. Zero durations mean the default.
type Broker struct {
	// URL is tcp://host:port, mqtt://host:port (the same), ssl://, tls:// or mqtts://; or
	// several of them with commas between, the members of a cluster, of which each
	// connection takes one at random, and another when nobody answers there.
	// The port may be left out: 1883, with TLS 8883. User and password may be part of
	// the URL; those below take precedence. Neither appears in errors or logs.
	URL                string
	Username, Password string
	// Certificates, or else TLS, are for ssl://; without either the roots of the system vouch for
	// the broker, whose certificate has to bear the host of the address.
	Certificates *Certificates
	TLS          *tls.Config

	KeepAlive      time.Duration // between packets on an idle link, 15 s, at least 1 s
	PingTimeout    time.Duration // for the answer to a ping, 5 s
	WriteTimeout   time.Duration // for the network to take a packet, 5 s
	ConnectTimeout time.Duration // for dialling and the MQTT handshake, 10 s
}

func (b Broker) withDefaults() Broker {
	set := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&b.KeepAlive, 15*time.Second)
	b.KeepAlive = max(b.KeepAlive, time.Second) // paho counts in seconds and takes 0 for never
	set(&b.PingTimeout, 5*time.Second)
	set(&b.WriteTimeout, 5*time.Second)
	set(&b.ConnectTimeout, 10*time.Second)
	return b
}

// endpoint is the parsed URL.
type endpoint struct {
	host, hostport     string
	secure             bool
	username, password string
}

// Validate checks the URL without connecting.
func (b Broker) Validate() error {
	_, err := b.parse()
	return err
}

// Secure reports whether any of the addresses is reached by TLS; false when they are malformed.
func (b Broker) Secure() bool {
	all, err := b.parse()
	return err == nil && slices.ContainsFunc(all, func(e endpoint) bool { return e.secure })
}

// parse returns the addresses in random order.
func (b Broker) parse() ([]endpoint, error) {
	var all []endpoint
	for text := range strings.SplitSeq(b.URL, ",") {
		e, err := b.parseURL(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// parseURL never puts the URL into an error: it may hold a password.
func (b Broker) parseURL(text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("%w: want tcp://host:port or ssl://host:port", ErrURL)
	}
	e := endpoint{host: u.Hostname(), username: b.Username, password: b.Password}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
	case "ssl", "tls", "mqtts":
		e.secure, port = true, "8883"
	default:
		return endpoint{}, fmt.Errorf("%w: got scheme %q, want tcp, mqtt, ssl, tls or mqtts", ErrURL, u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	e.hostport = net.JoinHostPort(u.Hostname(), port)
	if e.username == "" && u.User != nil {
		e.username = u.User.Username()
		e.password, _ = u.User.Password()
	}
	return e, nil
}

// Message is what travels on a connection.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
}

// Session describes one connection.
type Session struct {
	ClientID   string
	Persistent bool     // the broker keeps subscriptions and QoS 1 messages while away
	Will       *Message // published by the broker when the connection breaks

	// Receive is called for each message in order, by one goroutine that also serves
	// the connection: it must not block for long nor use the connection. It owns the
	// message. nil discards.
	Receive func(Message)
}

// Token is a publish or subscribe under way. Done is closed when its fate is known;
// then Error is nil exactly if the broker acknowledged it on this connection.
type Token interface {
	Done() <-chan struct{}
	Error() error
}

// Conn is one connection to a broker, from CONNECT to its end. It never reconnects,
// which is what makes its tokens exact.
type Conn struct {
	client paho.Client
	socket net.Conn
	end    sync.Once
	lost   chan struct{}
	err    error // valid once lost is closed
}

// Dial connects. It returns when the broker has accepted the session, or an error when
// ctx ends, ConnectTimeout passes or the broker refuses.
func Dial(ctx context.Context, broker Broker, session Session) (*Conn, error) {
	broker = broker.withDefaults()
	addresses, err := broker.parse()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, broker.ConnectTimeout)
	defer cancel()
	socket, to, err := broker.openAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	socket = &loudSocket{socket}
	c := &Conn{socket: socket, lost: make(chan struct{})}
	c.client = paho.NewClient(c.options(broker, to, session))
	if err := c.handshake(ctx); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to.hostport, err)
	}
	return c, nil
}

// openAny opens a socket to the first of the addresses that takes one. Each has an equal
// share of the time that ctx leaves.
func (b Broker) openAny(ctx context.Context, addresses []endpoint) (net.Conn, endpoint, error) {
	var errs []error
	deadline, _ := ctx.Deadline()
	for i, to := range addresses {
		share := time.Until(deadline) / time.Duration(len(addresses)-i)
		one, cancel := context.WithTimeout(ctx, share)
		socket, err := b.openSocket(one, to)
		cancel()
		if err == nil {
			return socket, to, nil
		}
		errs = append(errs, fmt.Errorf("connect to %s: %w", to.hostport, err))
	}
	return nil, endpoint{}, oneLine(errs)
}

// oneLine is errors.Join for a log.
func oneLine(errs []error) error {
	err := errs[0]
	for _, next := range errs[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	return err
}

func (b Broker) openSocket(ctx context.Context, to endpoint) (net.Conn, error) {
	if !to.secure {
		return new(net.Dialer).DialContext(ctx, "tcp", to.hostport)
	}
	conf, err := b.tlsFor(to)
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", to.hostport)
}

// tlsFor returns the configuration for one of the addresses.
func (b Broker) tlsFor(to endpoint) (*tls.Config, error) {
	if b.Certificates == nil && b.TLS != nil {
		return b.TLS, nil
	}
	var c Certificates
	if b.Certificates != nil {
		c = *b.Certificates
	}
	c.Name = cmp.Or(c.Name, to.host)
	return c.TLS()
}

// loudSocket reports a socket that we have closed like one that the network has closed.
// Paho takes the usual error of a closed socket for its own doing and would go on until
// the next ping fails.
type loudSocket struct{ net.Conn }

var errAborted = errors.New("aborted")

func (s *loudSocket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, net.ErrClosed) {
		err = errAborted
	}
	return n, err
}

// handshake exchanges CONNECT and CONNACK; closing the socket is what interrupts it.
func (c *Conn) handshake(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	token := c.client.Connect()
	<-token.Done()
	interrupted := !stop()
	if err := token.Error(); err != nil || interrupted {
		c.socket.Close()
		c.finish(ErrClosed)
		switch {
		case interrupted:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded): // paho's own limit came first
			return fmt.Errorf("no answer to the mqtt handshake: %w", context.DeadlineExceeded)
		}
		if code := token.(*paho.ConnectToken).ReturnCode(); code >= 1 && code <= 5 {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	}
	return nil
}

func (c *Conn) options(broker Broker, to endpoint, session Session) *paho.ClientOptions {
	o := paho.NewClientOptions().
		AddBroker("tcp://" + to.hostport). // a label only: the socket is open already
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return c.socket, nil }).
		SetClientID(session.ClientID).SetUsername(to.username).SetPassword(to.password).
		SetProtocolVersion(4).SetCleanSession(!session.Persistent).SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetResumeSubs(false).
		SetKeepAlive(broker.KeepAlive).SetPingTimeout(broker.PingTimeout).
		SetWriteTimeout(broker.WriteTimeout).SetConnectTimeout(broker.ConnectTimeout).
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.finish(err) }).
		SetDefaultPublishHandler(receiver(session.Receive))
	if w := session.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retained)
	}
	return o
}

func receiver(f func(Message)) paho.MessageHandler {
	return func(_ paho.Client, m paho.Message) {
		if f != nil {
			f(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained()})
		}
	}
}

func (c *Conn) finish(err error) {
	c.end.Do(func() {
		c.err = err
		close(c.lost)
	})
}

// Lost is closed when the connection has ended, for whatever reason.
func (c *Conn) Lost() <-chan struct{} { return c.lost }

// Err says why the connection ended; nil while it has not.
func (c *Conn) Err() error {
	select {
	case <-c.lost:
		return fmt.Errorf("connection lost: %w", c.err)
	default:
		return nil
	}
}

// Publish hands a message to the connection. It blocks while the network takes nothing,
// at most for WriteTimeout. The payload must stay as it is until the token is done.
func (c *Conn) Publish(m Message) Token {
	return c.client.Publish(m.Topic, m.QoS, m.Retained, m.Payload)
}

// Subscribe asks for the topics that match the filters, with QoS 1.
func (c *Conn) Subscribe(filters ...string) Token { return c.subscribe(1, filters) }

// SubscribeAtMostOnce is Subscribe with QoS 0, for what is repeated anyway until it has
// arrived. It costs the broker next to nothing: one that replicates keeps no state for it.
func (c *Conn) SubscribeAtMostOnce(filters ...string) Token { return c.subscribe(0, filters) }

func (c *Conn) subscribe(level byte, filters []string) Token {
	qos := make(map[string]byte, len(filters))
	for _, f := range filters {
		qos[f] = level
	}
	return &subscription{c.client.SubscribeMultiple(qos, nil).(*paho.SubscribeToken)}
}

// subscription adds to a token that the broker may answer with a refusal.
type subscription struct{ *paho.SubscribeToken }

func (s *subscription) Error() error {
	if err := s.SubscribeToken.Error(); err != nil {
		return err
	}
	const refused = 0x80
	for filter, code := range s.Result() {
		if code == refused {
			return fmt.Errorf("broker refused the subscription to %s", filter)
		}
	}
	return nil
}

// Wait waits for a token, the end of the connection or of ctx.
func (c *Conn) Wait(ctx context.Context, t Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-c.lost:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Disconnect says good-bye to the broker, which then discards the will, and closes.
// It takes at most about the given time.
func (c *Conn) Disconnect(limit time.Duration) {
	c.client.Disconnect(uint(max(limit, time.Millisecond).Milliseconds()))
	c.socket.Close()
	c.finish(ErrClosed)
}

// Abort closes the socket without a word: the broker publishes the will.
func (c *Conn) Abort() {
	c.socket.Close()
	select {
	case <-c.lost: // by the lost-connection handler, the last thing paho does
	case <-time.After(time.Second):
		c.finish(ErrClosed)
	}
}

// Backoff spreads reconnects: the n-th wait is uniform between 0 and Min doubled n
// times, at most Max (full jitter). Zero means 500 ms and 10 s.
type Backoff struct{ Min, Max time.Duration }

// Delay returns how long to wait after the given number of failures in a row.
func (b Backoff) Delay(failures int) time.Duration {
	lo, hi := b.Min, b.Max
	if lo <= 0 {
		lo = 500 * time.Millisecond
	}
	if hi <= 0 {
		hi = 10 * time.Second
	}
	limit := min(lo<<min(max(failures, 0), 20), hi)
	return rand.N(max(limit, 1))
}

// Sleep waits for Delay; it returns false when ctx ended or stop was closed first.
func (b Backoff) Sleep(ctx context.Context, stop <-chan struct{}, failures int) bool {
	timer := time.NewTimer(b.Delay(failures))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}
