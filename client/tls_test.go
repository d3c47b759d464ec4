package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/client"
)

// identity is a certificate for localhost that vouches for itself.
type identity struct {
	cert tls.Certificate
	pool *x509.CertPool
}

func certificate(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool}
}

func (i identity) client() *tls.Config { return &tls.Config{RootCAs: i.pool} }

func (i identity) server(nc net.Conn) net.Conn {
	return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{i.cert}})
}

func TestAFailedHandshakeSaysSo(t *testing.T) {
	cert := certificate(t)
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"a plain server that leaves": {func(nc net.Conn) { io.CopyN(io.Discard, nc, 1); nc.Close() }, "TLS handshake with localhost:8883"},
		"a plain server that talks":  {func(nc net.Conn) { go io.Copy(io.Discard, nc); nc.Write([]byte("welcome!")); nc.Close() }, "does not look like a TLS handshake"},
		"another authority":          {func(nc net.Conn) { _ = cert.server(nc).(*tls.Conn).Handshake(); nc.Close() }, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Connect(t.Context(), client.Options{URL: "mqtts://localhost", TLS: certificate(t).client(),
				Dial: func(context.Context) (net.Conn, error) {
					near, far := net.Pipe()
					go tt.serve(far)
					return near, nil
				}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "TLS handshake") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
