package server_test

import (
	"testing"

	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

// authProperties are the method and data of a packet.
func authProperties(method string, data []byte) (p packet.Properties) {
	p.AuthMethod = []byte(method)
	p.Mark(packet.PropAuthMethod)
	if data != nil {
		p.AuthData = data
		p.Mark(packet.PropAuthData)
	}
	return p
}

// scramPeer is a client's side of SCRAM with raw packets.
type scramPeer struct {
	*peer
	c *scram.Client
}

func (s *scramPeer) step(in []byte) []byte {
	s.t.Helper()
	out, _, err := s.c.Step(in)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// connect returns the answer to the last message of the client.
func (s *scramPeer) connect(user, password, nonce string) packet.Packet {
	s.t.Helper()
	s.c = scram.NewClient(user, password, nonce)
	s.send(&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("scram"),
		Properties: authProperties("SCRAM-SHA-256", s.step(nil))})
	challenge := expect[*packet.Auth](s.peer)
	if challenge.Code != packet.ContinueAuthentication {
		s.t.Fatalf("%v; want to continue", challenge)
	}
	s.send(&packet.Auth{Code: packet.ContinueAuthentication,
		Properties: authProperties("SCRAM-SHA-256", s.step(challenge.Properties.AuthData))})
	return s.next()
}

// again authenticates once more on the same connection.
func (s *scramPeer) again(user, password, nonce string) packet.Packet {
	s.t.Helper()
	s.c = scram.NewClient(user, password, nonce)
	s.send(&packet.Auth{Code: packet.ReAuthenticate, Properties: authProperties("SCRAM-SHA-256", s.step(nil))})
	challenge := expect[*packet.Auth](s.peer)
	s.send(&packet.Auth{Code: packet.ContinueAuthentication,
		Properties: authProperties("SCRAM-SHA-256", s.step(challenge.Properties.AuthData))})
	return s.next()
}

func startScram(t *testing.T) *node {
	t.Helper()
	cfg := loopback()
	cfg.ScramFile = writeFile(t, scramLine("alice", "secret")+scramLine("bob", "secret"))
	return start(t, cfg)
}

func TestScramAdmitsWhoKnowsThePassword(t *testing.T) {
	n := startScram(t)
	for range 2 { // nonces differ
		s := &scramPeer{peer: n.dial(0, packet.V5)}
		ack, ok := s.connect("alice", "secret", "client-nonce").(*packet.Connack)
		if !ok || ack.Code != packet.Success {
			t.Fatalf("%v; want success", ack)
		}
		if _, done, err := s.c.Step(ack.Properties.AuthData); !done || err != nil {
			t.Errorf("the server does not prove that it knows the user: %v", err)
		}
		s.send(&packet.Pingreq{})
		expect[*packet.Pingresp](s.peer)
	}
}

func TestScramRefuses(t *testing.T) {
	n := startScram(t)
	for name, tt := range map[string]struct{ user, password string }{
		"wrong password": {"alice", "Secret"},
		"unknown user":   {"nobody", "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			p := n.dial(0, packet.V5)
			p.t = t
			got := (&scramPeer{peer: p}).connect(tt.user, tt.password, "n")
			if ack, ok := got.(*packet.Connack); !ok || ack.Code != packet.NotAuthorized {
				t.Errorf("%v; want %v", got, packet.NotAuthorized)
			}
		})
	}
	for name, tt := range map[string]struct {
		method string
		data   []byte
		want   packet.ReasonCode
	}{
		"no message": {"SCRAM-SHA-256", nil, packet.NotAuthorized},
		"not SCRAM":  {"SCRAM-SHA-256", []byte("hello"), packet.NotAuthorized},
		"method":     {"SCRAM-SHA-1", []byte("n,,n=alice,r=x"), packet.BadAuthenticationMethod},
	} {
		t.Run(name, func(t *testing.T) {
			p := n.dial(0, packet.V5)
			p.t = t
			p.send(&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("c"),
				Properties: authProperties(tt.method, tt.data)})
			if ack := expect[*packet.Connack](p); ack.Code != tt.want {
				t.Errorf("%v; want %v", ack, tt.want)
			}
		})
	}
}

func TestScramNeedsAFile(t *testing.T) {
	p := start(t, loopback()).dial(0, packet.V5)
	p.send(&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("c"),
		Properties: authProperties("SCRAM-SHA-256", []byte("n,,n=alice,r=x"))})
	if ack := expect[*packet.Connack](p); ack.Code != packet.BadAuthenticationMethod {
		t.Errorf("%v; want %v", ack, packet.BadAuthenticationMethod)
	}
}

func TestScramAgain(t *testing.T) {
	n := startScram(t)
	for name, tt := range map[string]struct {
		user, password string
		want           packet.Type
		code           packet.ReasonCode
	}{
		"same user":      {"alice", "secret", packet.AUTH, packet.Success},
		"wrong password": {"alice", "wrong", packet.DISCONNECT, packet.NotAuthorized},
		"another user":   {"bob", "secret", packet.DISCONNECT, packet.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			p := n.dial(0, packet.V5)
			p.t = t
			s := &scramPeer{peer: p}
			if ack, ok := s.connect("alice", "secret", "first").(*packet.Connack); !ok || ack.Code != packet.Success {
				t.Fatalf("%v; want success", ack)
			}
			for range 2 { // a second time begins anew as well
				got := s.again(tt.user, tt.password, "second")
				var code packet.ReasonCode
				switch k := got.(type) {
				case *packet.Auth:
					code = k.Code
				case *packet.Disconnect:
					code = k.Code
				}
				if got.Type() != tt.want || code != tt.code {
					t.Fatalf("%v; want %v with %v", got, tt.want, tt.code)
				}
				if tt.want == packet.DISCONNECT {
					return
				}
			}
		})
	}
}
