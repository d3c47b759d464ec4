package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// Storms of connections: what is let in is bounded, and what is refused costs no more
// than reading its CONNECT.

func TestConnectStormIsBounded(t *testing.T) {
	asked := 0
	s := newStage(t, broker.Options{
		Limits: broker.Limits{MaxConnectRate: 10},
		Hooks: broker.Hooks{Connect: func(*broker.ConnectRequest) broker.Verdict {
			asked++
			return broker.Verdict{}
		}},
	})
	storm := func(n int) (in int) {
		for i := range n {
			a := s.open()
			a.say(fmt.Sprintf("CONNECT v5 id=%d clean", i))
			if !a.closed {
				in++
				a.cut()
				continue
			}
			a.expect("CONNACK connection-rate-exceeded", "closed")
		}
		return in
	}
	if in := storm(500); in != 100 || asked != 100 {
		t.Errorf("%d came in and %d were asked for a password; want 100, ten seconds' worth", in, asked)
	}
	s.wait(2 * time.Second)
	if in := storm(500); in != 20 {
		t.Errorf("%d came in after two seconds, want 20", in)
	}
	a := s.open()
	a.say("CONNECT v3.1.1 id=a clean")
	a.expect("CONNACK server-unavailable", "closed") // return code 3
	if got := s.b.StatsNow(); got.ConnectsOverRate != 881 || got.Refused[packet.ConnectionRateExceeded] != 881 {
		t.Errorf("%d are counted, want 881", got.ConnectsOverRate)
	}
	s.finishAfter(time.Minute)
}

// finishAfter is finish after a time in which limits on rates forget.
func (s *stage) finishAfter(d time.Duration) {
	s.t.Helper()
	s.wait(d)
	s.finish()
}

// A slow decision parks a CONNECT, which then comes again: it counts once.
func TestParkedConnectCountsOnce(t *testing.T) {
	var work []func()
	s := newStage(t, broker.Options{
		Limits:  broker.Limits{MaxConnectRate: 1},
		Execute: func(fn func()) { work = append(work, fn) },
		Hooks: broker.Hooks{Connect: func(*broker.ConnectRequest) broker.Verdict {
			return broker.Later(func(context.Context) broker.Verdict { return broker.Verdict{} })
		}},
	})
	for i := range 10 {
		a := s.open()
		a.say(fmt.Sprintf("CONNECT v5 id=%d clean", i))
		work[i]()
		s.settle()
		a.expect("CONNACK success")
		a.cut()
	}
	if got := s.b.StatsNow().ConnectsOverRate; got != 0 {
		t.Errorf("%d of ten were refused", got)
	}
}

// The defaults let a fleet of 100,000 in at once, whatever shards they meet.
func TestFleetComesBackAtOnce(t *testing.T) {
	const shards, fleet = 2, 100_000
	s := newStage(t, broker.Options{Shards: shards})
	connect := packet.Connect{Version: packet.V311, CleanStart: true}
	for i := range fleet {
		connect.ClientID = fmt.Appendf(nil, "device-%d", i)
		w := &wire{s: s, accept: -1, discard: true}
		l := s.loops[i%shards]
		l.Begin(s.now)
		w.conn = l.OpenPort(w, nil)
		l.Feed(w.conn, connect.Append(nil, 0))
		if i%1000 == 0 {
			s.turnAll()
			s.now += int64(10 * time.Millisecond) // a second for all: ours is not the bottleneck
		}
	}
	s.turnAll()
	if got := s.b.StatsNow(); got.SessionsOnline != fleet || got.ConnectsOverRate != 0 {
		t.Errorf("%d of %d came in, %d were refused", got.SessionsOnline, fleet, got.ConnectsOverRate)
	}
}

// turnAll is settle for a crowd: it looks at no connection.
func (s *stage) turnAll() {
	for more := true; more; {
		more = false
		for _, l := range s.loops {
			l.Begin(s.now)
			more = l.End() || more
		}
		for _, l := range s.loops {
			more = more || l.HasMail()
		}
	}
}

