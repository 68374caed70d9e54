package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, opts broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestClosedBrokerLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var log bytes.Buffer
	b := start(t, broker.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	dial(t, b.URL(), mqtt.Broker{}).Disconnect(time.Second)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("the log is not quiet:\n%s", log.String())
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// BenchmarkStart measures what the demo waits for before it can fly.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		br, err := broker.Start(b.Context(), broker.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		if err := br.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func dial(t *testing.T, url string, b mqtt.Broker) *mqtt.Conn {
	t.Helper()
	b.URL = url
	c, err := mqtt.Dial(t.Context(), b, mqtt.Session{ClientID: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFixedPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if b, err := broker.Start(t.Context(), broker.Options{Port: port}); err == nil {
		b.Close()
		t.Error("started on a port in use")
	}
	l.Close()
	b := start(t, broker.Options{Port: port})
	if want := strconv.Itoa(port); !strings.HasSuffix(b.URL(), ":"+want) {
		t.Errorf("got %s, want port %s", b.URL(), want)
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := broker.Start(ctx, broker.Options{StoreDir: t.TempDir()}); err == nil {
		b.Close() // it was ready at once, which is no fault
	}
}

func TestPassword(t *testing.T) {
	b := start(t, broker.Options{Username: "drone", Password: "s3cret"})
	dial(t, b.URL(), mqtt.Broker{Username: "drone", Password: "s3cret"}).Disconnect(time.Second)
	if _, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: b.URL(), Username: "drone", Password: "wrong"},
		mqtt.Session{ClientID: "x"}); err == nil {
		t.Error("a wrong password was accepted")
	}
}

func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	b := start(t, broker.Options{TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
	if !strings.HasPrefix(b.URL(), "ssl://") {
		t.Errorf("got %s, want ssl://", b.URL())
	}
	dial(t, b.URL(), mqtt.Broker{TLS: &tls.Config{RootCAs: roots}}).Disconnect(time.Second)
	for name, broker := range map[string]mqtt.Broker{
		"unknown certificate": {URL: b.URL()},
		"no tls":              {URL: strings.Replace(b.URL(), "ssl://", "tcp://", 1)},
	} {
		if c, err := mqtt.Dial(t.Context(), broker, mqtt.Session{ClientID: "x"}); err == nil {
			c.Abort()
			t.Errorf("%s: connected", name)
		}
	}
}

// selfSigned makes a certificate for 127.0.0.1 and a pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestReadAccounts(t *testing.T) {
	got, err := broker.ReadAccounts(strings.NewReader("\n# people\nwatch:a:b\n\nf/d:x\nstation-2:y\n"))
	want := []broker.Account{
		{Name: "watch", Password: "a:b", Role: broker.RoleReader},
		{Name: "f/d", Password: "x", Role: broker.RoleDrone, Fleet: "f", Drone: "d"},
		{Name: "station-2", Password: "y", Role: broker.RoleStation},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "# nobody\n", "secret", "a:x\na:y", "f/:x", "/d:x", "f/d/e:x", "f/+:x", "f/*:x",
		":x", "name:"} {
		_, err := broker.ReadAccounts(strings.NewReader(bad))
		if !errors.Is(err, broker.ErrAccounts) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want ErrAccounts without the line", bad, err)
		}
	}
}
