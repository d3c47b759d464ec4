package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/packet"
)

func TestReloadTakesNewPasswords(t *testing.T) {
	cfg := loopback()
	cfg.PasswordFile = writeFile(t, userU)
	n := start(t, cfg)
	stays := n.dial(0, packet.V5)
	stays.send(&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("stays"),
		HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte("pw")})
	expect[*packet.Connack](stays)
	for _, step := range []struct {
		name, file string
		u, u2      packet.ReasonCode
		reloaded   int // lines so far
		failed     int
	}{
		{"at the start", "", packet.Success, packet.BadUserNameOrPassword, 0, 0},
		{"a user more, one less", userU2, packet.BadUserNameOrPassword, packet.Success, 1, 0},
		{"a broken file", userU + "u2:plain text\n", packet.BadUserNameOrPassword, packet.Success, 1, 1},
		{"a mended file", userU + userU2, packet.Success, packet.Success, 2, 1},
	} {
		if step.file != "" {
			rewrite(t, cfg.PasswordFile, step.file)
			n.Reload()
		}
		if got := n.dial(0, packet.V5).connect([]byte("u"), []byte("pw")).Code; got != step.u {
			t.Errorf("%s: u gets %v; want %v", step.name, got, step.u)
		}
		if got := n.dial(0, packet.V5).connect([]byte("u2"), []byte("")).Code; got != step.u2 {
			t.Errorf("%s: u2 gets %v; want %v", step.name, got, step.u2)
		}
		ok, failed := n.log.entries(t, "reloaded"), n.log.entries(t, "reload, the old stays")
		if len(ok) != step.reloaded || len(failed) != step.failed {
			t.Errorf("%s: %d lines of success and %d of failure; want %d and %d", step.name, len(ok), len(failed), step.reloaded, step.failed)
		}
		for _, e := range append(ok, failed...) {
			if e["setting"] != "password_file" || e["path"] == nil && e["error"] == nil {
				t.Errorf("%s: line %v", step.name, e)
			}
		}
	}
	stays.send(&packet.Pingreq{})
	expect[*packet.Pingresp](stays)
}

func TestReloadTakesNewVerifiers(t *testing.T) {
	cfg := loopback()
	cfg.ScramFile = writeFile(t, scramLine("alice", "old"))
	n := start(t, cfg)
	rewrite(t, cfg.ScramFile, scramLine("alice", "new"))
	n.Reload()
	for password, want := range map[string]packet.ReasonCode{"old": packet.NotAuthorized, "new": packet.Success} {
		got := (&scramPeer{peer: n.dial(0, packet.V5)}).connect("alice", password, "n")
		if ack, ok := got.(*packet.Connack); !ok || ack.Code != want {
			t.Errorf("the password %s gets %v; want %v", password, got, want)
		}
	}
}

func TestReloadTakesANewCertificate(t *testing.T) {
	cfg := loopback()
	dir := t.TempDir()
	cfg.TLSCert, cfg.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cfg.Listen = []config.Listener{{URL: "tls://127.0.0.1:0"}, {URL: "wss://127.0.0.1:0/mqtt"}, {URL: "tcp://127.0.0.1:0"}}
	writeCertificate(t, cfg, "first")
	n := start(t, cfg)
	expectName := func(want string) {
		t.Helper()
		for i := range 2 {
			if got := certificateOf(t, n.Listeners[i].Transport.Address); got != want {
				t.Errorf("%s shows the certificate of %q; want %q", n.Listeners[i].URL, got, want)
			}
		}
	}
	expectName("first")
	writeCertificate(t, cfg, "second")
	n.Reload()
	expectName("second")
	rewrite(t, cfg.TLSKey, "not a key")
	n.Reload()
	expectName("second")
	failed := n.log.entries(t, "reload, the old stays")
	if len(failed) != 1 || failed[0]["setting"] != "tls_cert" {
		t.Errorf("failures: %v", failed)
	}
}

// certificateOf returns the name in the certificate of a TLS server.
func certificateOf(t *testing.T, address string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// writeCertificate makes a certificate of its own in the files of cfg.
func writeCertificate(t *testing.T, cfg config.Config, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, cfg.TLSCert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	rewrite(t, cfg.TLSKey, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}
