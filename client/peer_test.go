package client_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server hands out one peer for each connection a client dials.
type server struct {
	t     testing.TB
	v     packet.Version
	conns chan *peer
}

func newServer(t testing.TB, v packet.Version) *server {
	return &server{t: t, v: v, conns: make(chan *peer, 100)}
}

// dial is for Options.Dial.
func (s *server) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	s.serve(far)
	return near, nil
}

// serve makes far, the server's end, a peer.
func (s *server) serve(far net.Conn) {
	p := &peer{t: s.t, nc: far, v: s.v, turn: make(chan struct{}, 1), in: make(chan packet.Packet, 1000)}
	go p.read()
	s.conns <- p
}

// accept takes the next connection, checks that CONNECT comes and answers it.
func (s *server) accept(ack *packet.Connack) (*peer, *packet.Connect) {
	s.t.Helper()
	p := <-s.conns
	c := expect[*packet.Connect](p)
	p.send(ack)
	return p, c
}

// peer is the server's end of one connection. A test drives it.
type peer struct {
	t  testing.TB
	nc net.Conn
	v  packet.Version
	in chan packet.Packet // closed when the client has closed
	// turn is a lock for send, which may wait long: synctest's clock stands
	// still while a goroutine waits for a mutex.
	turn chan struct{}
}

func (p *peer) read() {
	defer close(p.in)
	defer p.nc.Close()
	r := packet.NewReader(p.nc, p.v, 0)
	for {
		q, err := r.ReadPacket()
		if err != nil {
			return
		}
		p.in <- packet.Clone(q)
		if q.Type() == packet.DISCONNECT {
			return
		}
	}
}

func (p *peer) send(q packet.Packet) {
	p.t.Helper()
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if _, err := p.nc.Write(q.Append(nil, p.v)); err != nil {
		p.t.Errorf("write %v: %v", q, err)
	}
}

// expect returns the next packet, which must be a T.
func expect[T packet.Packet](p *peer) T {
	p.t.Helper()
	var zero T
	select {
	case q, ok := <-p.in:
		if got, is := q.(T); is {
			return got
		} else if !ok {
			p.t.Fatalf("connection closed, want %T", zero)
		}
		p.t.Fatalf("got %v, want %T", q, zero)
	case <-time.After(time.Hour):
		p.t.Fatalf("nothing came, want %T", zero)
	}
	return zero
}

// quiet checks that the client has nothing more to say for now.
func (p *peer) quiet() {
	p.t.Helper()
	synctest.Wait()
	select {
	case q, ok := <-p.in:
		p.t.Errorf("got %v (open: %v), want nothing", q, ok)
	default:
	}
}

// connect connects a client to a scripted server, which accepts with ack.
func connect(t testing.TB, o client.Options, ack *packet.Connack) (*client.Client, *server, *peer, *packet.Connect) {
	t.Helper()
	if o.Version == 0 {
		o.Version = packet.V5
	}
	s := newServer(t, o.Version)
	if o.Dial == nil {
		o.Dial = s.dial
	}
	if o.ClientID == "" {
		o.ClientID = "test"
	}
	type result struct {
		c   *client.Client
		err error
	}
	connected := make(chan result)
	go func() {
		c, err := client.Connect(context.Background(), o)
		connected <- result{c, err}
	}()
	p, sent := s.accept(ack)
	r := <-connected
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.c.Close() })
	return r.c, s, p, sent
}

// async runs f and delivers what it returns.
func async(f func() error) <-chan error {
	out := make(chan error, 1)
	go func() { out <- f() }()
	return out
}
