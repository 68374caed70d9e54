package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tls makes the configuration for a broker with TLS.
func (b *brokerFlags) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.caFile != "" {
		pool, err := readCertificates(b.caFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if b.certFile != "" {
		pair, err := tls.LoadX509KeyPair(b.certFile, b.certKey)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// readCertificates reads those that are trusted to vouch for others.
func readCertificates(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read authorities: no certificate in %s, want PEM", path)
	}
	return pool, nil
}
