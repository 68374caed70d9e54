package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

// Certificates are the files of a secured connection, PEM. They are read for every
// connection, so that new ones count without a restart, and a pair that is being replaced
// fails one attempt only.
type Certificates struct {
	CA        string // authorities that may vouch for the broker; "" takes the roots of the system
	Cert, Key string // to show to the broker; "" shows none
	Name      string // that the broker's certificate has to bear; required

	// ClockSet reports whether the wall clock can be trusted now. While it cannot, the clock
	// is taken to be at the nearest instant at which the broker's certificates are valid:
	// a drone without a battery-backed clock would otherwise be locked out by their dates.
	// Chain and name are checked all the same. nil trusts the clock.
	ClockSet func() bool
}

// errName guards against a configuration that would accept any broker.
var errName = errors.New("no name to check the broker's certificate against")

// TLS returns a configuration for Broker.TLS: TLS 1.3 only. Files that cannot be read now
// are an error already, so that a misspelt name is found before the flight.
func (c Certificates) TLS() (*tls.Config, error) {
	if c.Name == "" {
		return nil, errName
	}
	if _, err := c.roots(); err != nil {
		return nil, err
	}
	if _, err := c.pair(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: c.Name,
		InsecureSkipVerify:   true, // verify below does all of it, by roots and time of this moment
		VerifyConnection:     c.verify,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.pair() },
	}, nil
}

// roots returns nil for those of the system.
func (c Certificates) roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read authorities: no certificate in %s, want PEM", c.CA)
	}
	return pool, nil
}

// pair never puts what is in the files into an error.
func (c Certificates) pair() (*tls.Certificate, error) {
	if c.Cert == "" {
		return &tls.Certificate{}, nil // shows none
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return &pair, nil
}

// verify checks chain, name and dates of what the broker has shown.
func (c Certificates) verify(state tls.ConnectionState) error {
	roots, err := c.roots()
	if err != nil {
		return err
	}
	shown := state.PeerCertificates
	opts := x509.VerifyOptions{Roots: roots, DNSName: c.Name, Intermediates: x509.NewCertPool(), CurrentTime: time.Now()}
	for _, cert := range shown[1:] {
		opts.Intermediates.AddCert(cert)
	}
	if c.ClockSet != nil && !c.ClockSet() {
		opts.CurrentTime = nearestValid(opts.CurrentTime, shown)
	}
	if _, err = shown[0].Verify(opts); err != nil {
		return fmt.Errorf("broker's certificate: %w", err)
	}
	return nil
}

// nearestValid moves an instant into the time in which all certificates are valid.
func nearestValid(at time.Time, certs []*x509.Certificate) time.Time {
	for _, cert := range certs {
		if at.After(cert.NotAfter) {
			at = cert.NotAfter
		}
	}
	for _, cert := range certs {
		if at.Before(cert.NotBefore) {
			at = cert.NotBefore
		}
	}
	return at
}
