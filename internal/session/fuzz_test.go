package session_test

import (
	"testing"

	"github.com/wirebird/wirebird/internal/session"
)

// link is a sender and a receiver of one Session with a network between them that keeps
// order, and that a fuzzer cuts.
type link struct {
	t       *testing.T
	out     session.Outbound
	in      session.Inbound
	max     int      // Receive Maximum of this connection; 0 none is there
	to      []signal // on their way to the receiver
	back    []signal // ... to the sender
	unacked map[uint16]bool
	ended   int // deliveries that the sender has completed
	expired int
	taken   int          // ... that it has given up
	got     map[int]int  // copies that the receiver has delivered, by message
	last    [3]int       // ... the highest message seen first, by QoS
	refused map[int]bool // it has refused them once, and so put them out of order
}

type signal struct {
	kind byte // p PUBLISH, r PUBREL; a PUBACK, c PUBREC, x PUBREC that refuses, d PUBCOMP
	id   uint16
	qos  byte
	n    int
}

// push offers message n, whose Size tells it again.
func (l *link) push(n int, qos byte, expires int64) {
	m := &session.Message{Topic: "t", Payload: []byte{byte(n >> 8), byte(n)}, QoS: qos, Expires: expires}
	l.out.Push(session.Entry{Msg: m, QoS: qos})
}

// next lets the sender send one packet.
func (l *link) next(now int64) {
	switch kind, id, e := l.out.Next(now); kind {
	case session.Send, session.Resend:
		if id == 0 || l.unacked[id] {
			l.t.Fatalf("identifier %d is given twice", id)
		}
		l.unacked[id] = true
		if len(l.unacked) > l.max {
			l.t.Fatalf("%d messages are unacknowledged, the peer takes %d", len(l.unacked), l.max)
		}
		l.to = append(l.to, signal{'p', id, e.QoS, int(e.Msg.Payload[0])<<8 | int(e.Msg.Payload[1])})
	case session.Release:
		l.to = append(l.to, signal{kind: 'r', id: id})
	case session.Outdated:
		l.expired++
	}
}

// receive gives the receiver one packet.
func (l *link) receive(refuse bool) {
	if len(l.to) == 0 {
		return
	}
	s := l.to[0]
	l.to = l.to[1:]
	switch {
	case s.kind == 'r':
		l.in.Release(s.id)
		l.back = append(l.back, signal{kind: 'd', id: s.id})
	case s.qos == 1:
		l.deliver(s)
		l.back = append(l.back, signal{kind: 'a', id: s.id})
	case refuse && !l.in.Has(s.id):
		l.refused[s.n] = true
		l.back = append(l.back, signal{kind: 'x', id: s.id})
	default:
		if l.in.Accept(s.id) {
			l.deliver(s)
		}
		l.back = append(l.back, signal{kind: 'c', id: s.id})
	}
}

func (l *link) deliver(s signal) {
	l.got[s.n]++
	switch {
	case l.got[s.n] > 1 && s.qos == 2:
		l.t.Fatalf("message %d of QoS 2 is delivered again", s.n)
	case l.got[s.n] == 1 && s.n < l.last[s.qos] && !l.refused[s.n]:
		l.t.Fatalf("message %d of QoS %d comes first after %d", s.n, s.qos, l.last[s.qos])
	}
	l.last[s.qos] = max(l.last[s.qos], s.n)
}

// acknowledged gives the sender one packet.
func (l *link) acknowledged() {
	if len(l.back) == 0 {
		return
	}
	s := l.back[0]
	l.back = l.back[1:]
	ok := true
	switch s.kind {
	case 'a':
		_, ok = l.out.Puback(s.id)
	case 'c', 'x':
		var gone bool
		if _, gone, ok = l.out.Pubrec(s.id, s.kind == 'x'); ok && !gone {
			l.to = append(l.to, signal{kind: 'r', id: s.id})
			return
		}
	default:
		_, ok = l.out.Pubcomp(s.id)
	}
	if !ok {
		l.t.Fatalf("%c of %d is an answer to nothing", s.kind, s.id)
	}
	delete(l.unacked, s.id)
	l.ended++
}

// connect begins a connection; what was under way is lost.
func (l *link) connect(receiveMax int) {
	l.to, l.back, l.unacked, l.max = nil, nil, map[uint16]bool{}, receiveMax
	l.out.Stop()
	if receiveMax > 0 {
		l.out.Start(receiveMax)
	}
}

// FuzzSession lets two ends of a Session exchange messages over a network that is cut at
// any point. QoS 2 arrives once, QoS 1 at least once, each in the order of sending; the
// Receive Maximum holds; every message is accounted for; and what is not given up arrives
// in the end.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 2, 2, 3, 3, 4, 4, 5, 2, 3, 4})
	f.Add([]byte("push, send, receive, acknowledge, and cut the connection"))
	f.Add([]byte{0x08, 0x10, 0x18, 0x0D, 2, 2, 2, 3, 0x0D, 2, 2, 2, 3, 3, 3, 4, 4, 4, 0x0D, 2, 3, 4})
	f.Fuzz(func(t *testing.T, steps []byte) {
		l := &link{t: t, got: map[int]int{}, refused: map[int]bool{}}
		l.connect(2)
		now, pushed := int64(1e9), 0
		count := func() {
			waiting := l.out.Queued() + l.out.Inflight()
			if pushed != waiting+l.ended+l.expired+l.taken {
				t.Fatalf("%d messages: %d wait, %d are complete, %d expired, %d given up", pushed, waiting, l.ended, l.expired, l.taken)
			}
		}
		for _, s := range steps {
			arg := int(s >> 3)
			switch s & 7 {
			case 0, 1:
				expires := int64(0)
				if arg&4 != 0 {
					expires = now + int64(arg)*1e9
				}
				l.push(pushed, 1+s&1, expires)
				pushed++
			case 2:
				l.next(now)
			case 3:
				l.receive(arg == 31)
			case 4:
				l.acknowledged()
			case 5:
				l.connect(arg % 5)
			case 6:
				now += int64(arg) * 1e9
				l.expired += len(l.out.Purge(now))
			case 7:
				if _, ok := l.out.Shift(); ok {
					l.taken++
				}
			}
			count()
		}
		for l.connect(3); !l.out.Idle(); { // a good network at last
			before := l.out.Queued() + l.out.Inflight() + len(l.to) + len(l.back)
			for range 4 * (before + 1) {
				l.next(now)
				l.receive(false)
				l.acknowledged()
			}
			if after := l.out.Queued() + l.out.Inflight(); after > 0 && after == before {
				t.Fatalf("%d messages do not get on", after)
			}
		}
		count()
		if l.in.Len() != 0 || l.out.QueuedBytes() != 0 {
			t.Errorf("%d identifiers and %d bytes are left", l.in.Len(), l.out.QueuedBytes())
		}
	})
}
