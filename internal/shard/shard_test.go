package shard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends back what comes, line by line. Lines that begin with a command do more.
type echo struct {
	l    *Loop
	t    *tape
	more func(k *echo, c *Conn, line string) bool
}

// tape collects what Handlers of all Loops saw.
type tape struct {
	mu    sync.Mutex
	lines []string
	gone  chan error
	mail  chan any
}

func (k *echo) Open(*Conn)              {}
func (k *echo) Adopt(*Conn)             {}
func (k *echo) Drained(c *Conn)         { c.Write([]byte("drained\n")) }
func (k *echo) Gone(_ *Conn, err error) { k.t.gone <- err }
func (k *echo) Mail(m any)              { k.t.mail <- m }
func (k *echo) Timer(kind uint8, key uint64) {
	if c := k.l.Find(key); c != nil {
		c.Write([]byte{'t', '0' + kind, '\n'})
	}
}
func (k *echo) EndTurn() {}
func (k *echo) Input(c *Conn, b []byte) int {
	used := 0
	for {
		i := bytes.IndexByte(b[used:], '\n')
		if i < 0 {
			return used
		}
		line := string(b[used : used+i])
		if k.more != nil && k.more(k, c, line) {
			if c.Moving() {
				return len(b)
			}
			return used + i + 1
		}
		used += i + 1
		c.Write([]byte(line + "\n"))
	}
}

// mostConns is more than what one wait returns events of.
const mostConns = 300

