package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/telemetrytest"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority { return newAuthorityFrom(t, time.Unix(0, 0)) }

func newAuthorityFrom(t *testing.T, from time.Time) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.issue(&x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
		NotBefore: from, NotAfter: time.Now().AddDate(50, 0, 0)})
	return a
}

func (a *authority) issue(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// broker starts a broker that asks for certificates; its own is valid around now plus shift.
func (a *authority) broker(shift time.Duration) *broker.Broker {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(shift - time.Hour), NotAfter: time.Now().Add(shift + time.Hour)})
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	b, err := broker.Start(a.t.Context(), broker.Options{Log: telemetrytest.Quiet(), TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13}})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { b.Close() })
	return b
}

// files writes authority, certificate and key of a drone.
func (a *authority) files(dir string) mqtt.Certificates {
	a.t.Helper()
	c := mqtt.Certificates{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem"), Name: "127.0.0.1"}
	cert, key := a.issue(&x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		c.CA: {Type: "CERTIFICATE", Bytes: a.cert.Raw}, c.Cert: {Type: "CERTIFICATE", Bytes: cert.Raw},
		c.Key: {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return c
}

// dial returns how a connection with these files ends.
func dial(t *testing.T, url string, c mqtt.Certificates) error {
	t.Helper()
	conf, err := c.TLS()
	if err != nil {
		return err
	}
	conn, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url, TLS: conf}, mqtt.Session{ClientID: "drone"})
	if err == nil {
		conn.Disconnect(time.Second)
	}
	return err
}

func TestCertificatesAreChecked(t *testing.T) {
	a := newAuthority(t)
	good := a.broker(0).URL()
	never := func() bool { return false }
	cases := []struct {
		name   string
		url    string
		change func(*mqtt.Certificates)
		want   string
	}{
		{"right", good, func(*mqtt.Certificates) {}, ""},
		{"another name", good, func(c *mqtt.Certificates) { c.Name = "broker.example" }, "broker.example"},
		{"roots of the system", good, func(c *mqtt.Certificates) { c.CA = "" }, "unknown authority"},
		{"no certificate to show", good, func(c *mqtt.Certificates) { c.Cert = "" }, "certificate"},
		{"no name", good, func(c *mqtt.Certificates) { c.Name = "" }, "no name"},
		{"missing file", good, func(c *mqtt.Certificates) { c.Key = "/does/not/exist" }, "read certificate"},
		{"no PEM", good, func(c *mqtt.Certificates) { c.CA = "tls_test.go" }, "want PEM"},
		{"expired", a.broker(-24 * time.Hour).URL(), func(*mqtt.Certificates) {}, "expired"},
		{"expired, no clock", a.broker(-24 * time.Hour).URL(), func(c *mqtt.Certificates) { c.ClockSet = never }, ""},
		{"not yet valid", a.broker(24 * time.Hour).URL(), func(*mqtt.Certificates) {}, "not yet valid"},
		{"not yet valid, no clock", a.broker(24 * time.Hour).URL(), func(c *mqtt.Certificates) { c.ClockSet = never }, ""},
		{"another authority, no clock", newAuthority(t).broker(0).URL(), func(c *mqtt.Certificates) { c.ClockSet = never },
			"unknown authority"},
	}
	for _, c := range cases {
		files := a.files(t.TempDir())
		c.change(&files)
		err := dial(t, c.url, files)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Certificates are often dated back by a day; without a clock the drone must find the time at
// which they and the authority that is younger are valid.
func TestCertificateOlderThanItsAuthority(t *testing.T) {
	a := newAuthorityFrom(t, time.Now().Add(30*time.Minute))
	files := a.files(t.TempDir())
	files.Cert = "" // the broker has a clock, and asks for nothing
	cert, key := a.issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	b, err := broker.Start(t.Context(), broker.Options{Log: telemetrytest.Quiet(), TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := dial(t, b.URL(), files); err == nil || !strings.Contains(err.Error(), "not yet valid") {
		t.Errorf("with a clock: got %v, want the authority refused", err)
	}
	files.ClockSet = func() bool { return false }
	if err := dial(t, b.URL(), files); err != nil {
		t.Errorf("without a clock: got %v", err)
	}
}

// The members of a cluster have certificates with names of their own.
func TestCertificatesOfACluster(t *testing.T) {
	a := newAuthority(t)
	files := a.files(t.TempDir())
	files.Name = ""
	for _, url := range []string{"ssl://127.0.0.2:1," + a.broker(0).URL(), a.broker(0).URL()} {
		conn, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: url, Certificates: &files}, mqtt.Session{ClientID: "drone"})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		conn.Disconnect(time.Second)
	}
	other := strings.Replace(a.broker(0).URL(), "127.0.0.1", "localhost", 1) // a name that is not in the certificate
	if _, err := mqtt.Dial(t.Context(), mqtt.Broker{URL: other, Certificates: &files},
		mqtt.Session{ClientID: "drone"}); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("got %v, want the name refused", err)
	}
}

// Nothing older than TLS 1.3 is spoken, however the connection is set up.
func TestOnlyTLS13(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MaxVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	files := a.files(t.TempDir())
	for _, b := range []mqtt.Broker{{Certificates: &files}, {}} {
		b.URL = "ssl://" + l.Addr().String()
		_, err := mqtt.Dial(t.Context(), b, mqtt.Session{ClientID: "x"})
		if err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("got %v, want the old version refused", err)
		}
	}
}

// A drone whose certificate the broker no longer takes gets in as soon as the files are
// replaced, without a restart.
func TestCertificatesAreReadAgain(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	files := a.files(dir)
	stranger := newAuthority(t).files(t.TempDir())
	copyFile(t, stranger.Cert, files.Cert)
	copyFile(t, stranger.Key, files.Key)
	d := telemetrytest.NewDrone(t, a.broker(0).URL(), func(o *mqtt.Options) { o.Broker.Certificates = &files })
	telemetrytest.Eventually(t, "refused", func() bool { return d.Pipe.Stats().Failures > 0 })
	a.files(dir)
	d.WaitConnected()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
