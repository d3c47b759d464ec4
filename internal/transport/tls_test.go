package transport_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/internal/transport"
)

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
}

var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// lazyConn holds back what is written until the next Read or Flush, so that a
// client's Finished and its first data arrive as one piece.
type lazyConn struct {
	net.Conn
	held []byte
}

func (c *lazyConn) Write(b []byte) (int, error) {
	c.held = append(c.held, b...)
	return len(b), nil
}

func (c *lazyConn) Flush() error {
	_, err := c.Conn.Write(c.held)
	c.held = nil
	return err
}

func (c *lazyConn) Read(b []byte) (int, error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func TestTLSCarriesBytesBothWays(t *testing.T) {
	cfg := serverConfig(t)
	for _, version := range tlsVersions {
		for name, cut := range cuts {
			t.Run(tls.VersionName(version)+"/"+name, func(t *testing.T) {
				p := newPump(func(wake func()) transport.Filter {
					return transport.NewTLS(cfg, transport.TLSOptions{Wake: wake})
				})
				p.cut = cut
				addr, wait := p.listen(t)
				conn, err := tls.Dial("tcp", addr, clientConfig(version))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				sent := randomBytes(300_000)
				failed := make(chan error, 1)
				go func() {
					_, err := conn.Write(sent)
					failed <- errors.Join(err, conn.CloseWrite())
				}()
				// The close_notify of the other side ends ReadAll; a connection
				// that breaks off would give io.ErrUnexpectedEOF.
				got, err := io.ReadAll(conn)
				if err := errors.Join(err, <-failed); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
				}
				wait()
				if p.err != io.EOF {
					t.Errorf("ended with %v", p.err)
				}
			})
		}
	}
}

func TestTLSDataRightBehindTheHandshakeArrives(t *testing.T) {
	cfg := serverConfig(t)
	for _, version := range tlsVersions {
		for name, cut := range cuts {
			t.Run(tls.VersionName(version)+"/"+name, func(t *testing.T) {
				p := newPump(func(wake func()) transport.Filter {
					return transport.NewTLS(cfg, transport.TLSOptions{Wake: wake})
				})
				p.cut, p.greet = cut, []byte("hello, ")
				addr, wait := p.listen(t)
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				conn := tls.Client(&lazyConn{Conn: nc}, clientConfig(version))
				data := strings.Repeat("client ", 7000) // more than tls.Conn takes in at once
				if _, err := io.WriteString(conn, data); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len("hello, ")+len(data))
				if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello, "+data {
					t.Errorf("got %.40q, %v", got, err)
				}
				nc.Close()
				wait()
			})
		}
	}
}

func TestTLSExplainsWhyAHandshakeFails(t *testing.T) {
	cfg := serverConfig(t)
	cfg.ClientAuth = tls.RequireAnyClientCert
	p := newPump(func(wake func()) transport.Filter {
		return transport.NewTLS(cfg, transport.TLSOptions{Wake: wake})
	})
	addr, wait := p.listen(t)
	_, err := tls.Dial("tcp", addr, clientConfig(tls.VersionTLS12))
	if err == nil || !strings.Contains(err.Error(), "remote error: tls") {
		t.Errorf("the client saw %v, not an alert", err)
	}
	wait()
	if !errorHas(p.err, "TLS handshake: tls: client didn't provide a certificate") {
		t.Errorf("the server saw %v", p.err)
	}

	p = newPump(func(wake func()) transport.Filter {
		return transport.NewTLS(cfg, transport.TLSOptions{Wake: wake})
	})
	addr, wait = p.listen(t)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, mqttConnect)
	wait()
	if !errorHas(p.err, "does not look like a TLS handshake") {
		t.Errorf("plain MQTT ended with %v", p.err)
	}
}

