package mosquitto

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// secure reports whether the connection is to use TLS.
func (c *config) secure() bool {
	return !c.noTLS && (c.cafile != "" || c.capath != "" || c.cert != "" || c.osCerts || c.port == 8883)
}

// tls makes the configuration, or an error that is ready to print.
func (c *config) tls() (*tls.Config, error) {
	if err := c.tlsPossible(); err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if t.RootCAs, err = c.roots(); err != nil {
		return nil, err
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, &setupError{"Error: Problem setting TLS options: File not found.", fmt.Errorf("--cert and --key: %w", err)}
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.alpn != "" {
		t.NextProtos = []string{c.alpn}
	}
	const invalid = "Error: Problem setting TLS options, check the options are valid."
	switch c.tlsVersion {
	case "", "tlsv1.2":
	case "tlsv1.3":
		t.MinVersion = tls.VersionTLS13
	case "tlsv1.1":
		t.MinVersion = tls.VersionTLS11
	default:
		return nil, &setupError{invalid, fmt.Errorf("--tls-version %q is none of tlsv1.3, tlsv1.2 and tlsv1.1", c.tlsVersion)}
	}
	if t.CipherSuites, err = cipherSuites(c.ciphers); err != nil {
		return nil, &setupError{"Unable to connect (A TLS error occurred.).", err}
	}
	if c.keylog != "" {
		if t.KeyLogWriter, err = os.OpenFile(c.keylog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, &setupError{invalid, fmt.Errorf("--tls-keylog: %w", err)}
		}
	}
	if c.insecure {
		t.InsecureSkipVerify = true // the host name; the chain is still checked
		t.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, t.RootCAs) }
	}
	return t, nil
}

// setupError is what goes wrong before the connection is tried. The cause is
// for those who called us by our own name.
type setupError struct {
	text string
	err  error
}

func (e *setupError) Error() string { return e.text }

// tlsPossible refuses what crypto/tls has not.
func (c *config) tlsPossible() error {
	switch {
	case c.psk != "":
		return &setupError{"Error: Problem setting TLS-PSK options.", errors.New("TLS with a pre-shared key is not supported; use --cafile")}
	case c.engine != "":
		return &setupError{"Error: Problem setting TLS engine, is " + c.engine + " a valid engine?", errors.New("there are no OpenSSL engines here; use --cert and --key")}
	case c.keyform != "" && c.keyform != "pem":
		return &setupError{"Error: Problem setting key form, it must be one of 'pem' or 'engine'.", errors.New("only pem is supported")}
	}
	return nil
}

// roots are the trusted certificates; nil means the system's.
func (c *config) roots() (*x509.CertPool, error) {
	var files []string
	if c.cafile != "" {
		files = append(files, c.cafile)
	}
	if c.capath != "" {
		list, err := os.ReadDir(c.capath)
		if err != nil {
			return nil, &setupError{"Error: Problem setting TLS options: File not found.", fmt.Errorf("--capath: %w", err)}
		}
		for _, e := range list {
			files = append(files, filepath.Join(c.capath, e.Name()))
		}
	}
	if c.cafile == "" && c.capath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if c.osCerts {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, &setupError{"Unable to connect (A TLS error occurred.).", err}
		}
	}
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if name != c.cafile && err != nil {
			continue // a directory in --capath, or a dead link
		}
		if err != nil {
			return nil, &setupError{"Error: Problem setting TLS options: File not found.", fmt.Errorf("--cafile: %w", err)}
		}
		if !pool.AppendCertsFromPEM(pem) && name == c.cafile {
			return nil, &setupError{"Unable to connect (A TLS error occurred.).", fmt.Errorf("--cafile: no certificate in %s", name)}
		}
	}
	return pool, nil
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	return err
}

// cipherSuites reads OpenSSL's names of cipher suites, or those of the
// standard. The classes DEFAULT, HIGH and ALL mean the usual ones, and
// exclusions, as !aNULL, exclude what is not there anyway. They are for TLS 1.2:
// those of 1.3 cannot be chosen.
func cipherSuites(list string) ([]uint16, error) {
	var out []uint16
	usual := list == ""
next:
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		switch {
		case name == "DEFAULT" || name == "HIGH" || name == "ALL":
			usual = true
			continue
		case strings.HasPrefix(name, "!") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "@"):
			continue
		}
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if name == s.Name || name == openSSLName(s.Name) {
				out = append(out, s.ID)
				continue next
			}
		}
		return nil, fmt.Errorf("--ciphers: there is no cipher suite %q", name)
	}
	if usual {
		return nil, nil
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--ciphers %q names no cipher suite", list)
	}
	return out, nil
}

// openSSLName turns TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 into
// ECDHE-RSA-AES128-GCM-SHA256. Names of TLS 1.3 are the same in both.
func openSSLName(s string) string {
	keys, cipher, ok := strings.Cut(strings.TrimPrefix(s, "TLS_"), "_WITH_")
	if !ok {
		return s
	}
	cipher = strings.NewReplacer("AES_", "AES", "_CBC_SHA", "_SHA", "POLY1305_SHA256", "POLY1305", "3DES_EDE", "DES_CBC3").Replace(cipher)
	if keys == "RSA" {
		keys = ""
	} else {
		keys += "_"
	}
	return strings.ReplaceAll(keys+cipher, "_", "-")
}
