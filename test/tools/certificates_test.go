package tools

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
	"testing"
	"time"
)

// certificates are an authority and what it has signed, also as files of the
// directory: ca.pem, other.pem (an authority that signed nothing), client.pem,
// client.key.
type certificates struct {
	pool  *x509.CertPool
	pairs map[string]tls.Certificate
}

func newCertificates(t *testing.T, dir string) *certificates {
	t.Helper()
	c := &certificates{pool: x509.NewCertPool(), pairs: map[string]tls.Certificate{}}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key, other := newKey(t), newKey(t)
	der := sign(t, authority, authority, key, key)
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c.pool.AddCert(root)
	writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, "other.pem"), "CERTIFICATE", sign(t, authority, authority, other, other))
	if err := os.Mkdir(filepath.Join(dir, "capath"), 0o700); err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "capath", "ca.pem"), "CERTIFICATE", der)
	leaf := func(name string, change func(*x509.Certificate)) {
		cert := &x509.Certificate{
			SerialNumber: big.NewInt(int64(len(c.pairs) + 2)), Subject: pkix.Name{CommonName: name},
			NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		}
		change(cert)
		own := newKey(t)
		der := sign(t, cert, authority, own, key)
		c.pairs[name] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
		keyDER, err := x509.MarshalPKCS8PrivateKey(own)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, filepath.Join(dir, name+".pem"), "CERTIFICATE", der)
		writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", keyDER)
	}
	leaf("good", func(*x509.Certificate) {})
	leaf("client", func(*x509.Certificate) {})
	leaf("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	leaf("otherhost", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })
	return c
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

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
