package broker_test

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// stage is a Broker whose turns a test takes, one after another, on one goroutine.
type stage struct {
	t        testing.TB
	b        *broker.Broker
	loops    []*shard.Loop
	now      int64
	opened   int
	wires    []*wire
	bytewise bool        // input arrives one byte at a time
	wrote    func(*wire) // called at each write, if a test set it
}

// newStage makes a stage. o's Clock and Random are the stage's.
func newStage(t testing.TB, o broker.Options) *stage {
	s := &stage{t: t, now: 1_700_000_000e9}
	seed := uint64(1)
	o.Clock = func() int64 { return s.now }
	o.Random = func() uint64 { // splitmix64
		seed += 0x9E3779B97F4A7C15
		z := (seed ^ seed>>30) * 0xBF58476D1CE4E5B9
		return z ^ z>>27
	}
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.b, s.loops = b, b.Manual()
	s.settle()
	return s
}

// wire is a network connection: a shard.Port on the broker's side, a client on the other.
type wire struct {
	s       *stage
	conn    *shard.Conn
	version packet.Version
	out     []byte // written by the broker and not yet decoded
	written int
	accept  int // bytes that the network takes before it blocks; negative any number
	shut    bool
	closed  bool
	told    bool // the test has seen the end
	got     []packet.Packet
	discard bool // count what is written and forget it
}

func (w *wire) Write(b []byte) (int, error) {
	if w.closed {
		return 0, errors.New("closed")
	}
	if w.shut {
		w.s.t.Error("the broker wrote after its end of the connection")
	}
	n := len(b)
	if w.accept >= 0 {
		n = min(n, w.accept)
		w.accept -= n
	}
	w.written += n
	if w.s.wrote != nil {
		w.s.wrote(w)
	}
	if !w.discard {
		w.out = append(w.out, b[:n]...)
	}
	return n, nil
}

func (w *wire) Shutdown() { w.shut = true }
func (w *wire) Close()    { w.closed = true }

// open makes a connection; the loops take turns.
func (s *stage) open() *wire {
	w := &wire{s: s, version: packet.V311, accept: -1}
	l := s.loops[s.opened%len(s.loops)]
	s.opened++
	l.Begin(s.now)
	w.conn = l.OpenPort(w, nil)
	s.wires = append(s.wires, w)
	s.settle()
	return w
}

// send gives bytes to the broker.
func (w *wire) send(b []byte) {
	if p, _, err := packet.Parse(packet.V5, b); err == nil {
		if c, ok := p.(*packet.Connect); ok && len(w.got) == 0 && w.written == 0 {
			w.version = c.Version
		}
	}
	for len(b) > 0 {
		n := len(b)
		if w.s.bytewise {
			n = 1
		}
		l := w.conn.Loop()
		l.Begin(w.s.now)
		l.Feed(w.conn, b[:n])
		b = b[n:]
		w.s.settle()
	}
}

// write sends packets, in the version of the connection's CONNECT.
func (w *wire) write(packets ...packet.Packet) {
	var b []byte
	for _, p := range packets {
		v := w.version
		if c, ok := p.(*packet.Connect); ok {
			v = c.Version
			if w.written == 0 {
				w.version = v
			}
		}
		b = p.Append(b, v)
	}
	w.send(b)
}

// say sends packets in the language of package script.
func (w *wire) say(lines ...string) {
	w.s.t.Helper()
	var packets []packet.Packet
	for _, line := range lines {
		p, err := script.ParsePacket(line)
		if err != nil {
			w.s.t.Fatal(err)
		}
		packets = append(packets, p)
	}
	w.write(packets...)
}

// expect checks what has come since it was called last, in the language of package
// script; "closed" is the end of the connection.
func (w *wire) expect(lines ...string) {
	w.s.t.Helper()
	for _, line := range lines {
		steps, err := script.Parse("x< " + line)
		if err != nil {
			w.s.t.Fatal(err)
		}
		if line == "closed" {
			if !w.ended() {
				w.s.t.Fatalf("the connection is open, want it closed")
			}
			w.told = true
			continue
		}
		if len(w.got) == 0 {
			w.s.t.Fatalf("nothing came, want %s", line)
		}
		if !steps[0].Matches(w.got[0]) {
			w.s.t.Fatalf("got  %s\nwant %s", script.Format(w.got[0]), line)
		}
		w.got = w.got[1:]
	}
	if len(w.got) > 0 {
		w.s.t.Fatalf("%s came as well", script.Format(w.got[0]))
	}
	if w.ended() && !w.told {
		w.s.t.Fatal("the broker has closed the connection")
	}
}

