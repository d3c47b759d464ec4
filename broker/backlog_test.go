package broker_test

import (
	"fmt"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

const (
	manyRetained = 20_000
	// turnMost is how many of them a shard may send in one turn; the rest is for the
	// work that a turn has anyway.
	turnMost = 4096
)

// stageWithRetained has a client connected to a broker that retains manyRetained
// messages of QoS 1, and of QoS 0 as many.
func stageWithRetained(t *testing.T, connect string) (*stage, *wire) {
	s := newStage(t, broker.Options{Shards: 1, Limits: broker.Limits{OutboundBuffer: 64 << 20, MaxQueuedMessages: 2 * manyRetained}})
	p := s.open()
	p.say("CONNECT v3.1.1 id=p clean")
	for i := 0; i < manyRetained; i += 500 {
		var batch []packet.Packet
		for j := i; j < i+500; j++ {
			for qos := range byte(2) {
				batch = append(batch, &packet.Publish{
					Topic: fmt.Appendf(nil, "r/%d/%d", qos, j), Payload: []byte("x"), QoS: qos, ID: uint16(j + 1), Retain: true,
				})
			}
		}
		p.write(batch...)
	}
	p.discard = true
	a := s.open()
	a.say(connect)
	a.expect("CONNACK success")
	return s, a
}

// begin feeds a packet without letting the loop turn any further than its end.
func (w *wire) begin(p packet.Packet) {
	l := w.conn.Loop()
	l.Begin(w.s.now)
	l.Feed(w.conn, p.Append(nil, w.version))
	w.s.turn()
}

// turn lets each shard take one turn, and reads what it has written.
func (s *stage) turn() (more bool) {
	for _, l := range s.loops {
		l.Begin(s.now)
		more = l.End() || more
		more = more || l.HasMail()
	}
	for _, w := range s.wires {
		w.decode()
	}
	s.balanced()
	return more
}

// publishes takes the PUBLISH packets that came, counts them by topic, and
// acknowledges those of QoS 1.
func (w *wire) publishes(copies map[string]int) (n int) {
	var acks []packet.Packet
	rest := w.got[:0]
	for _, p := range w.got {
		m, ok := p.(*packet.Publish)
		if !ok {
			rest = append(rest, p)
			continue
		}
		n++
		copies[string(m.Topic)]++
		if m.QoS == 1 {
			acks = append(acks, &packet.Puback{ID: m.ID})
		}
	}
	w.got = rest
	if len(acks) > 0 {
		w.conn.Loop().Begin(w.s.now)
		for _, a := range acks {
			w.conn.Loop().Feed(w.conn, a.Append(nil, w.version))
		}
	}
	return n
}

func once(t *testing.T, copies map[string]int, want int) {
	t.Helper()
	for topic, n := range copies {
		if n != 1 {
			t.Fatalf("%s came %d times", topic, n)
		}
	}
	if len(copies) != want {
		t.Errorf("%d messages came, want %d", len(copies), want)
	}
}

func subscribeTo(filters ...string) *packet.Subscribe {
	p := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(f), QoS: 1})
	}
	return p
}

func TestASubscriptionToEverythingLeavesEachTurnRoomForOthers(t *testing.T) {
	for _, filters := range [][]string{{"#"}, {"r/0/#", "r/1/+"}} {
		s, a := stageWithRetained(t, "CONNECT v5 id=a clean")
		other := s.open()
		other.say("CONNECT v3.1.1 id=o clean")
		other.expect("CONNACK success")
		copies, turns := map[string]int{}, 0
		a.begin(subscribeTo(filters...))
		for more := true; more; turns++ {
			if n := a.publishes(copies); n > turnMost {
				t.Fatalf("%v: %d messages in one turn", filters, n)
			}
			if turns%3 == 1 {
				other.begin(&packet.Pingreq{})
			} else {
				more = s.turn()
			}
			if len(other.got) != (turns+2)/3 && turns%3 == 1 {
				t.Fatalf("turn %d did not answer another client: %d answers", turns, len(other.got))
			}
		}
		for a.publishes(copies) > 0 {
			s.settle()
		}
		once(t, copies, 2*manyRetained)
		if turns < 2*manyRetained/turnMost {
			t.Errorf("%v took %d turns", filters, turns)
		}
		s.finish()
	}
}

func TestASessionGetsWhatItsLostConnectionHadNotGot(t *testing.T) {
	s, a := stageWithRetained(t, "CONNECT v5 id=a clean expiry=1000")
	a.begin(subscribeTo("#"))
	copies := map[string]int{}
	a.publishes(copies)
	a.cut()
	a = s.open()
	a.say("CONNECT v5 id=a expiry=1000")
	a.got = a.got[1:]
	for a.publishes(copies) > 0 {
		s.settle()
	}
	for i := range manyRetained {
		if topic := fmt.Sprintf("r/1/%d", i); copies[topic] != 1 {
			t.Fatalf("%s came %d times", topic, copies[topic])
		}
	}
	s.finish()
}

func TestUnsubscribeEndsTheSearchForRetainedMessages(t *testing.T) {
	s, a := stageWithRetained(t, "CONNECT v5 id=a clean")
	copies := map[string]int{}
	a.begin(subscribeTo("#"))
	a.publishes(copies)
	a.got = nil
	a.begin(&packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("#")}})
	s.settle()
	if n := a.publishes(copies); n > turnMost || len(copies) > 2*turnMost {
		t.Errorf("%d messages came after UNSUBSCRIBE, %d in all", n, len(copies))
	}
	a.expect("UNSUBACK id=2 success")
	s.finish()
}

func TestRetainedMessagesArriveWhileOthersAreReplaced(t *testing.T) {
	s, a := stageWithRetained(t, "CONNECT v5 id=a clean")
	p := s.open()
	p.say("CONNECT v3.1.1 id=p2 clean")
	copies := map[string]int{}
	a.begin(subscribeTo("r/1/#"))
	for i, more := 0, true; more; i++ {
		a.publishes(copies)
		if i < 10 {
			p.begin(&packet.Publish{Topic: fmt.Appendf(nil, "r/1/%d", 997*i), Payload: []byte("new"), QoS: 1, ID: uint16(i + 1), Retain: true})
		}
		more = s.turn() || i < 10
	}
	for a.publishes(copies) > 0 {
		s.settle()
	}
	for i := range manyRetained {
		topic, most := fmt.Sprintf("r/1/%d", i), 1
		if i%997 == 0 && i < 9970 {
			most = 2 // the old one before it was replaced, and the new one
		}
		if n := copies[topic]; n < 1 || n > most {
			t.Fatalf("%s came %d times", topic, n)
		}
	}
	s.finish()
}
