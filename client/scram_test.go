package client_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

// prover is a server's side of SCRAM, with a hand in its last message.
type prover struct {
	p    *peer
	s    *scram.Server
	last func(signature string) string // "" leaves it out
}

func newProver(p *peer, last func(string) string) *prover {
	lookup := func(string) (scram.User, bool) { return scram.Derive("secret", []byte("salt"), 4096), true }
	return &prover{p, scram.NewServer(lookup, "nonce-of-the-server", []byte("key")), last}
}

// run takes the client through the exchange that first began and returns the
// properties that go with the server's success.
func (s *prover) run(first packet.Properties) (pr packet.Properties) {
	s.p.t.Helper()
	challenge := &packet.Auth{Code: packet.ContinueAuthentication}
	challenge.Properties = authProperties(s.step(first))
	s.p.send(challenge)
	return authProperties([]byte(s.last(string(s.step(expect[*packet.Auth](s.p).Properties)))))
}

func (s *prover) step(pr packet.Properties) []byte {
	s.p.t.Helper()
	out, _, err := s.s.Step(pr.AuthData)
	if err != nil {
		s.p.t.Error(err)
	}
	return out
}

func authProperties(data []byte) (pr packet.Properties) {
	pr.AuthMethod = []byte(scram.Method)
	pr.Mark(packet.PropAuthMethod)
	if len(data) > 0 {
		pr.AuthData = data
		pr.Mark(packet.PropAuthData)
	}
	return pr
}

func honest(signature string) string { return signature }

// lies are last messages of servers that do not know the password.
var lies = map[string]struct {
	last func(string) string
	want string
}{
	"another signature": {func(s string) string { return "v=" + strings.Repeat("A", 43) + "=" }, "does not know the password"},
	"no signature":      {func(string) string { return "" }, "without having proved"},
	"short signature":   {func(string) string { return "v=QUJD" }, "not 32 bytes"},
	"nonsense":          {func(string) string { return "welcome" }, "no attribute v="},
	"an error":          {func(string) string { return "e=other-error" }, "other-error"},
}

func TestSCRAMLeavesAServerThatLies(t *testing.T) {
	for name, tt := range lies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, packet.V5)
				done := async(func() error {
					c, err := client.Connect(t.Context(), client.Options{Dial: s.dial, Auth: client.SCRAM("alice", "secret")})
					if err == nil {
						c.Close()
					}
					return err
				})
				p := <-s.conns
				ack := &packet.Connack{}
				ack.Properties = newProver(p, tt.last).run(expect[*packet.Connect](p).Properties)
				p.send(ack)
				if got := expect[*packet.Disconnect](p); got.Code != packet.NotAuthorized {
					t.Errorf("left with %v, want not authorized", got)
				}
				if err := <-done; err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		})
	}
}

func TestSCRAMLeavesAServerThatLiesLater(t *testing.T) {
	for name, tt := range lies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, packet.V5)
				var c *client.Client
				done := async(func() (err error) {
					c, err = client.Connect(t.Context(), client.Options{Dial: s.dial, Auth: client.SCRAM("alice", "secret"),
						Reconnect: client.ReconnectOptions{Off: true}})
					return err
				})
				p := <-s.conns
				ack := &packet.Connack{}
				ack.Properties = newProver(p, honest).run(expect[*packet.Connect](p).Properties)
				p.send(ack)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				done = async(func() error { return c.Reauthenticate(t.Context()) })
				success := &packet.Auth{Code: packet.Success}
				success.Properties = newProver(p, tt.last).run(expect[*packet.Auth](p).Properties)
				p.send(success)
				if got := expect[*packet.Disconnect](p); got.Code != packet.NotAuthorized {
					t.Errorf("left with %v, want not authorized", got)
				}
				if err := <-done; err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		})
	}
}

// gate holds up Start until it is opened.
type gate struct {
	client.Authenticator
	open chan struct{}
}

func (g *gate) Start() []byte { <-g.open; return g.Authenticator.Start() }

func TestASecondReauthenticationLeavesTheFirstAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &gate{client.SCRAM("alice", "secret"), make(chan struct{}, 10)}
		s := newServer(t, packet.V5)
		var c *client.Client
		a.open <- struct{}{}
		done := async(func() (err error) {
			c, err = client.Connect(t.Context(), client.Options{Dial: s.dial, Auth: a})
			return err
		})
		p := <-s.conns
		ack := &packet.Connack{}
		ack.Properties = newProver(p, honest).run(expect[*packet.Connect](p).Properties)
		p.send(ack)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		first := async(func() error { return c.Reauthenticate(t.Context()) })
		a.open <- struct{}{}
		pr := expect[*packet.Auth](p).Properties
		a.open <- struct{}{} // the second would start if it could
		if err := c.Reauthenticate(t.Context()); err == nil || !strings.Contains(err.Error(), "under way") {
			t.Errorf("the second returned %v", err)
		}
		success := &packet.Auth{Code: packet.Success}
		success.Properties = newProver(p, honest).run(pr)
		p.send(success)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestSCRAMNeedsAUserName(t *testing.T) {
	_, err := client.Start(client.Options{Auth: client.SCRAM("", "secret")})
	if err == nil || !strings.Contains(err.Error(), "SCRAM needs a user name") {
		t.Error(err)
	}
}
