package ground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"emberwing/telemetry/mqtt"
)

// linkEvents is told of a link's fate.
type linkEvents interface {
	linkUp()
	linkDown(error)
}

// linkOptions describe a link.
type linkOptions struct {
	broker     mqtt.Broker
	clientID   string
	persistent bool
	forget     bool // the session when ctx ends
	filters    []string
	will       *mqtt.Message
	backoff    mqtt.Backoff
	lostAfter  time.Duration // 0 never
	events     linkEvents
	log        *slog.Logger
}

// link is a subscription that is kept up over any number of connections.
type link struct {
	linkOptions
	queue chan mqtt.Message

	mu   sync.Mutex
	conn *mqtt.Conn // nil while down
}

const queueLength = 1024

func newLink(o linkOptions) *link {
	return &link{linkOptions: o, queue: make(chan mqtt.Message, queueLength)}
}

var errLinkDown = errors.New("no connection to the broker")

// publish hands a message to the connection of the moment, if there is one. What becomes
// of it is not waited for.
func (l *link) publish(m mqtt.Message) error {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return errLinkDown
	}
	token := conn.Publish(m)
	select {
	case <-token.Done():
		return token.Error()
	default:
		return nil
	}
}

func (l *link) setConn(c *mqtt.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
}

// run hands messages to handle, one at a time, until ctx ends; then it returns nil. It
// reconnects whenever the link breaks and returns ErrFeedLost, with the cause, when that
// takes longer than lostAfter.
func (l *link) run(ctx context.Context, handle func(mqtt.Message)) error {
	lastUp := time.Now()
	for failures := 0; ; failures++ {
		attempt, cancel := l.patience(ctx, lastUp)
		upFor, err := l.session(ctx, attempt, handle)
		if upFor > 0 {
			lastUp = time.Now()
			cancel()
			attempt, cancel = l.patience(ctx, lastUp)
		}
		if upFor > usefulLife {
			failures = 0
		}
		if ctx.Err() == nil {
			l.events.linkDown(err)
			l.log.Warn("feed down", "err", err)
			l.backoff.Sleep(attempt, nil, failures)
		}
		lost := attempt.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if lost {
			return fmt.Errorf("%w for %v: %w", ErrFeedLost, l.lostAfter, err)
		}
	}
}

const usefulLife = 2 * time.Second // a connection shorter than this does not reset the backoff

// patience returns a context that ends when the feed has been down for too long.
func (l *link) patience(ctx context.Context, lastUp time.Time) (context.Context, context.CancelFunc) {
	if l.lostAfter <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, lastUp.Add(l.lostAfter))
}

// session is one connection; attempt limits the time until it is up. It returns how long
// it was up.
func (l *link) session(ctx, attempt context.Context, handle func(mqtt.Message)) (upFor time.Duration, err error) {
	closed := make(chan struct{})
	defer close(closed)
	conn, err := mqtt.Dial(attempt, l.broker, mqtt.Session{
		ClientID: l.clientID, Persistent: l.persistent, Will: l.will,
		Receive: func(m mqtt.Message) {
			select {
			case l.queue <- m:
			case <-closed:
			}
		},
	})
	if err != nil {
		return 0, err
	}
	defer conn.Abort()
	defer l.setConn(nil)
	err = l.serve(ctx, attempt, conn, &upFor, handle)
	if ctx.Err() != nil {
		conn.Disconnect(disconnectTime)
		l.forgetSession()
	}
	return upFor, err
}

const (
	disconnectTime = 250 * time.Millisecond
	forgetTime     = 2 * time.Second
)

// forgetSession makes the broker discard a session that nobody will come back to: MQTT 3.1.1
// has no other way than a clean session of the same name.
func (l *link) forgetSession() {
	if !l.forget {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), forgetTime)
	defer cancel()
	if conn, err := mqtt.Dial(ctx, l.broker, mqtt.Session{ClientID: l.clientID}); err == nil {
		conn.Disconnect(disconnectTime)
	}
}

// serve subscribes and handles messages until something ends.
func (l *link) serve(ctx, attempt context.Context, conn *mqtt.Conn, upFor *time.Duration,
	handle func(mqtt.Message)) error {
	subscription := conn.Subscribe(l.filters...)
	subscribed, tooLate := subscription.Done(), attempt.Done()
	var up time.Time
	defer func() {
		if !up.IsZero() {
			*upFor = max(time.Since(up), 1)
		}
	}()
	for {
		select {
		case m := <-l.queue:
			handle(m)
		case <-subscribed:
			if err := subscription.Error(); err != nil {
				return fmt.Errorf("subscribe: %w", err)
			}
			subscribed, tooLate, up = nil, nil, time.Now()
			l.setConn(conn)
			l.events.linkUp()
			l.log.Info("feed up")
		case <-tooLate:
			return attempt.Err()
		case <-conn.Lost():
			return conn.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
