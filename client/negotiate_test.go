package client_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

var allVersions = []packet.Version{packet.V5, packet.V311, packet.V31}

// serveOld plays a server that speaks nothing newer than newest, and turns other
// versions away with refuse. It returns the versions that were tried and the
// connection it accepted, nil for none.
func serveOld(s *server, newest packet.Version, refuse func(*peer)) (tried []packet.Version, p *peer) {
	for _, v := range allVersions {
		p := <-s.conns
		c := expect[*packet.Connect](p)
		tried = append(tried, c.Version)
		if v == newest {
			p.send(&packet.Connack{})
			return tried, p
		}
		refuse(p)
	}
	return tried, nil
}

// newVersions is a server whose connections speak one version after the other.
func newVersions(t *testing.T) (*server, func(context.Context) (net.Conn, error)) {
	s := newServer(t, 0)
	n := 0
	return s, func(ctx context.Context) (net.Conn, error) {
		s.v = allVersions[n]
		n++
		return s.dial(ctx)
	}
}

func TestNegotiationFallsBackToOlderVersions(t *testing.T) {
	for name, refuse := range map[string]func(*peer){
		"refused": func(p *peer) { // as a 3.1.1 server does: return code 1
			if _, err := p.nc.Write([]byte{0x20, 2, 0, 1}); err != nil {
				p.t.Error(err)
			}
			p.nc.Close()
		},
		"refused in its version": func(p *peer) {
			p.send(&packet.Connack{Code: packet.UnsupportedProtocolVersion})
			p.nc.Close()
		},
		"closed": func(p *peer) { p.nc.Close() },
	} {
		for n, newest := range allVersions {
			t.Run(name+" to "+newest.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, dial := newVersions(t)
					var c *client.Client
					connected := async(func() (err error) {
						c, err = client.Connect(context.Background(), client.Options{Dial: dial, ClientID: "test"})
						return err
					})
					tried, p := serveOld(s, newest, refuse)
					if err := <-connected; err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					if !slices.Equal(tried, allVersions[:n+1]) || c.Version() != newest {
						t.Errorf("tried %v, has %v", tried, c.Version())
					}
					done := async(func() error { return c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}) })
					p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
					if err := <-done; err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A refusal that has nothing to do with the version ends the negotiation.
func TestNegotiationStopsAtAnotherRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := newVersions(t)
		failed := async(func() error {
			_, err := client.Connect(context.Background(), client.Options{Dial: dial})
			return err
		})
		p := <-s.conns
		expect[*packet.Connect](p)
		p.send(&packet.Connack{Code: packet.NotAuthorized})
		if err := <-failed; packet.ReasonOf(err) != packet.NotAuthorized {
			t.Errorf("got %v", err)
		}
		if len(s.conns) > 0 {
			t.Error("tried again with another version")
		}
	})
}

// A reconnection keeps the version, and a version that was asked for is the
// only one.
func TestAVersionOnceKnownStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := newVersions(t)
		var c *client.Client
		connected := async(func() (err error) {
			c, err = client.Connect(context.Background(), client.Options{Dial: func(ctx context.Context) (net.Conn, error) {
				if c != nil {
					return s.dial(ctx)
				}
				return dial(ctx)
			}, ClientID: "test", Reconnect: client.ReconnectOptions{Min: time.Second}})
			return err
		})
		_, p := serveOld(s, packet.V311, func(p *peer) { p.nc.Close() })
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.nc.Close()
		if _, again := s.accept(&packet.Connack{}); again.Version != packet.V311 {
			t.Errorf("came back with %v", again.Version)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		failed := async(func() error {
			_, err := client.Connect(context.Background(), client.Options{Version: packet.V5, Dial: s.dial})
			return err
		})
		p := <-s.conns
		expect[*packet.Connect](p)
		p.nc.Close()
		if err := <-failed; err == nil {
			t.Error("connected")
		}
		if len(s.conns) > 0 {
			t.Error("tried another version than the one asked for")
		}
	})
}