// Two clients with one identifier, each of which connects again as soon as it is thrown
// out: the session changes hands MaxTakeoverRate times a minute and no more.
func TestTakeoverLoopIsBounded(t *testing.T) {
	for _, connect := range []string{"CONNECT v5 id=x clean will{topic=w payload=bye}", "CONNECT v3.1.1 id=x"} {
		t.Run(connect, func(t *testing.T) {
			s := newStage(t, broker.Options{})
			a := s.open()
			a.say(connect)
			const loop, minutes = 5000, 10
			for i := range loop {
				b := s.open()
				b.say(connect)
				if !b.ended() {
					if !a.ended() {
						t.Fatal("both have the session")
					}
					a = b
				} else if got := b.got[0].(*packet.Connack); got.Code.ConnackV3() != 3 {
					t.Fatalf("refused with %v", got)
				}
				if i%(loop/minutes) == 0 {
					s.wait(time.Minute)
				}
			}
			got := s.b.StatsNow()
			if most := uint64(60 * (minutes + 1)); got.Takeovers > most || got.Wills > most || got.Takeovers < 60 {
				t.Errorf("the session changed hands %d times, with %d wills; want 60 to %d", got.Takeovers, got.Wills, most)
			}
			if got.TakeoversRefused != loop-got.Takeovers || got.SessionsOnline != 1 {
				t.Errorf("%d are counted as refused, %d sessions are online", got.TakeoversRefused, got.SessionsOnline)
			}
			other := s.open()
			other.say("CONNECT v5 id=y clean")
			other.expect("CONNACK success") // nobody else is concerned
			s.finishAfter(time.Minute)
		})
	}
}

// A device on a bad link, whose old connection is still there each time it comes, is let
// in for ever; and what is remembered of devices is forgotten.
func TestFlappingDevicesAreLetIn(t *testing.T) {
	s := newStage(t, broker.Options{})
	a := s.open()
	a.say("CONNECT v3.1.1 id=flap")
	for range 500 {
		s.wait(time.Second)
		a = s.open()
		a.say("CONNECT v3.1.1 id=flap")
		a.expect("CONNACK success session-present")
	}
	for i := range 3000 {
		for range 2 {
			a = s.open()
			a.say(fmt.Sprintf("CONNECT v3.1.1 id=%d clean", i))
		}
		a.cut()
		if i%100 == 0 {
			s.wait(10 * time.Second)
		}
	}
	if n := s.b.FightsKept(); n > 1200 {
		t.Errorf("%d sessions are remembered", n)
	}
	if got := s.b.StatsNow().TakeoversRefused; got != 0 {
		t.Errorf("%d were refused", got)
	}
}

// Identifiers made up for each connection, with sessions that stay.
func TestSessionsAreBounded(t *testing.T) {
	for _, shards := range []int{1, 2} {
		s := newStage(t, broker.Options{Shards: shards, Limits: broker.Limits{MaxSessions: 100}})
		refused := 0
		for i := range 500 {
			a := s.open()
			a.say(fmt.Sprintf("CONNECT v5 id=made-up-%d expiry=4294967295", i))
			if a.ended() {
				a.expect("CONNACK quota-exceeded", "closed")
				refused++
				continue
			}
			a.cut()
		}
		got := s.b.StatsNow()
		if got.Sessions > 100 || got.Sessions < 90 || got.Refused[packet.QuotaExceeded] != uint64(refused) {
			t.Errorf("%d sessions, %d refused, %d counted", got.Sessions, refused, got.Refused[packet.QuotaExceeded])
		}
		a := s.open()
		a.say("CONNECT v5 id=made-up-0 expiry=100") // who has one keeps it
		a.expect("CONNACK success session-present")
		s.finish()
	}
}

// Above MaxConnections a client is told, and its place is free again at once; what does
// not say CONNECT is let go soon; and there are few of them.
func TestOneConnectionTooManyIsTold(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := serve(t, broker.Options{Limits: broker.Limits{MaxConnections: 2}})
	for _, id := range []string{"a", "b"} {
		d := dial(t, b, "CONNECT v5 clean id="+id)
		d.expect("CONNACK success")
		defer d.nc.Close() // and not when the collector finds it
	}
	for range 50 {
		c := dial(t, b, "CONNECT v5 clean id=c")
		c.expect("CONNACK quota-exceeded")
		c.expectEnd()
	}
	c := dial(t, b, "CONNECT v3.1.1 clean id=c")
	c.r.SetVersion(packet.V311)
	c.expect("CONNACK server-unavailable")
	c.expectEnd()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := b.Stats(ctx)
	if err != nil || got.ConnectionsRefused != 51 || got.SessionsOnline != 2 {
		t.Errorf("%d are counted as refused, %d sessions, %v; want 51 and 2", got.ConnectionsRefused, got.SessionsOnline, err)
	}
	// Those that say nothing hold sixteen places, and not for long.
	address := strings.TrimPrefix(b.Listeners()[0].URL, "tcp://")
	var silent []net.Conn
	for range 40 {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := nc.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, err = b.Stats(ctx); err != nil || got.Connections > 2+16 {
			t.Errorf("%d connections are open, %v", got.Connections, err)
		}
		silent = append(silent, nc)
	}
	for _, nc := range silent {
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection too many is still open: %v", err)
		}
	}
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
