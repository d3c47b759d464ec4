//go:build linux && !wirebird_goroutine

package shard

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// homes starts two Loops and opens n connections that are the second Loop's. They do not
// look whether the machine is crowded.
func homes(t *testing.T, n int) (g *Group, conns []net.Conn, seen *tape) {
	t.Helper()
	addr, seen, g := start(t, 2, func(k *echo, c *Conn, line string) bool {
		switch {
		case line == "move":
			if k.l.ID() == 1 {
				return false
			}
			c.Move(k.l.Peers()[1], []byte("move\n"))
		case line == "timer":
			k.l.At(k.l.Now()+20e6, 3, c.Key())
		case strings.HasPrefix(line, "light"):
			k.l.Send(k.l.Peers()[1-k.l.ID()], light(1))
		case strings.HasPrefix(line, "mail"):
			k.l.Send(k.l.Peers()[1-k.l.ID()], line)
		default:
			return false
		}
		return true
	})
	carrying(g, false)
	for range n {
		nc := dial(t, addr)
		_, _ = nc.Write([]byte("move\n"))
		expect(t, nc, "move\n")
		conns = append(conns, nc)
	}
	return g, conns, seen
}

func (d *epoll) isGuest() bool {
	d.turn.Lock()
	defer d.turn.Unlock()
	return d.staying
}

// readLine reads n bytes, in a goroutine that must not end the test.
func readLine(r io.Reader, n int) (string, error) {
	b := make([]byte, n)
	n, err := io.ReadFull(r, b)
	return string(b[:n]), err
}

// talk says lines on all connections at once, timers among them, and expects each answer.
func talk(t *testing.T, conns []net.Conn, lines int) {
	t.Helper()
	var wg sync.WaitGroup
	for i, nc := range conns {
		wg.Go(func() {
			for j := range lines {
				line := fmt.Sprintf("%d %d\n", i, j)
				if j%50 == 49 {
					line = "timer\n"
				}
				_, _ = nc.Write([]byte(line))
				if line == "timer\n" {
					line = "t3\n"
				}
				if got, err := readLine(nc, len(line)); got != line || err != nil {
					t.Errorf("connection %d: got %q, %v, want %q", i, got, err, line)
					return
				}
			}
		})
	}
	wg.Wait()
}

// mail makes the Loop of nc send the other one n pieces of mail, and expects each.
func mail(t *testing.T, nc net.Conn, seen *tape, n int) {
	t.Helper()
	for i := range n {
		_, _ = fmt.Fprintf(nc, "mail %d\n", i)
		if m := <-seen.mail; m != fmt.Sprintf("mail %d", i) {
			t.Fatalf("got %v as the %dth mail", m, i)
		}
	}
}

// until makes the Loops' turns until cond holds.
func until(t *testing.T, what string, conns []net.Conn, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not after 20 s", what)
		}
		for _, nc := range conns {
			_, _ = nc.Write([]byte("x\n"))
		}
		for _, nc := range conns {
			expect(t, nc, "x\n")
		}
	}
}

// A Loop with little to do is served by the first one; its connections, timers and mail
// do not notice. With much to do it looks after itself again, and later comes back.
func TestACalmLoopIsAGuest(t *testing.T) {
	g, conns, seen := homes(t, 40)
	d := g.sys.drivers[1]
	one := conns[:1]
	for range 2 {
		until(t, "a calm Loop is a guest", one, d.isGuest)
		mail(t, one[0], seen, 100)
		_, _ = one[0].Write([]byte("timer\n"))
		expect(t, one[0], "t3\n")
		heard := make(chan bool)
		d.l.Post(func() { heard <- true })
		<-heard
		if !d.isGuest() {
			until(t, "it still is", one, d.isGuest)
		}
		until(t, "a busy Loop leaves", conns, func() bool { return !d.isGuest() })
	}
}

// A guest's little mail for its host is seen to within the guest's turn.
func TestAGuestHelpsItsHost(t *testing.T) {
	g, conns, seen := homes(t, 1)
	until(t, "a calm Loop is a guest", conns, g.sys.drivers[1].isGuest)
	for range 100 {
		_, _ = conns[0].Write([]byte("light\n"))
		if m := <-seen.mail; m != light(1) {
			t.Fatalf("got %v", m)
		}
	}
	helped := make(chan uint64)
	g.Loops()[1].Post(func() { helped <- g.Loops()[1].Helped() })
	if n := <-helped; n < 50 {
		t.Errorf("%d of 100 turns of the host were run by its guest", n)
	}
}

// Events, mail and timers of a Loop that comes and goes all the time reach it.
func TestAGuestThatComesAndGoesMissesNothing(t *testing.T) {
	g, conns, seen := homes(t, 20)
	d := g.sys.drivers[1]
	var wg sync.WaitGroup
	done := make(chan bool)
	wg.Go(func() {
		stays := 0
		for {
			// Its goroutine is in a turn of its own when the host wants one.
			d.l.Post(func() { time.Sleep(30 * time.Microsecond) })
			d.turn.Lock()
			if d.staying && stays < 1000 {
				stays++
				d.leave(d.l.now)
				d.wake()
			}
			d.calmSince, d.calmFor = 0, 0 // it comes again at once
			d.turn.Unlock()
			select {
			case <-done:
				if stays < 5 {
					t.Errorf("it was a guest %d times", stays)
				}
				return
			default:
				time.Sleep(20 * time.Microsecond)
			}
		}
	})
	talk(t, conns, 500)
	for range 500 {
		_, _ = conns[0].Write([]byte("x\n"))
		expect(t, conns[0], "x\n")
	}
	mail(t, conns[0], seen, 300)
	close(done)
	wg.Wait()
}

// Connections that come together are all taken, whoever hears of them.
func TestAGuestAccepts(t *testing.T) {
	g, conns, _ := homes(t, 1)
	d := g.sys.drivers[1]
	for range 20 {
		d.turn.Lock()
		d.calmFor = leastCalm // however often it has left before
		d.turn.Unlock()
		until(t, "a calm Loop is a guest", conns, d.isGuest)
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				nc, err := net.DialTimeout("tcp", conns[0].RemoteAddr().String(), 10*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = nc.Write([]byte("x\n"))
				if _, err := nc.Read(make([]byte, 2)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, _ = conns[0].Write([]byte("x\n"))
		expect(t, conns[0], "x\n")
	}
}

// Loops end in any order, guests or not.
func TestGuestsEnd(t *testing.T) {
	for range 5 {
		g, conns, _ := homes(t, 2)
		until(t, "a calm Loop is a guest", conns, g.sys.drivers[1].isGuest)
		g.Stop()
	}
}
