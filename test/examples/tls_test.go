package examples

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/nodetest"
)

// authority signs certificates and writes them, and itself, into files.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var der []byte
	der, a.key = a.create(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}})
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = a.write("CERTIFICATE", der)
	return a
}

// create signs a certificate, its own if there is none yet.
func (a *authority) create(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotAfter = time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

func (a *authority) write(kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue returns files with a certificate for name and its key.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	der, k := a.create(&x509.Certificate{DNSNames: []string{name}, Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("CERTIFICATE", der), a.write("EC PRIVATE KEY", keyDER)
}

func testTLS(ctx context.Context, t *testing.T, program func(string, ...string) *exec.Cmd) {
	ours, other := newAuthority(t), newAuthority(t)
	certFile, keyFile := ours.issue("localhost")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AddCert(ours.cert)
	b := nodetest.Broker(t, broker.Options{Shards: 2})
	at := func(auth tls.ClientAuthType) string {
		l, err := b.Listen(broker.ListenOptions{URL: "tls://127.0.0.1:0",
			TLS: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: auth, ClientCAs: known}})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(l.URL, "tls://127.0.0.1", "mqtts://localhost", 1)
	}
	open, closed := at(tls.NoClientCert), at(tls.RequireAndVerifyClientCert)
	alice, aliceKey := ours.issue("alice")
	mallory, malloryKey := other.issue("mallory")
	for name, tt := range map[string]struct {
		args []string
		ok   bool
	}{
		"right authority":      {[]string{"-server", open, "-ca", ours.file}, true},
		"another authority":    {[]string{"-server", open, "-ca", other.file}, false},
		"the system's":         {[]string{"-server", open}, false},
		"with a certificate":   {[]string{"-server", closed, "-ca", ours.file, "-cert", alice, "-key", aliceKey}, true},
		"without":              {[]string{"-server", closed, "-ca", ours.file}, false},
		"one that is not ours": {[]string{"-server", closed, "-ca", ours.file, "-cert", mallory, "-key", malloryKey}, false},
		"a file without one":   {[]string{"-server", open, "-ca", keyFile}, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := program("tls", tt.args...).CombinedOutput()
			if tt.ok != (err == nil) || tt.ok && string(out) != "sent in confidence\n" || !tt.ok && strings.Count(string(out), "\n") != 1 {
				t.Errorf("%v, %s", err, out)
			}
		})
	}
}
