package fault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/fault"
)

func TestEveryFaultIsOneLineWithItsMend(t *testing.T) {
	certificate := &x509.Certificate{DNSNames: []string{"a.example", "b.example"}, NotAfter: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}
	early := &x509.Certificate{NotBefore: time.Now().Add(time.Hour)}
	for name, tt := range map[string]struct {
		err  error
		want []string
	}{
		"refused":     {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, []string{"nobody listens there", "Is the broker running"}},
		"no host":     {&net.DNSError{Name: "nowhere", IsNotFound: true}, []string{`no host "nowhere"`, "check --host"}},
		"no DNS":      {&net.DNSError{Name: "x", Err: "server misbehaving"}, []string{`address of "x": server misbehaving`}},
		"no socket":   {os.NewSyscallError("connect", syscall.ENOENT), []string{"no such socket"}},
		"not allowed": {os.NewSyscallError("connect", syscall.EACCES), []string{"permission denied"}},
		"timeout":     {fmt.Errorf("dial: %w", context.DeadlineExceeded), []string{"no answer in time", "firewall"}},
		"unreachable": {os.NewSyscallError("connect", syscall.EHOSTUNREACH), []string{"there is no way to it"}},
		"closed":      {io.EOF, []string{"closed the connection", "--tls-use-os-certs"}},
		"WebSocket":   {errors.New("failed to WebSocket dial: got 404"), []string{"got 404", "--ws-path"}},
		"anything":    {errors.New("odd"), []string{"cannot connect to h:1: odd."}},
		"other host":  {x509.HostnameError{Certificate: certificate, Host: "h"}, []string{"is for a.example, b.example, not for h", "--insecure"}},
		"nobody's":    {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, []string{"is for nobody"}},
		"authority":   {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, []string{"not signed by an authority", "--cafile"}},
		"expired":     {x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired}, []string{"has expired on 2020-01-02 03:04:05", "Renew"}},
		"too early":   {x509.CertificateInvalidError{Cert: early, Reason: x509.Expired}, []string{"the clock"}},
		"invalid":     {x509.CertificateInvalidError{Cert: certificate, Reason: x509.NotAuthorizedToSign}, []string{"is not valid: certificate is not authorized"}},
		"no TLS":      {tls.RecordHeaderError{Msg: "first record"}, []string{"does not speak TLS", "--cafile"}},
		"client's":    {alert(t, tls.VersionTLS13, func(s *tls.Config) { s.ClientAuth = tls.RequireAnyClientCert }), []string{"certificate required", "--cert and --key"}},
		"version":     {alert(t, tls.VersionTLS12, func(s *tls.Config) { s.MinVersion = tls.VersionTLS13 }), []string{"--tls-version"}},
		"protocol":    {alert(t, tls.VersionTLS13, func(s *tls.Config) { s.NextProtos = []string{"other"} }), []string{"--tls-alpn"}},
		"in our TLS":  {errors.New("tls: server selected unsupported curve"), []string{"handshake with h:1 failed: server selected"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := fault.Explain("h:1", tt.err)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not contain %q", got, want)
				}
			}
			if strings.Contains(got, "\n") || !strings.HasSuffix(got, ".") && !strings.HasSuffix(got, "?") || strings.Contains(got, "..") {
				t.Errorf("%q is no line of sentences", got)
			}
		})
	}
}

// alert is what a client sees of a server's alert.
func alert(t *testing.T, version uint16, change func(server *tls.Config)) error {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	change(config)
	near, far := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = tls.Server(far, config).Handshake()
		far.Close()
	})
	defer wg.Wait()
	defer near.Close()
	c := tls.Client(near, &tls.Config{InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"mqtt"}})
	if _, err = c.Read(make([]byte, 1)); err == nil {
		t.Fatal("no alert")
	}
	return err
}
