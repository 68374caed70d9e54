// Package broker runs an MQTT broker inside the program, for demos, tests and sites
// without one of their own.
//
// It is nats-server with its MQTT side only: there is no NATS listener. MQTT 3.1.1 with
// QoS 0 and 1, retained messages, last wills and persistent sessions works as with any
// broker. What it stores is synced to disk every two minutes unless Options.SyncAlways is
// set; like any broker it is not where alerts are made durable.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options of a Broker. Zero means the default.
type Options struct {
	Host       string // 127.0.0.1
	Port       int    // 0 picks a free one
	StoreDir   string // "" is a new directory that Close removes
	SyncAlways bool   // sync every write before it is acknowledged

	// Username and Password, when set, are asked of every client.
	Username, Password string

	// Accounts, when set, are the only ones that may connect, each confined to what it is
	// for. They take the place of Username and Password.
	Accounts []Account

	TLS *tls.Config // when set, connections without TLS are refused

	Cluster *Cluster // when set, the broker is one of several

	Log *slog.Logger // slog.Default; notices of the server are logged as debug
}

// Broker is a running broker. Close it.
type Broker struct {
	server   *server.Server
	hostport string
	scheme   string
	tempDir  string // "" when the store belongs to the caller
	close    sync.Once
	err      error
}

const startTimeout = 10 * time.Second

// Start starts a broker and returns when it accepts connections, or ctx ends.
func Start(ctx context.Context, opts Options) (*Broker, error) {
	b := new(Broker)
	if err := b.start(ctx, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("start broker: %w", err), b.Close())
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context, opts Options) (err error) {
	if opts.Host == "" {
		opts.Host = "127.0.0.1"
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.StoreDir == "" {
		if b.tempDir, err = os.MkdirTemp("", "emberwing-broker-"); err != nil {
			return err
		}
		opts.StoreDir = b.tempDir
	}
	if opts.Cluster != nil {
		if err := opts.Cluster.Validate(); err != nil {
			return err
		}
	}
	if err := portFree(opts); err != nil {
		return err
	}
	if b.server, err = server.NewServer(serverOptions(opts)); err != nil {
		return err
	}
	b.server.SetLoggerV2(quietLog{opts.Log}, false, false, false)
	b.server.Start()
	b.scheme = "tcp"
	if opts.TLS != nil {
		b.scheme = "ssl"
	}
	return b.waitReady(ctx, opts.Host)
}

func serverOptions(o Options) *server.Options {
	port := o.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		ServerName: "emberwing", DontListen: true, NoSigs: true, NoSystemAccount: true,
		JetStream: true, StoreDir: o.StoreDir, SyncAlways: o.SyncAlways, DisableJetStreamBanner: true,
		MaxConn: maxConnections,
		MQTT: server.MQTTOpts{Host: o.Host, Port: port, Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
			MaxAckPending: maxUnacknowledged},
	}
	for _, a := range o.Accounts {
		opts.Users = append(opts.Users, a.user())
	}
	if len(o.Accounts) > 0 {
		opts.MQTT.Username, opts.MQTT.Password = "", "" // the server takes either these or accounts
	}
	if o.Cluster != nil {
		o.Cluster.apply(opts)
	}
	return opts
}

const (
	maxConnections    = 64 << 10
	maxUnacknowledged = 4096 // messages on their way to one subscriber
)

// portFree turns a port in use into an error here: the server would only log it.
func portFree(o Options) error {
	l, err := net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	if err != nil {
		return err
	}
	return l.Close()
}

// waitReady polls: the server has no way to be waited for with a context.
func (b *Broker) waitReady(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !b.server.ReadyForConnections(10 * time.Millisecond) {
		if ctx.Err() != nil {
			return fmt.Errorf("not ready: %w", ctx.Err())
		}
	}
	status, err := b.server.Varz(nil)
	if err != nil {
		return err
	}
	b.hostport = net.JoinHostPort(host, strconv.Itoa(status.MQTT.Port))
	return nil
}

// URL returns tcp://host:port, with TLS ssl://host:port.
func (b *Broker) URL() string { return b.scheme + "://" + b.hostport }

// Close ends all connections and removes the store if it was a temporary one. Close
// again does nothing.
func (b *Broker) Close() error {
	b.close.Do(func() {
		if b.server != nil {
			b.server.Shutdown()
			b.server.WaitForShutdown()
		}
		if b.tempDir != "" {
			b.err = os.RemoveAll(b.tempDir)
		}
	})
	return b.err
}

// quietLog is the logger of the server. Unlike the server's own it never exits.
type quietLog struct{ log *slog.Logger }

func (q quietLog) Noticef(f string, v ...any) { q.log.Debug("broker: " + fmt.Sprintf(f, v...)) }
func (q quietLog) Warnf(f string, v ...any)   { q.log.Warn("broker: " + fmt.Sprintf(f, v...)) }
func (q quietLog) Errorf(f string, v ...any)  { q.log.Error("broker: " + fmt.Sprintf(f, v...)) }
func (q quietLog) Fatalf(f string, v ...any)  { q.log.Error("broker: " + fmt.Sprintf(f, v...)) }
func (q quietLog) Debugf(string, ...any)      {}
func (q quietLog) Tracef(string, ...any)      {}