// clientHello returns the first bytes of a client.
func clientHello(t testing.TB) []byte {
	t.Helper()
	var c lazyConn
	client, server := net.Pipe()
	server.Close()
	c.Conn = client
	hello := recordConn{Conn: &c}
	tls.Client(&hello, clientConfig(tls.VersionTLS13)).Handshake()
	if len(hello.written) == 0 {
		t.Fatal("no ClientHello")
	}
	return hello.written
}

type recordConn struct {
	net.Conn
	written []byte
}

func (c *recordConn) Write(b []byte) (int, error) {
	c.written = append(c.written, b...)
	return c.Conn.Write(b)
}

func TestTLSHandshakeTimesOut(t *testing.T) {
	cfg, hello := serverConfig(t), clientHello(t)
	for name, first := range map[string][]byte{
		"nothing sent":         nil,
		"half a hello sent":    hello[:20],
		"hello, then no reply": hello,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wake := make(chan time.Time, 10)
				f := transport.NewTLS(cfg, transport.TLSOptions{HandshakeTimeout: time.Minute, Wake: func() { wake <- time.Now() }})
				start := time.Now()
				f.In(nil, first)
				for at := time.Duration(0); at < time.Minute; {
					at = (<-wake).Sub(start)
				}
				_, err := f.In(nil, nil)
				if d := time.Since(start); d != time.Minute || !errorHas(err, "TLS handshake: not finished after 1m0s") {
					t.Errorf("after %v: %v", d, err)
				}
				f.Release()
				synctest.Wait() // and the bubble sees that no goroutine is left
			})
		})
	}
}

func TestTLSReleaseEndsTheHandshake(t *testing.T) {
	others := goleak.IgnoreCurrent()
	cfg, hello := serverConfig(t), clientHello(t)
	full := make(chan struct{}, 1)
	full <- struct{}{}
	for name, tt := range map[string]struct {
		first []byte
		limit chan struct{}
	}{
		"not begun":        {nil, nil},
		"just begun":       {hello, nil},
		"waits for bytes":  {hello[:20], make(chan struct{}, 1)},
		"waits for a turn": {hello, full},
	} {
		woken := make(chan struct{}, 10)
		f := transport.NewTLS(cfg, transport.TLSOptions{Limit: tt.limit, Wake: func() { woken <- struct{}{} }})
		if _, err := f.In(nil, tt.first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Release()
		goleak.VerifyNone(t, others)
		if _, err := f.In(nil, hello); err == nil {
			t.Errorf("%s: In works after Release", name)
		}
	}
	if len(full) != 1 {
		t.Error("a handshake gave back a place it never had")
	}
}

func TestTLSLimitBoundsHandshakesThatComputeOnly(t *testing.T) {
	cfg := serverConfig(t)
	synctest.Test(t, func(t *testing.T) {
		limit := make(chan struct{}, 1)
		silent := transport.NewTLS(cfg, transport.TLSOptions{Limit: limit})
		silent.In(nil, []byte{0x16, 0x03})
		defer silent.Release()
		synctest.Wait()
		if len(limit) != 0 {
			t.Fatal("a handshake that waits for its peer holds a place")
		}
		client, server := net.Pipe()
		p := newPump(func(wake func()) transport.Filter {
			return transport.NewTLS(cfg, transport.TLSOptions{Limit: limit, Wake: wake})
		})
		go p.run(server)
		limit <- struct{}{} // somebody else computes
		conn := tls.Client(client, clientConfig(tls.VersionTLS12))
		done := make(chan error, 1)
		go func() { done <- conn.Handshake() }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("the handshake went on over the limit: %v", err)
		default:
		}
		<-limit
		if err := <-done; err != nil {
			t.Error(err)
		}
		client.Close()
	})
}