func start(t *testing.T, loops int, more func(k *echo, c *Conn, line string) bool) (addr string, seen *tape, g *Group) {
	t.Helper()
	seen = &tape{gone: make(chan error, 1000), mail: make(chan any, 1000)}
	g, err := NewGroup(Options{
		Loops: loops, Clock: func() int64 { return time.Now().UnixNano() }, MaxConns: mostConns,
		Handler: func(l *Loop) Handler { return &echo{l: l, t: seen, more: more} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	if err := g.Listen(ln, &Origin{}); err != nil {
		t.Fatal(err)
	}
	return addr, seen, g
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

func expect(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(nc, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func TestPartialInputIsKeptAndOfferedAgain(t *testing.T) {
	addr, _, _ := start(t, 2, nil)
	nc := dial(t, addr)
	for _, part := range []string{"he", "llo", "\nwor", "ld\n"} {
		if _, err := nc.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, nc, "hello\nworld\n")
}

func TestReadsAndWritesAreCounted(t *testing.T) {
	addr, _, g := start(t, 1, nil)
	nc := dial(t, addr)
	const lines = 10
	for range lines {
		if _, err := nc.Write([]byte("hello\n")); err != nil {
			t.Fatal(err)
		}
		expect(t, nc, "hello\n")
	}
	var reads, writes uint64
	done := make(chan bool)
	l := g.Loops()[0]
	l.Post(func() {
		reads, writes = l.Calls()
		close(done)
	})
	<-done
	// Each line was answered before the next was sent. A read may find nothing.
	if reads < lines || reads > 3*lines || writes != lines {
		t.Errorf("%d reads and %d writes, want at least %d and %[3]d", reads, writes, lines)
	}
}

func TestMoreThanABufferComesThroughInOrder(t *testing.T) {
	addr, _, _ := start(t, 2, nil)
	nc := dial(t, addr)
	line := bytes.Repeat([]byte{'x'}, 300_000)
	line = append(line, '\n')
	go func() {
		for range 10 {
			_, _ = nc.Write(line)
		}
	}()
	for range 10 {
		expect(t, nc, string(line))
	}
}

func TestASlowReaderBlocksNobodyAndIsToldWhenItCatchesUp(t *testing.T) {
	big := bytes.Repeat([]byte{'y'}, 8<<20)
	addr, _, _ := start(t, 1, func(_ *echo, c *Conn, line string) bool {
		if line != "big" {
			return false
		}
		c.Write(big)
		c.WantDrain()
		return true
	})
	slow, quick := dial(t, addr), dial(t, addr)
	_, _ = slow.Write([]byte("big\n"))
	_, _ = quick.Write([]byte("hello\n"))
	expect(t, quick, "hello\n")
	expect(t, slow, string(big)+"drained\n")
}

func TestClosingLetsTheLastBytesLeave(t *testing.T) {
	addr, seen, _ := start(t, 1, func(_ *echo, c *Conn, line string) bool {
		switch line {
		case "close":
			c.Write([]byte("bye\n"))
			c.Close()
		case "quick":
			c.Write([]byte("bye\n"))
			c.CloseQuick()
		default:
			return false
		}
		return true
	})
	for _, how := range []string{"close", "quick"} {
		nc := dial(t, addr)
		_, _ = nc.Write([]byte(how + "\nmore that nobody reads\n"))
		expect(t, nc, "bye\n")
		if how == "close" { // only there the peer's bytes are read to the end, so that no reset comes
			if n, err := nc.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				t.Errorf("%s: after the last bytes: %d, %v", how, n, err)
			}
		}
		nc.Close()
		if err := <-seen.gone; err != nil {
			t.Errorf("%s: Gone says %v, want nil", how, err)
		}
	}
}

func TestAPeerThatLeavesIsReported(t *testing.T) {
	addr, seen, g := start(t, 2, nil)
	nc := dial(t, addr)
	_, _ = nc.Write([]byte("x\n"))
	expect(t, nc, "x\n")
	nc.Close()
	if err := <-seen.gone; !errors.Is(err, io.EOF) {
		t.Errorf("Gone says %v, want EOF", err)
	}
	g.Stop()
	if n := g.Conns(); n != 0 {
		t.Errorf("%d connections remain", n)
	}
}

func TestPauseStopsReadingUntilResume(t *testing.T) {
	paused := make(chan func(), 1)
	addr, _, _ := start(t, 2, func(k *echo, c *Conn, line string) bool {
		if line != "pause" {
			return false
		}
		c.Pause()
		l, key := k.l, c.Key()
		paused <- func() { l.Post(func() { l.Find(key).Resume() }) }
		return true
	})
	nc := dial(t, addr)
	_, _ = nc.Write([]byte("pause\nkept\n"))
	resume := <-paused
	_, _ = nc.Write([]byte("later\n")) // arrives, or not, before the pause ends
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, _ := nc.Read(make([]byte, 1)); n != 0 {
		t.Error("read while paused")
	}
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	resume()
	expect(t, nc, "kept\nlater\n")
}

func TestMovedConnectionsKeepTheirBytes(t *testing.T) {
	addr, _, _ := start(t, 3, func(k *echo, c *Conn, line string) bool {
		if line != "move" {
			return false
		}
		c.Move(k.l.Peers()[(k.l.ID()+1)%3], []byte("first\nsec"))
		return true
	})
	for range 10 {
		nc := dial(t, addr)
		_, _ = nc.Write([]byte("move\n"))
		expect(t, nc, "first\n")
		_, _ = nc.Write([]byte("ond\nmove\n"))
		expect(t, nc, "second\nfirst\n")
		nc.Close()
	}
}

func TestMailReachesASleepingLoop(t *testing.T) {
	_, seen, g := start(t, 2, nil)
	for i := range 100 {
		g.Loops()[i%2].Post(i)
		if m := <-seen.mail; m != i {
			t.Fatalf("got %v, want %d", m, i)
		}
	}
}

// With a processor to spare a Loop waits without the scheduler's knowledge: mail must wake
// it all the same, and a collection must not wait for it.
func TestLoopsThatKeepTheirProcessorHearMail(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	addr, seen, g := start(t, 2, nil)
	nc := dial(t, addr)
	for i := range 200 {
		g.Loops()[i%2].Post(i)
		if m := <-seen.mail; m != i {
			t.Fatalf("got %v, want %d", m, i)
		}
		if i%20 == 0 {
			runtime.GC()
		}
		_, _ = nc.Write([]byte("x\n"))
		expect(t, nc, "x\n")
	}
}

// light is mail that makes little work.
type light int

func (light) Light() bool { return true }

// A Loop that sleeps is helped with a little mail, and answers on its own connections;
// what is more work wakes it. Either way everything comes once, in order.
func TestASleepingLoopIsHelped(t *testing.T) {
	const n = 500
	for name, mail := range map[string]func(i int) any{
		"light": func(i int) any { return light(i) },
		"heavy": func(i int) any { return i },
	} {
		t.Run(name, func(t *testing.T) {
			addr, seen, g := start(t, 2, func(k *echo, c *Conn, line string) bool {
				i, err := strconv.Atoi(line)
				if err != nil {
					return false
				}
				k.l.Send(k.l.Peers()[1-k.l.ID()], mail(i))
				c.Write([]byte("sent\n"))
				return true
			})
			nc := dial(t, addr)
			for i := range n {
				_, _ = fmt.Fprintf(nc, "%d\n", i)
				expect(t, nc, "sent\n")
				if m := <-seen.mail; m != mail(i) {
					t.Fatalf("got %v, want %v", m, mail(i))
				}
			}
			helped := make(chan uint64, 2)
			for _, l := range g.Loops() {
				l.Post(func() { helped <- l.Helped() })
			}
			total := <-helped + <-helped
			if name == "heavy" && total > 0 || Driver != "epoll" && total > 0 {
				t.Errorf("%d turns were run by the other Loop, want none", total)
			}
		})
	}
}

// helper helps its Loop whenever it is asked to.
type helper struct {
	portDriver
	l *Loop
}

func (d helper) help(now int64) bool {
	d.l.Begin(now)
	return !d.l.End()
}

// port notes what is written.
type port struct {
	name  string
	notes *[]string
}

func (p port) Write(b []byte) (int, error) {
	*p.notes = append(*p.notes, p.name+" "+string(b))
	return len(b), nil
}
func (port) Shutdown() {}
func (port) Close()    {}

// forward passes lines on to the other Loop's connection and acknowledges them.
type forward struct {
	*echo
	to *Conn
}

func (k *forward) Mail(any) { k.to.Write([]byte("message")) }

// What a turn sends to a sleeping Loop's connections leaves before what it answers.
func TestDeliveriesLeaveBeforeAcknowledgements(t *testing.T) {
	var notes []string
	ls := newLoops(2)
	for i, l := range ls {
		l.drv = helper{l: l}
		k := &forward{echo: &echo{l: l, more: func(k *echo, c *Conn, _ string) bool {
			k.l.Send(ls[1], light(1))
			c.Write([]byte("ack"))
			return true
		}}}
		l.h = k
		k.to = l.OpenPort(port{[]string{"publisher", "subscriber"}[i], &notes}, nil)
	}
	ls[1].asleep.Store(true)
	ls[0].Begin(1)
	ls[0].Feed(ls[0].conns[0], []byte("x\n"))
	ls[0].End()
	if want := []string{"subscriber message", "publisher ack"}; !slices.Equal(notes, want) {
		t.Errorf("written: %q, want %q", notes, want)
	}
}

// What a helped turn asks for later comes when it should, though the Loop's own goroutine
// sleeps until another time.
func TestTimersOfAHelpedLoopFire(t *testing.T) {
	seen := make(chan int64, 1)
	addr, _, g := start(t, 2, func(k *echo, c *Conn, line string) bool {
		other := k.l.Peers()[1-k.l.ID()]
		k.l.Send(other, light(0))
		return true
	})
	for _, l := range g.Loops() {
		l.Post(func() { l.h = &timed{echo: l.h.(*echo), fired: seen} })
	}
	nc := dial(t, addr)
	for range 5 {
		_, _ = nc.Write([]byte("x\n"))
		<-seen
	}
}

// timed answers mail with a timer.
type timed struct {
	*echo
	fired chan int64
}

func (k *timed) Mail(any)            { k.l.At(k.l.Now()+50e6, 9, 0) }
func (k *timed) Timer(uint8, uint64) { k.fired <- k.l.Now() }

func TestTimersFire(t *testing.T) {
	addr, _, _ := start(t, 1, func(k *echo, c *Conn, line string) bool {
		k.l.At(k.l.Now()+100e6, 7, c.Key())
		return true
	})
	nc := dial(t, addr)
	began := time.Now()
	_, _ = nc.Write([]byte("x\n"))
	expect(t, nc, "t7\n")
	if d := time.Since(began); d < 100*time.Millisecond {
		t.Errorf("fired after %v, before its time", d)
	}
}

func TestConnectionsAboveTheLimitAreClosedAndCounted(t *testing.T) {
	addr, _, g := start(t, 2, nil)
	var open []net.Conn
	for range mostConns {
		nc := dial(t, addr)
		_, _ = nc.Write([]byte("x\n"))
		expect(t, nc, "x\n")
		open = append(open, nc)
	}
	nc := dial(t, addr)
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("one more than the limit is served")
	}
	if g.Refused() == 0 || g.Conns() != mostConns {
		t.Errorf("refused %d, open %d", g.Refused(), g.Conns())
	}
	_ = open
}
