package page

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// limiter is a token bucket for each address. It remembers maxAddresses of them; the
// rest share one bucket.
type limiter struct {
	burst int
	every time.Duration // one more is allowed in this time

	mu      sync.Mutex
	buckets map[netip.Prefix]bucket
}

// bucket holds when it will be full again.
type bucket struct{ full time.Time }

const maxAddresses = 1024

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{burst: burst, every: every, buckets: make(map[netip.Prefix]bucket)}
}

// allows tells whether take would succeed.
func (l *limiter) allows(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return l.room(l.bucket(r, now), now)
}

// take uses one up, and returns false when there is none.
func (l *limiter) take(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := l.bucket(r, now)
	if !l.room(at, now) {
		return false
	}
	full := l.buckets[at].full
	if full.Before(now) {
		full = now
	}
	l.buckets[at] = bucket{full.Add(l.every)}
	return true
}

func (l *limiter) room(at netip.Prefix, now time.Time) bool {
	return l.buckets[at].full.Sub(now) <= time.Duration(l.burst-1)*l.every
}

// bucket returns the address of a request, or the shared one when there are too many.
func (l *limiter) bucket(r *http.Request, now time.Time) netip.Prefix {
	at := network(r.RemoteAddr)
	if _, ok := l.buckets[at]; ok || len(l.buckets) < maxAddresses {
		return at
	}
	for k, b := range l.buckets {
		if b.full.Before(now) {
			delete(l.buckets, k)
		}
	}
	if len(l.buckets) < maxAddresses {
		return at
	}
	return netip.Prefix{}
}

// network is an IPv4 address, or the /64 of an IPv6 address, which is one subscriber.
func network(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if a = a.Unmap(); a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}
