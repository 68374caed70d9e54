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
		text, err := os.ReadFile(b.caFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read authorities: no certificate in %s, want PEM", b.caFile)
		}
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
