package transport

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Certificates is a server's certificate, read from files and exchanged while
// the server runs.
type Certificates struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// LoadCertificates reads a certificate chain and its key from PEM files.
func LoadCertificates(certFile, keyFile string) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. Handshakes from then on use what they hold; on
// an error they go on with what was read before. It may be called at any time
// from any goroutine.
func (c *Certificates) Reload() error {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&cert)
	return nil
}

// Config returns a new configuration that follows Reload. Fields may be set
// before its first use, such as ClientAuth and ClientCAs. Make one for each
// listener and keep it: session tickets are valid for one configuration.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
		// Small first records help browsers to paint early. Here they would
		// cost a record for each 1.4 KB.
		DynamicRecordSizingDisabled: true,
	}
}