func TestTLSHandshakeHoldsNoMoreThanItsLimit(t *testing.T) {
	full := make(chan struct{}, 1)
	full <- struct{}{}
	f := transport.NewTLS(serverConfig(t), transport.TLSOptions{Limit: full})
	defer f.Release()
	piece := make([]byte, 64<<10)
	for range 1 << 20 / len(piece) {
		if _, err := f.In(nil, piece); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.In(nil, piece[:1]); !errorHas(err, "1048576 bytes ahead") {
		t.Errorf("got %v", err)
	}
}

func TestTLSDescribesItsPeer(t *testing.T) {
	f := transport.NewTLS(serverConfig(t), transport.TLSOptions{})
	defer f.Release()
	var peer transport.Peer
	if f.(transport.Info).Describe(&peer); peer.TLS != nil {
		t.Error("there is a state before the handshake")
	}
	_, f2 := handshaken(t)
	f2.(transport.Info).Describe(&peer)
	if peer.TLS == nil || !peer.TLS.HandshakeComplete || peer.TLS.ServerName != "broker.test" {
		t.Errorf("the state is %+v", peer.TLS)
	}
}

// handshaken returns a client, whose records then stay in conn.held, and the
// filter at its other end.
func handshaken(t testing.TB) (client *memoryClient, f transport.Filter) {
	t.Helper()
	p := newPump(func(wake func()) transport.Filter {
		return transport.NewTLS(serverConfig(t), transport.TLSOptions{Wake: wake})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); server.Close(); p.filter.Release() })

	client = &memoryClient{lazyConn: lazyConn{Conn: nc}}
	cfg := clientConfig(tls.VersionTLS13)
	cfg.ServerName = "broker.test"
	client.Conn = tls.Client(&client.lazyConn, cfg)
	shaken := make(chan error, 1)
	go func() { shaken <- errors.Join(client.Conn.Handshake(), client.lazyConn.Flush()) }()
	reads := make(chan []byte)
	go func() {
		defer close(reads)
		for {
			b := make([]byte, 16<<10)
			n, err := server.Read(b)
			if err != nil {
				return
			}
			select {
			case reads <- b[:n]:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for peer := (transport.Peer{}); peer.TLS == nil; p.filter.(transport.Info).Describe(&peer) {
		select {
		case b := <-reads:
			p.turn(server, b)
		case <-p.wake:
			p.turn(server, nil)
		}
		if p.err != nil {
			t.Fatal(p.err)
		}
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, p.filter
}

type memoryClient struct {
	*tls.Conn
	lazyConn lazyConn
}

func TestTLSRecordsThatAreDamagedEndTheConnection(t *testing.T) {
	client, f := handshaken(t)
	io.WriteString(client, "first")
	io.WriteString(client, "second")
	wire := client.lazyConn.held
	wire[len(wire)-1] ^= 1
	plain, err := f.In(nil, wire)
	if string(plain) != "first" || !errorHas(err, "TLS record: ") {
		t.Errorf("In gave %q, %v", plain, err)
	}
	if alert := f.Reply(nil); len(alert) == 0 {
		t.Error("no alert")
	}
	if more := f.Close(f.Out(nil, []byte("x"))); len(more) > 0 {
		t.Errorf("% X behind the alert", more)
	}
}

func TestCertificatesAreReloaded(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, "old.test")
	certs, err := transport.LoadCertificates(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := certs.Config()
	served := func() string {
		p := newPump(func(wake func()) transport.Filter {
			return transport.NewTLS(cfg, transport.TLSOptions{Wake: wake})
		})
		addr, wait := p.listen(t)
		conn, err := tls.Dial("tcp", addr, clientConfig(tls.VersionTLS13))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		wait()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := served(); got != "old.test" {
		t.Fatalf("the first certificate is %s", got)
	}
	if err := os.WriteFile(keyFile, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certs.Reload(); err == nil || !strings.Contains(err.Error(), keyFile) {
		t.Errorf("a damaged key: %v", err)
	}
	if got := served(); got != "old.test" {
		t.Errorf("after an error %s is served", got)
	}
	writeCertificate(t, dir, "new.test")
	if err := certs.Reload(); err != nil {
		t.Error(err)
	}
	if got := served(); got != "new.test" {
		t.Errorf("after a reload %s is served", got)
	}
	if _, err := transport.LoadCertificates(certFile, keyFile+".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
