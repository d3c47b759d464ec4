package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tls reads the certificates. --insecure leaves out only the host name: the
// certificate must still be signed by somebody trusted.
func (v *serverFlags) tls() (*tls.Config, error) {
	t := &tls.Config{}
	if v.cafile != "" {
		pem, err := os.ReadFile(v.cafile)
		if err != nil {
			return nil, fmt.Errorf("Error: --cafile: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if v.osCerts {
			if t.RootCAs, err = x509.SystemCertPool(); err != nil {
				return nil, fmt.Errorf("Error: --tls-use-os-certs: %w", err)
			}
		}
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("Error: --cafile: no certificate in %s", v.cafile)
		}
	}
	if (v.cert == "") != (v.key == "") {
		return nil, misused("--cert and --key belong together; give both.")
	}
	if v.cert != "" {
		pair, err := tls.LoadX509KeyPair(v.cert, v.key)
		if err != nil {
			return nil, fmt.Errorf("Error: --cert and --key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if v.insecure {
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, t.RootCAs) }
	}
	return t, nil
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	return err
}
