package transport_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/transport"
)

// cuts are ways to cut a stream into the pieces that In is given.
var cuts = map[string]func(n int) int{
	"whole reads":   func(n int) int { return n },
	"single bytes":  func(int) int { return 1 },
	"random pieces": func(n int) int { return 1 + mathrand.IntN(min(n, 3000)) },
}

// pump is a shard with one connection: it does to a filter what a shard does,
// and answers plain bytes with those that serve returns.
type pump struct {
	filter transport.Filter
	wake   chan struct{}
	cut    func(n int) int
	serve  func(plain []byte) []byte
	greet  []byte

	err error // what In returned, once run has ended
}

func newPump(build func(wake func()) transport.Filter) *pump {
	p := &pump{
		wake:  make(chan struct{}, 1),
		cut:   cuts["whole reads"],
		serve: func(plain []byte) []byte { return plain },
	}
	p.filter = build(func() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	})
	return p
}

// run owns the filter and nc until either side ends the connection.
func (p *pump) run(nc net.Conn) {
	defer p.filter.Release()
	reads, done := make(chan []byte), make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer nc.Close()
	defer close(done)
	wg.Go(func() {
		defer close(reads)
		for {
			b := make([]byte, 64<<10)
			n, err := nc.Read(b)
			if err != nil {
				return
			}
			select {
			case reads <- b[:n]:
			case <-done:
				return
			}
		}
	})
	nc.Write(p.filter.Out(nil, p.greet))
	for {
		select {
		case <-p.wake:
			if !p.turn(nc, nil) {
				return
			}
		case b, ok := <-reads:
			if !ok {
				p.turn(nc, nil) // a peer that hangs up may be ahead of the wake
				return
			}
			for len(b) > 0 {
				n := min(p.cut(len(b)), len(b))
				if !p.turn(nc, b[:n]) {
					return
				}
				b = b[n:]
			}
		}
	}
}

func (p *pump) turn(nc net.Conn, src []byte) bool {
	const kept = "what dst held before"
	plain, err := p.filter.In([]byte(kept), src)
	if string(plain[:len(kept)]) != kept {
		panic("In changed what dst held")
	}
	wire := p.filter.Out(nil, p.serve(plain[len(kept):]))
	wire = p.filter.Reply(wire)
	if err != nil {
		p.err = err
		wire = p.filter.Close(wire)
	}
	if len(wire) > 0 {
		nc.Write(wire)
	}
	return err == nil
}

// listen runs p for one connection to the address it returns. wait returns when
// that connection is over.
func (p *pump) listen(t testing.TB) (addr string, wait func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if nc, err := l.Accept(); err == nil {
			p.run(nc)
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), wg.Wait
}

// writeCertificate puts a new self-signed certificate into dir.
func writeCertificate(t testing.TB, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert},
		keyFile:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func serverConfig(t testing.TB) *tls.Config {
	t.Helper()
	certs, err := transport.LoadCertificates(writeCertificate(t, t.TempDir(), "broker.test"))
	if err != nil {
		t.Fatal(err)
	}
	return certs.Config()
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
