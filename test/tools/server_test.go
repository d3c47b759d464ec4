package tools

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/wirebird/wirebird/packet"
)

// server answers the clients that connect and records their packets.
type server struct {
	code       packet.ReasonCode // of CONNACK
	connack    packet.Properties
	deny       bool              // every subscription
	refuse     packet.ReasonCode // of publishes with QoS 1 and 2
	inPubrec   bool              // refuse comes in PUBREC, not in PUBACK
	hangUp     packet.Type       // ends the connection when one of these comes
	once       bool              // hangUp holds for the first connection alone
	farewell   []byte            // sent before hangUp
	silent     bool              // no SUBACK
	mute       bool              // reads, and says nothing at all
	muteLater  bool              // the same from the second connection on
	noUnsuback bool
	tls        *tls.Config
	unix       bool
	ws         bool             // speaks WebSocket
	socks      *socks           // speaks SOCKS5 first
	messages   []packet.Publish // that a subscriber gets; nil for the usual ones
	after      []packet.Publish // that it gets once it has acknowledged a message
	echo       bool             // a request is answered
	again      chan struct{}    // closed when a second connection has come; may be nil

	mu    sync.Mutex
	conns int      // guarded by mu
	seen  []string // guarded by mu
}

// start listens and returns the address and what ends the server.
func (s *server) start(t *testing.T) (address string, stop func()) {
	t.Helper()
	network, at := "tcp", "127.0.0.1:0"
	if s.unix {
		network, at = "unix", filepath.Join(shortDir(t), "s")
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	if s.ws {
		return l.Addr().String(), s.webSocket(l, &wg)
	}
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(nc) })
		}
	})
	return l.Addr().String(), func() { l.Close(); wg.Wait() }
}

// webSocket serves l and returns what ends that.
func (s *server) webSocket(l net.Listener, wg *sync.WaitGroup) (stop func()) {
	h := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mqtt"}})
		if err != nil {
			s.record("%v", err)
			return
		}
		wg.Add(1) // Shutdown does not wait for these
		defer wg.Done()
		s.record("WebSocket %s", r.URL.RequestURI())
		s.serve(websocket.NetConn(context.Background(), ws, websocket.MessageBinary))
	})}
	config := s.tls
	s.tls = nil // serve is above it
	wg.Go(func() {
		if config != nil {
			l = tls.NewListener(l, config)
		}
		_ = h.Serve(l) // until Shutdown
	})
	return func() { _ = h.Shutdown(context.Background()); wg.Wait() }
}

func (s *server) record(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf(format, args...))
}

func (s *server) serve(nc net.Conn) {
	defer nc.Close()
	s.mu.Lock()
	s.conns++
	first := s.conns == 1
	if s.conns == 2 && s.again != nil {
		close(s.again)
	}
	s.mu.Unlock()
	if s.mute || s.muteLater && !first {
		_, _ = io.Copy(io.Discard, nc)
		return
	}
	if s.socks != nil && !s.socks.accept(nc, s.record) {
		return
	}
	if s.tls != nil {
		nc = tls.Server(nc, s.tls)
	}
	r, v := packet.NewReader(nc, packet.V311, 0), packet.V311
	for {
		p, err := r.ReadPacket()
		if err != nil {
			if packet.ReasonOf(err) != packet.UnspecifiedError {
				s.record("%v", err)
			}
			return
		}
		if c, ok := p.(*packet.Connect); ok {
			v = c.Version
			r.SetVersion(v)
		}
		s.record("%s", describe(p))
		if p.Type() == packet.DISCONNECT {
			return
		}
		if p.Type() == s.hangUp && (first || !s.once) {
			nc.Write(s.farewell)
			return
		}
		var out []byte
		for _, a := range s.answers(p, v) {
			out = a.Append(out, v)
		}
		if len(out) == 0 {
			continue
		}
		if _, err := nc.Write(out); err != nil {
			s.record("cannot answer: %v", err)
			return
		}
	}
}

// describe is the packet in a line, with what its String hides.
func describe(p packet.Packet) string {
	text := p.String()
	switch p := p.(type) {
	case *packet.Publish:
		text += fmt.Sprintf(" %q", p.Payload)
	case *packet.Connect:
		if text += fmt.Sprintf(" %q", p.Password); p.Will != nil {
			text += fmt.Sprintf(" %q", p.Will.Payload)
		}
	}
	return text
}

func (s *server) answers(p packet.Packet, v packet.Version) []packet.Packet {
	switch p := p.(type) {
	case *packet.Connect:
		return []packet.Packet{&packet.Connack{Code: s.code, Properties: s.connack}}
	case *packet.Publish:
		return s.acknowledge(p)
	case *packet.Pubrel:
		return []packet.Packet{&packet.Pubcomp{ID: p.ID}}
	case *packet.Pubrec:
		return []packet.Packet{&packet.Pubrel{ID: p.ID}}
	case *packet.Pingreq:
		return []packet.Packet{&packet.Pingresp{}}
	case *packet.Unsubscribe:
		if s.noUnsuback {
			return nil
		}
		return []packet.Packet{&packet.Unsuback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}}
	case *packet.Subscribe:
		if s.silent {
			return nil
		}
		return s.subscribe(p, v)
	}
	return nil
}

func (s *server) acknowledge(p *packet.Publish) []packet.Packet {
	var out []packet.Packet
	switch {
	case p.QoS == 1:
		out = append(out, &packet.Puback{ID: p.ID, Code: s.refuse})
	case p.QoS == 2:
		out = append(out, &packet.Pubrec{ID: p.ID, Code: s.refuse})
	}
	for _, m := range s.after {
		out = append(out, &m)
	}
	if s.echo {
		m := &packet.Publish{Topic: []byte("b"), Payload: append([]byte("re: "), p.Payload...)}
		if p.Properties.Has(packet.PropCorrelationData) {
			m.Properties.CorrelationData = slices.Clone(p.Properties.CorrelationData)
			m.Properties.Mark(packet.PropCorrelationData)
		}
		out = append(out, m)
	}
	return out
}

func (s *server) subscribe(p *packet.Subscribe, v packet.Version) []packet.Packet {
	codes := make([]packet.ReasonCode, len(p.Filters))
	for i, f := range p.Filters {
		if codes[i] = packet.ReasonCode(f.QoS); s.deny {
			codes[i] = packet.NotAuthorized
			if v != packet.V5 {
				codes[i] = packet.UnspecifiedError
			}
		}
	}
	out := []packet.Packet{&packet.Suback{ID: p.ID, Codes: codes}}
	if s.deny {
		return out
	}
	messages := s.messages
	if messages == nil && !s.echo {
		messages = usual()
	}
	for _, m := range messages {
		out = append(out, &m)
	}
	return out
}

// usual is what a subscriber gets: a retained message, JSON, and nothing.
func usual() []packet.Publish {
	return []packet.Publish{
		{Topic: []byte("a/old"), Payload: []byte("1"), Retain: true},
		{Topic: []byte("a/b"), Payload: []byte(`{"n":[1,"x"],"o":{}}`)},
		{Topic: []byte("a/c")},
	}
}
