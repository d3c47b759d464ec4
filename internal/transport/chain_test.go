package transport_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/wirebird/wirebird/internal/transport"
)

func TestChainLeavesOutWhatIsNotThere(t *testing.T) {
	f := transport.NewProxy(transport.ProxyOptions{})
	if transport.Chain(nil, nil) != nil || transport.Chain(f, nil) != f || transport.Chain(nil, f) != f {
		t.Error("a chain of one filter is not that filter")
	}
}

func TestAllFiltersWorkInOneChain(t *testing.T) {
	cfg := serverConfig(t)
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			p := newPump(func(wake func()) transport.Filter {
				return transport.Chain(
					transport.NewProxy(transport.ProxyOptions{Required: true}),
					transport.Chain(
						transport.NewTLS(cfg, transport.TLSOptions{Wake: wake}),
						transport.NewWebSocket(transport.WebSocketOptions{})))
			})
			p.cut = cut
			var peer transport.Peer
			echo := p.serve
			p.serve = func(plain []byte) []byte {
				p.filter.(transport.Info).Describe(&peer)
				return echo(plain)
			}
			addr, wait := p.listen(t)
			talkWebSocket(t, "wss://broker.test/mqtt", &http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					nc, err := new(net.Dialer).DialContext(ctx, network, addr)
					if err == nil {
						_, err = io.WriteString(nc, v2Header)
					}
					return nc, err
				},
			}})
			wait()
			if p.err != io.EOF {
				t.Errorf("ended with %v", p.err)
			}
			if peer.Remote != "192.0.2.1:12345" || peer.TLS == nil || !peer.WebSocket || peer.Host != "broker.test" {
				t.Errorf("the peer is %+v", peer)
			}
		})
	}
}

func TestAChainSaysFarewellFromTheInside(t *testing.T) {
	f := transport.Chain(
		transport.NewProxy(transport.ProxyOptions{}),
		transport.NewWebSocket(transport.WebSocketOptions{}))
	plain, err := f.In([]byte("before "), []byte(goodRequest+frame(0x82, "abc")))
	if string(plain) != "before abc" || err != nil {
		t.Fatalf("In gave %q, %v", plain, err)
	}
	wire := f.Close(f.Out(f.Reply([]byte("w")), []byte("xyz")))
	f.Release()
	if want := "w" + goodResponse + "\x82\x03xyz\x88\x02\x03\xE8"; string(wire) != want {
		t.Errorf("wire %q, want %q", wire, want)
	}
}
