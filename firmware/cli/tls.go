package cli

import (
	"crypto/x509"
	"fmt"
	"os"
)

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