func (w *wire) ended() bool { return w.shut || w.closed }

// cut breaks the network connection.
func (w *wire) cut() {
	if !w.closed {
		l := w.conn.Loop()
		l.Begin(w.s.now)
		l.Hangup(w.conn, io.ErrUnexpectedEOF)
		w.told = true
		w.s.settle()
	}
}

// stop keeps the network from taking more than n bytes; resume lets it go on.
func (w *wire) stop(n int) { w.accept = n }

func (w *wire) resume() {
	w.accept = -1
	w.s.writable(w)
}

// settle turns the loops until nothing is left to do. The peer of a connection that the
// broker has ended ends it, too.
func (s *stage) settle() {
	for more := true; more; {
		more = false
		for _, l := range s.loops {
			l.Begin(s.now)
			more = l.End() || more
		}
		for _, l := range s.loops {
			more = more || l.HasMail()
		}
		open := s.wires[:0]
		for _, w := range s.wires {
			if w.shut && !w.closed {
				l := w.conn.Loop()
				l.Begin(s.now)
				l.Hangup(w.conn, io.EOF)
				more = true
			}
			w.decode()
			if !w.closed {
				open = append(open, w)
			}
		}
		s.wires = open
	}
	if !s.bytewise {
		s.balanced()
	}
}

// decode reads what the broker has written.
func (w *wire) decode() {
	for len(w.out) > 0 {
		if len(w.out) > 1 && w.out[0] == byte(packet.CONNACK)<<4 && w.out[1] > 2 {
			w.version = packet.V5 // the answer to a CONNECT that was no packet
		}
		p, n, err := packet.Parse(w.version, w.out)
		if err != nil {
			w.s.t.Errorf("the broker sent % X: %v", w.out[:min(len(w.out), 64)], err)
			w.out = nil
		}
		if n == 0 {
			return
		}
		w.out = w.out[n:]
		w.got = append(w.got, p)
	}
}

// balanced checks that no message has vanished, which holds at any instant.
func (s *stage) balanced() {
	s.t.Helper()
	if tally := s.b.StatsNow(); tally.Balance() != 0 {
		s.t.Errorf("%d copies of messages are unaccounted for", tally.Balance())
	}
}

// wait moves the clock, with a turn at every timer.
func (s *stage) wait(d time.Duration) {
	target := s.now + int64(d)
	for {
		next := int64(0)
		for _, l := range s.loops {
			if t := l.NextTimer(); t != 0 && (next == 0 || t < next) {
				next = t
			}
		}
		if next == 0 || next >= target {
			break
		}
		s.now = max(next, s.now+1)
		s.settle()
	}
	s.now = target
	s.settle()
}

// during settles until fn, which waits for the broker, returns.
func (s *stage) during(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	for {
		select {
		case err := <-done:
			s.settle()
			return err
		default:
			runtime.Gosched()
			s.settle()
		}
	}
}

// finish cuts all connections, ends all sessions and checks that nothing is left.
func (s *stage) finish() {
	s.t.Helper()
	for _, w := range append([]*wire(nil), s.wires...) {
		w.cut()
	}
	for _, id := range s.b.SessionIDs() {
		w := s.open()
		w.write(&packet.Connect{Version: packet.V31, ClientID: []byte(id), CleanStart: true})
		if !w.ended() {
			w.write(&packet.Disconnect{})
		} else if w = s.open(); true { // an identifier that 3.1 does not take
			w.write(&packet.Connect{Version: packet.V311, ClientID: []byte(id), CleanStart: true})
			w.write(&packet.Disconnect{})
		}
	}
	s.balanced()
	if leak := s.b.Leaks(); leak != "" {
		s.t.Error(leak)
	}
}

// writable tells the broker that a connection takes bytes again.
func (s *stage) writable(w *wire) {
	l := w.conn.Loop()
	l.Begin(s.now)
	l.Writable(w.conn)
	s.settle()
}
