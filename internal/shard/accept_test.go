package shard

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// The kernel may keep a connection that says nothing to itself, but not for long.
func TestASilentConnectionIsAccepted(t *testing.T) {
	addr, _, g := start(t, 2, nil)
	nc := dial(t, addr)
	for end := time.Now().Add(20 * time.Second); g.Conns() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a silent connection is not accepted")
		}
	}
	_, _ = nc.Write([]byte("x\n"))
	expect(t, nc, "x\n")
}

func TestAConnectionThatEndsWithoutAWordIsReported(t *testing.T) {
	addr, seen, _ := start(t, 2, nil)
	dial(t, addr).Close()
	if err := <-seen.gone; !errors.Is(err, io.EOF) {
		t.Errorf("Gone says %v, want EOF", err)
	}
}

// All of a connection's life may be there when it is accepted.
func TestEverythingMayComeAtOnce(t *testing.T) {
	addr, seen, g := start(t, 3, func(k *echo, c *Conn, line string) bool {
		switch line {
		case "move":
			c.Move(k.l.Peers()[(k.l.ID()+1)%3], []byte("moved\n"))
		case "leave":
			c.Close()
		default:
			return false
		}
		return true
	})
	for _, turn := range []struct{ says, want string }{
		{"x\n", "x\n"},
		{"move\n", "moved\n"},
		{"x\nleave\n", "x\n"},
		{"leave\n", ""},
	} {
		for range 20 {
			nc := dial(t, addr)
			_, _ = nc.Write([]byte(turn.says))
			_ = nc.(*net.TCPConn).CloseWrite()
			if got, err := io.ReadAll(nc); err != nil || string(got) != turn.want {
				t.Fatalf("%q: got %q, %v; want %q", turn.says, got, err, turn.want)
			}
			nc.Close()
			<-seen.gone
		}
	}
	for end := time.Now().Add(20 * time.Second); g.Conns() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections remain", g.Conns())
		}
	}
}
