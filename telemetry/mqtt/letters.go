package mqtt

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"emberwing/telemetry/outbox"
)

// letters finds messages that the broker does not take. MQTT 3.1.1 has no answer for "not
// allowed" or "too large": some brokers close the connection, and a message at the head of
// the queue would do that for ever, holding up all behind it. So messages under way when
// the peer closes are struck; after a few strikes they go one at a time, and one that was
// alone each time is dead. A dead alert stays in the outbox and is tried again after a long
// while or after a restart, a dead bulk message is buried. Either way the rest goes on.
type letters struct {
	strikes map[outbox.ID]int
	until   map[outbox.ID]time.Time // dead alerts, and when to try them again
}

const (
	suspicious = 3 // strikes from which messages go one at a time
	fatal      = 6 // strikes of a message that was alone each time since
)

func newLetters() letters {
	return letters{strikes: make(map[outbox.ID]int), until: make(map[outbox.ID]time.Time)}
}

// careful reports whether a message is suspicious.
func (l *letters) careful() bool {
	for _, n := range l.strikes {
		if n >= suspicious {
			return true
		}
	}
	return false
}

func (l *letters) arrived(id outbox.ID) {
	delete(l.strikes, id)
	delete(l.until, id)
}

// prune forgets messages that have left the outbox by another way.
func (l *letters) prune(box Outbox) {
	for id := range l.strikes {
		if item, ok := box.Next(id.Lane, id.Seq-1); !ok || item.Seq != id.Seq {
			delete(l.strikes, id)
		}
	}
}

// dead reports whether a message has to wait.
func (l *letters) dead(id outbox.ID, now time.Time) bool {
	until, ok := l.until[id]
	if !ok || now.Before(until) {
		return ok
	}
	delete(l.until, id)
	return false
}

// strike notes the messages that were under way when the peer closed the connection, and
// returns the one that is dead now, if any.
func (l *letters) strike(ids []outbox.ID) (outbox.ID, bool) {
	alone := len(ids) == 1
	for _, id := range ids {
		if n := l.strikes[id]; n < suspicious || alone {
			l.strikes[id] = n + 1
		}
	}
	if !alone || l.strikes[ids[0]] < fatal {
		return outbox.ID{}, false
	}
	delete(l.strikes, ids[0])
	return ids[0], true
}

// blame looks at how a connection ended and sets aside the message that ends every one.
func (g *generation) blame() {
	select {
	case <-g.conn.Lost(): // tokens may fail a moment before
	case <-time.After(grace):
	}
	err := g.conn.Err()
	if !peerClosed(err) {
		return
	}
	id, dead := g.pipe.letters.strike(g.underWay())
	if !dead {
		return
	}
	what := fmt.Sprintf("%s %d ends every connection: %v", id.Lane, id.Seq, err)
	g.pipe.opts.Log.Error("message set aside: the broker does not take it; check its permissions and its size limit",
		"message", what)
	g.pipe.count(func(s *Stats) { s.Dead++; s.LastDead = what })
	if id.Lane == outbox.Bulk {
		if err := g.pipe.box.Bury(id); err != nil {
			g.pipe.opts.Log.Warn("outbox keeps a message that the broker does not take", "err", err)
		}
		return
	}
	g.pipe.letters.until[id] = time.Now().Add(g.pipe.opts.DeadRetry)
}

// underWay lists the messages whose fate is not known.
func (g *generation) underWay() (ids []outbox.ID) {
	for lane := range g.flights {
		for _, f := range g.flights[lane].list {
			ids = append(ids, f.id)
		}
	}
	return ids
}

// peerClosed reports whether a connection ended by the will of the other side, in contrast
// to one that fell silent.
func peerClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
