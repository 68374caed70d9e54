package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
	Name      string // that the broker's certificate has to bear; Dial takes "" for the host of the address

	// ClockSet reports whether the wall clock can be trusted now. While it cannot, an instant at
	// which the broker's certificates and the authority are all valid stands for the present:
	// a drone without a battery-backed clock would otherwise be locked out by their dates.
	// Chain and name are checked all the same. nil trusts the clock.
	ClockSet func() bool
}

// errName guards against a configuration that would accept any broker.
var errName = errors.New("no name to check the broker's certificate against")

// Check reads the files, so that a misspelt name is found before the flight.
func (c Certificates) Check() error {
	if _, _, err := c.roots(); err != nil {
		return err
	}
	_, err := c.pair()
	return err
}

// TLS returns a configuration for Broker.TLS: TLS 1.3 only. It needs a name.
func (c Certificates) TLS() (*tls.Config, error) {
	if c.Name == "" {
		return nil, errName
	}
	if err := c.Check(); err != nil {
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
func (c Certificates) roots() (*x509.CertPool, []*x509.Certificate, error) {
	if c.CA == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("read authorities: %w", err)
	}
	pool, list := x509.NewCertPool(), []*x509.Certificate(nil)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			pool.AddCert(cert)
			list = append(list, cert)
		}
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("read authorities: no certificate in %s, want PEM", c.CA)
	}
	return pool, list, nil
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
	pool, authorities, err := c.roots()
	if err != nil {
		return err
	}
	shown := state.PeerCertificates
	opts := x509.VerifyOptions{Roots: pool, DNSName: c.Name, Intermediates: x509.NewCertPool()}
	for _, cert := range shown[1:] {
		opts.Intermediates.AddCert(cert)
	}
	instants := []time.Time{time.Now()}
	if c.ClockSet != nil && !c.ClockSet() {
		instants = append(instants, beginnings(append(authorities, shown...))...)
	}
	for _, opts.CurrentTime = range instants {
		if _, err = shown[0].Verify(opts); err == nil {
			return nil
		}
	}
	return fmt.Errorf("broker's certificate: %w", err)
}

// beginnings returns from when each certificate is valid. If there is an instant at which all
// of a chain are, then they are at the latest of its beginnings.
func beginnings(certs []*x509.Certificate) []time.Time {
	out := make([]time.Time, len(certs))
	for i, cert := range certs {
		out[i] = cert.NotBefore
	}
	return out
}
