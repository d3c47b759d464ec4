package tools

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are an authority and what it has signed, also as files of the
// directory: ca.pem, other.pem (an authority that signed nothing), client.pem,
// client.key.
type certificates struct {
	pool  *x509.CertPool
	pairs map[string]tls.Certificate
}

func newCertificates(dir string) (*certificates, error) {
	c := &certificates{pool: x509.NewCertPool(), pairs: map[string]tls.Certificate{}}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return nil, err
	}
	otherDER, err := x509.CreateCertificate(rand.Reader, authority, authority, other.Public(), other)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c.pool.AddCert(root)
	err = errors.Join(os.Mkdir(filepath.Join(dir, "capath"), 0o700), writePEM(filepath.Join(dir, "ca.pem"), "CERTIFICATE", der),
		writePEM(filepath.Join(dir, "other.pem"), "CERTIFICATE", otherDER), writePEM(filepath.Join(dir, "capath", "ca.pem"), "CERTIFICATE", der))
	for name, change := range map[string]func(*x509.Certificate){
		"good":      func(*x509.Certificate) {},
		"client":    func(*x509.Certificate) {},
		"expired":   func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"otherhost": func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} },
	} {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(len(c.pairs) + 2)), Subject: pkix.Name{CommonName: name},
			NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		}
		change(leaf)
		err = errors.Join(err, c.issue(dir, name, leaf, authority, key))
	}
	return c, err
}

// issue signs the certificate and writes it and its key.
func (c *certificates) issue(dir, name string, leaf, authority *x509.Certificate, key *ecdsa.PrivateKey) error {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, own.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return err
	}
	c.pairs[name] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
	path := filepath.Join(dir, name)
	return errors.Join(writePEM(path+".pem", "CERTIFICATE", der), writePEM(path+".key", "PRIVATE KEY", keyDER))
}

func (c *certificates) server(name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.pairs[name]}, NextProtos: []string{"mqtt"}}
}

// webServer is for WebSocket, which is HTTP/1.1.
func (c *certificates) webServer() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.pairs["good"]}, NextProtos: []string{"http/1.1"}}
}

// demanding wants a certificate of the client.
func (c *certificates) demanding() *tls.Config {
	s := c.server("good")
	s.ClientAuth, s.ClientCAs = tls.RequireAndVerifyClientCert, c.pool
	return s
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
